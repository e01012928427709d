"""${message}"""

import sqlalchemy as sa
from alembic import op

from ingestor.ledger import columns
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}

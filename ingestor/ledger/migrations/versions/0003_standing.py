"""An index that tells how many paths stand where, without a look at a million of their uploads."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("sources_standing", "sources", ["folder", "state", "live_until"], unique=False)

"""What hooks still have to deliver."""

import sqlalchemy as sa
from alembic import op

from ingestor.ledger import columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", columns.Instant(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("path", columns.FsText(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("detail", columns.JsonText(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("ready_at", columns.Instant(), nullable=False),
        sa.Column("since", columns.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("target", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_due", "deliveries", ["target", "ready_at"], unique=False)

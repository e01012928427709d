"""The first schema: sources, uploads, history, facts."""

import sqlalchemy as sa
from alembic import op

from ingestor.ledger import columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", columns.FactText(), nullable=False),
        sa.Column("changed_at", columns.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "history",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", columns.Instant(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("path", columns.FsText(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("detail", columns.JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("history_path", "history", ["folder", "path", "seq"], unique=False)
    op.create_table(
        "sources",
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("directory", columns.FsText(), nullable=False),
        sa.Column("name", columns.FsText(), nullable=False),
        sa.Column("device", columns.Unsigned64(), nullable=False),
        sa.Column("inode", columns.Unsigned64(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("live_until", columns.Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("root", columns.FsText(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("ready_at", columns.Instant(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=True),
        sa.Column("wanted_generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("listed_content_id", sa.Text(), nullable=True),
        sa.Column("listed_generation", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("put_away", columns.FsText(), nullable=True),
        sa.Column("found_at", columns.Instant(), nullable=False),
        sa.Column("changed_at", columns.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("folder", "directory", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("sources_content", "sources", ["content_id"], unique=False)
    op.create_index("sources_due", "sources", ["state", "lane", "ready_at"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("content_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("metadata", columns.JsonText(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("intent_generation", sa.Integer(), nullable=True),
        sa.Column("intent_key", sa.Text(), nullable=True),
        sa.Column("intent_profile", sa.Text(), nullable=True),
        sa.Column("first_sent_at", columns.Instant(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("file_id", sa.Text(), nullable=True),
        sa.Column("mime_type", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("created_at", columns.Instant(), nullable=True),
        sa.Column("expires_at", columns.Instant(), nullable=True),
        sa.Column("replayed", sa.Boolean(), nullable=True),
        sa.Column("normalised", columns.JsonText(), nullable=True),
        sa.Column("sent_sha256", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("changed_at", columns.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("content_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("uploads_digest", "uploads", ["digest"], unique=False)
    op.create_index("uploads_expiry", "uploads", ["state", "expires_at"], unique=False)
    op.create_index("uploads_file_id", "uploads", ["file_id"], unique=False)

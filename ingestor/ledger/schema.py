"""The one schema, for SQLite and PostgreSQL alike.

`sources` has a row for each path, `uploads` one for each content (paths with the same bytes, purpose and metadata
share it), `history` the story, of which the manifest is the part with `listed` true, `facts` what a restart has to
remember besides. `deliveries` has a row for each thing that a hook has still to be told.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from ingestor.ledger.columns import FactText, FsText, Instant, JsonText, Unsigned64

REVISION = "0003"
"""The newest migration; a test holds it against `migrations/`."""
WORKS_WITH = ("0002", REVISION)
"""Versions of the program, by their own newest migration, that may work with this schema: during an upgrade from
machine to machine the one before still does. So a migration adds, and removes what nobody has used for a version."""

metadata = MetaData()

# SQLite numbers rows by itself only for a column that is exactly INTEGER.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

sources = Table(
    "sources",
    metadata,
    Column("folder", Text, primary_key=True),
    Column("directory", FsText, primary_key=True),
    Column("name", FsText, primary_key=True),
    Column("device", Unsigned64, nullable=False),
    Column("inode", Unsigned64, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("context", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Until when the id is good that the manifest gives for this path; null when it gives none. A copy of the upload's
    # `expires_at`: a scan of a million known files has no time to look at each one's upload, nor far into its row.
    Column("live_until", Instant),
    Column("reason", Text),
    Column("root", FsText, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("batch", Text),
    Column("ready_at", Instant, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("content_id", Text),
    Column("wanted_generation", Integer, nullable=False, server_default=text("0")),
    Column("listed_content_id", Text),
    Column("listed_generation", Integer),
    Column("message", Text),
    Column("request_id", Text),
    Column("put_away", FsText),
    Column("found_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)
Index("sources_due", sources.c.state, sources.c.lane, sources.c.ready_at)
Index("sources_content", sources.c.content_id)
Index("sources_standing", sources.c.folder, sources.c.state, sources.c.live_until)

uploads = Table(
    "uploads",
    metadata,
    Column("content_id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("metadata", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    # What is about to be, or may have been, sent: durable before the request leaves.
    Column("intent_generation", Integer),
    Column("intent_key", Text),
    Column("intent_profile", Text),
    Column("first_sent_at", Instant),
    # The newest receipt, and what was sent for it.
    Column("generation", Integer, nullable=False, server_default=text("0")),
    Column("idempotency_key", Text),
    Column("profile", Text),
    Column("file_id", Text),
    Column("mime_type", Text),
    Column("size_bytes", BigInteger),
    Column("width_px", Integer),
    Column("height_px", Integer),
    Column("created_at", Instant),
    Column("expires_at", Instant),
    Column("replayed", Boolean),
    Column("normalised", JsonText),
    Column("sent_sha256", Text),
    Column("request_id", Text),
    Column("reason", Text),
    Column("message", Text),
    Column("changed_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)
Index("uploads_expiry", uploads.c.state, uploads.c.expires_at)
Index("uploads_file_id", uploads.c.file_id)
Index("uploads_digest", uploads.c.digest)

history = Table(
    "history",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("folder", Text, nullable=False),
    Column("path", FsText, nullable=False),
    Column("event", Text, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("detail", JsonText, nullable=False),
    sqlite_autoincrement=True,
)
Index("history_path", history.c.folder, history.c.path, history.c.seq)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", FactText, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("target", Text, primary_key=True),
    # That of the entry in the history; what it said is kept here, for the history may be forgotten sooner.
    Column("seq", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("folder", Text, nullable=False),
    Column("path", FsText, nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", JsonText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("ready_at", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    sqlite_with_rowid=False,
)
Index("deliveries_due", deliveries.c.target, deliveries.c.ready_at)

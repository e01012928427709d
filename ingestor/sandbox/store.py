"""Files on disk and an index beside them, both as they were after any end of the process."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingestor.sandbox.images import ImageFacts
from ingestor.sandbox.records import TTL_SECONDS, StoredFile, UsedKey, content_digest

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, team TEXT NOT NULL, purpose TEXT NOT NULL, mime_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, width_px INTEGER NOT NULL, height_px INTEGER NOT NULL,
    sha256 TEXT NOT NULL, metadata TEXT NOT NULL, content TEXT NOT NULL,
    created_at INTEGER NOT NULL, purged INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS live_files ON files (created_at) WHERE purged = 0;
CREATE TABLE IF NOT EXISTS used_keys (
    team TEXT NOT NULL, key BLOB NOT NULL, route TEXT NOT NULL, body TEXT NOT NULL, answer TEXT NOT NULL,
    used_at INTEGER NOT NULL, PRIMARY KEY (team, key));
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """Keeps files, used idempotency keys and a few named values. Every call blocks; any thread may call."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "files"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._alone = threading.Lock()
        self._index = sqlite3.connect(folder / "index.db", isolation_level=None, check_same_thread=False)
        self._index.row_factory = sqlite3.Row
        self._index.executescript(_SCHEMA)
        self._drop_strays()

    def close(self) -> None:
        """Let go of the index."""
        with self._alone:
            self._index.close()

    # -- files

    def add(self, file: StoredFile, content: bytes, used: UsedKey | None) -> None:
        """Keep a file, and with it the key that made it: both or none."""
        path = self.path(file.id)
        partial = path.with_suffix(".part")
        partial.write_bytes(content)
        partial.rename(path)
        with self._transaction() as index:
            index.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    file.id, file.team, file.purpose, file.facts.mime_type, file.size_bytes,
                    file.facts.width_px, file.facts.height_px, file.sha256, json.dumps(file.metadata),
                    content_digest(file.sha256, file.purpose, file.metadata), file.created_at,
                ),
            )  # fmt: skip
            if used is not None:
                _put_key(index, used)

    def find(self, file_id: str, now: float) -> StoredFile | None:
        """A file that is alive."""
        with self._alone:
            row = self._index.execute(
                "SELECT * FROM files WHERE id = ? AND purged = 0 AND created_at > ?",
                (file_id, now - TTL_SECONDS),
            ).fetchone()
        return None if row is None else _file(row)

    def path(self, file_id: str) -> Path:
        """Where the bytes of a file lie."""
        return self._blobs / file_id

    def purge(self, file_id: str) -> None:
        """Remove a file's bytes for good."""
        with self._transaction() as index:
            index.execute("UPDATE files SET purged = 1 WHERE id = ?", (file_id,))
        self.path(file_id).unlink(missing_ok=True)

    def purge_expired(self, now: float) -> int:
        """Remove what has outlived its time, and keys whose window is over. Tells how many files went."""
        ends = now - TTL_SECONDS
        with self._transaction() as index:
            rows = index.execute(
                "UPDATE files SET purged = 1 WHERE purged = 0 AND created_at <= ? RETURNING id", (ends,)
            ).fetchall()
            index.execute("DELETE FROM used_keys WHERE used_at <= ?", (ends,))
        for row in rows:
            self.path(row["id"]).unlink(missing_ok=True)
        return len(rows)

    # -- idempotency keys

    def used_key(self, team: str, key: str, now: float) -> UsedKey | None:
        """What the key was used for within its window."""
        with self._alone:
            row = self._index.execute(
                "SELECT * FROM used_keys WHERE team = ? AND key = ? AND used_at > ?",
                (team, _key_bytes(key), now - TTL_SECONDS),
            ).fetchone()
        return None if row is None else UsedKey(**{**dict(row), "key": key})

    def occupy_key(self, used: UsedKey, now: float) -> bool:
        """Note a use of the key that made no file. False where the key is in use already."""
        if self.used_key(used.team, used.key, now) is not None:
            return False
        with self._transaction() as index:
            _put_key(index, used)
        return True

    # -- what tests ask

    def created(self) -> list[dict[str, Any]]:
        """Every content that was ever uploaded, in that order: how often, how many are alive, and under which ids."""
        with self._alone:
            rows = self._index.execute(
                "SELECT content, sha256, purpose, metadata, count(*) AS created, sum(purged = 0) AS live,"
                " group_concat(id) AS ids FROM files GROUP BY content ORDER BY min(rowid)"
            ).fetchall()
        return [{**dict(row), "metadata": json.loads(row["metadata"]), "ids": row["ids"].split(",")} for row in rows]

    # -- named values

    def state(self, name: str) -> Any:
        """A value that was kept, or None."""
        with self._alone:
            row = self._index.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row["value"])

    def keep_state(self, **values: Any) -> None:
        """Keep JSON values under their names."""
        with self._transaction() as index:
            index.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in values.items()],
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._alone:
            self._index.execute("BEGIN IMMEDIATE")
            try:
                yield self._index
            except BaseException:
                self._index.execute("ROLLBACK")
                raise
            self._index.execute("COMMIT")

    def _drop_strays(self) -> None:
        """Bytes that a kill left without an entry in the index: nobody was ever told of them."""
        rows = self._index.execute("SELECT id FROM files WHERE purged = 0").fetchall()
        known = {row["id"] for row in rows}
        for name in os.listdir(self._blobs):
            if name not in known:
                self.path(name).unlink(missing_ok=True)


def _key_bytes(key: str) -> bytes:
    # A header may hold bytes that are no UTF-8; SQLite takes text that is.
    return key.encode("utf-8", "surrogateescape")


def _put_key(index: sqlite3.Connection, used: UsedKey) -> None:
    index.execute(
        "INSERT OR REPLACE INTO used_keys VALUES (?, ?, ?, ?, ?, ?)",
        (used.team, _key_bytes(used.key), used.route, used.body, used.answer, used.used_at),
    )


def _file(row: sqlite3.Row) -> StoredFile:
    return StoredFile(
        id=row["id"],
        team=row["team"],
        purpose=row["purpose"],
        facts=ImageFacts(mime_type=row["mime_type"], width_px=row["width_px"], height_px=row["height_px"]),
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        metadata=json.loads(row["metadata"]),
        created_at=row["created_at"],
    )

"""An SQLite ledger for whoever only looks: no file beside it is made or changed either."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ingestor.errors import LedgerUnreadable
from ingestor.ledger.browsing import LedgerBrowser
from ingestor.ledger.faults import translated
from ingestor.ledger.overview import quick_check
from ingestor.ledger.reader import LedgerReader
from ingestor.ports import Clock

_BUSY_SECONDS = 30.0


class SqliteReader(LedgerReader):
    """See `LedgerReader`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(str(path), clock, create_engine("sqlite://", creator=self._connect, poolclass=StaticPool))
        self.path = path
        event.listen(self._engine, "begin", _begin)
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        if not self.path.exists():
            raise LedgerUnreadable(
                f"{self.path}: there is no ledger yet; `ingestor watch` or `ingestor backfill` makes it"
            )
        await super().open()

    async def exists(self) -> bool:
        return self.path.exists()

    async def check(self) -> Sequence[str]:
        return await self._read(quick_check)

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._connection.interrupt()

    def _connect(self) -> sqlite3.Connection:
        # Read and write, for that alone tidies up what SQLite puts beside a file in WAL mode; but never a change.
        address = f"file:{quote(os.fsencode(self.path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=_BUSY_SECONDS)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        self._connection = connection
        return connection

    def _translated(self, error: DBAPIError) -> Exception:
        return translated(self.path, error)


class SqliteBrowser(LedgerBrowser, SqliteReader):
    """See `LedgerBrowser`."""


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")

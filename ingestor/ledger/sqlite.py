"""The ledger on SQLite: a file, one process that writes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ingestor.disk import disk_fault
from ingestor.ledger.faults import translated
from ingestor.ledger.grouped import GroupedLedger
from ingestor.ledger.migrate import migrate
from ingestor.ports import Clock

_READERS = 2
_BUSY_MS = 30_000
_WAL_BYTES = 16_000_000
"""What is left of the write-ahead log after a checkpoint; one large change may make it longer for a while."""


class SqliteLedger(GroupedLedger):
    """See `SqlLedger`. The last connection to go folds the write-ahead log into the file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        writer, reader = _engine(path, immediate=True), _engine(path, immediate=False)
        super().__init__(str(path), clock, writer=writer, reader=reader, readers=_READERS)
        self.path = path
        self._connection: Connection | None = None
        """The writer's, kept: to take it from its pool and give it back costs as much as several statements."""

    @property
    def exists(self) -> bool:
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    async def open(self) -> None:
        """Create or migrate. Raises `LedgerUnreadable` or `DiskFault`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # 0600 before SQLite creates it: paths and ids are nobody else's business.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise disk_fault(self.path, error) from error
        await self._write(migrate, str(self.path))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        connection, self._connection = self._connection or self._writer.connect(), None
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()  # whatever state it is in: the next one begins anew
            raise
        self._connection = connection

    def _shut_down(self) -> None:
        if self._connection is not None:
            self._connection.close()
        super()._shut_down()

    def _translated(self, error: DBAPIError) -> Exception:
        return translated(self.path, error)


def _engine(path: Path, *, immediate: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
        pool_size=1 if immediate else _READERS,
        max_overflow=0,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine

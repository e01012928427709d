"""The ledger on SQLite: one writer thread with group commit, readers beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ingestor.disk import disk_fault
from ingestor.errors import LedgerError
from ingestor.ledger.faults import translated
from ingestor.ledger.migrate import migrate
from ingestor.ledger.sql import P, SqlLedger, T
from ingestor.ports import Clock

_READERS = 2
_BUSY_MS = 30_000
_WAL_BYTES = 16_000_000
"""What is left of the write-ahead log after a checkpoint; one large change may make it longer for a while."""


@dataclass(slots=True)
class _Change:
    run: Callable[[Connection], Any]
    done: asyncio.Future[Any]


_End = tuple[Any, Exception | None]


class SqliteLedger(SqlLedger):
    """See `SqlLedger`. Changes that come together share one transaction, and so one flush of the disk."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(clock)
        self.path = path
        self._writer = _engine(path, immediate=True)
        self._reader = _engine(path, immediate=False)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._read_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-read")
        self._pending: list[_Change] = []
        self._committing: asyncio.Task[None] | None = None
        self._is_closed = False

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

    async def close(self) -> None:
        """Finish the changes under way; whoever comes later is refused."""
        self._is_closed = True
        while self._committing is not None:
            await asyncio.shield(self._committing)
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._read_threads.shutdown()
        self._write_thread.shutdown()
        self._reader.dispose()
        self._writer.dispose()  # the last connection to go folds the write-ahead log into the file

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerError(f"{self.path}: this ledger has been closed")

    async def _read(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        run = _bound(question, args, kwargs)
        return await loop.run_in_executor(self._read_threads, self._ask, run)

    def _ask(self, run: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return run(connection)
        except DBAPIError as error:
            raise translated(self.path, error) from error

    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Change(_bound(change, args, kwargs), done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_pending())
            self._committing.add_done_callback(self._never_began)
        # The change is made whether or not its caller still waits: a durable receipt is never half a decision.
        return await asyncio.shield(done)

    async def _commit_pending(self) -> None:
        loop = asyncio.get_running_loop()
        group: list[_Change] = []
        try:
            while self._pending:
                group, self._pending = self._pending, []
                ends = await loop.run_in_executor(self._write_thread, self._commit, group)
                for change, end in zip(group, ends, strict=True):
                    _settle(change.done, end)
        except BaseException:
            self._give_up(group)
            raise
        finally:
            self._committing = None

    def _never_began(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not even see its `finally`."""
        if self._committing is task:
            self._committing = None
            self._give_up([])

    def _give_up(self, group: list[_Change]) -> None:
        """Nobody shall wait for an answer that does not come."""
        for change in (*group, *self._pending):
            change.done.cancel()
        self._pending.clear()

    def _commit(self, group: list[_Change]) -> list[_End]:
        try:
            with self._writer.begin() as connection:
                return [(change.run(connection), None) for change in group]
        except Exception as error:
            if len(group) == 1:
                return [(None, translated(self.path, error) if isinstance(error, DBAPIError) else error)]
        # One of them failed and took the others' transaction with it: each by itself.
        return [self._commit([change])[0] for change in group]


def _settle(done: asyncio.Future[Any], end: _End) -> None:
    value, error = end
    if done.cancelled():
        return
    if error is None:
        done.set_result(value)
    else:
        done.set_exception(error)
        done.exception()  # its caller may have gone; then nobody needs to hear of it


def _bound(
    call: Callable[Concatenate[Connection, P], T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[Connection], T]:
    def run(connection: Connection) -> T:
        return call(connection, *args, **kwargs)

    return run


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

"""The ledger on SQLite: one writer thread with group commit, readers beside it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError

from ingestor.errors import DiskFault, LedgerHeld, LedgerUnreadable
from ingestor.ledger.migrate import migrate
from ingestor.ledger.sql import P, SqlLedger, T
from ingestor.ports import Clock

_READERS = 2
_BUSY_MS = 30_000


class LedgerLock:
    """The right to ingest with a ledger: one process at a time. Readers and operators' commands do without."""

    def __init__(self, ledger: Path, what: str) -> None:
        self._path = ledger.with_name(ledger.name + ".lock")
        self._what = what
        self._file: int | None = None

    def acquire(self) -> None:
        """Raises `LedgerHeld`, which names the holder, and `DiskFault`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _disk_fault(self._path, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 1000).decode("utf-8", "replace").strip()
            os.close(file)
            raise LedgerHeld(
                f"another ingestor holds this ledger: {holder or 'unknown'} ({self._path}); "
                "stop it, or name another ledger"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{self._what}, process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def held(self) -> bool:
        return self._file is not None


def _disk_fault(path: Path, error: OSError) -> DiskFault:
    reason = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "disk_read_only"}
    return DiskFault(reason.get(error.errno or 0, "disk"), f"{path}: {error.strerror or error}")


def _translated(path: Path, error: DBAPIError) -> Exception:
    """A database error as what it means to the flow; one that is our own fault stays as it is."""
    original = error.orig
    name = getattr(original, "sqlite_errorname", "") or ""
    text = str(original)
    if name.startswith("SQLITE_FULL"):
        return DiskFault("disk_full", f"{path}: the disk is full")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return DiskFault("disk", f"{path}: the ledger's disk fails: {text}")
    if name.startswith("SQLITE_READONLY"):
        return DiskFault("disk_read_only", f"{path}: the ledger cannot be written: {text}")
    if name.startswith("SQLITE_BUSY"):
        return DiskFault("ledger_busy", f"{path}: another program keeps the ledger locked: {text}")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LedgerUnreadable(
            f"{path}: this ledger is corrupt ({text}); move it away and start again: unchanged images replay under "
            "the same keys and keep their ids for as long as the API remembers them"
        )
    return error


@dataclass(slots=True)
class _Change:
    run: Callable[[Connection], Any]
    done: asyncio.Future[Any]


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

    @property
    def exists(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    async def open(self) -> None:
        """Create or migrate. Raises `LedgerUnreadable` or `DiskFault`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # 0600 before SQLite creates it: paths and ids are nobody else's business.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise _disk_fault(self.path, error) from error
        await self._write(migrate, str(self.path))

    async def close(self) -> None:
        while self._committing is not None:
            await self._committing
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._write_thread, self._writer.dispose)
        self._reader.dispose()
        self._write_thread.shutdown()
        self._read_threads.shutdown()

    async def _read(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        run = _bound(question, args, kwargs)
        return await loop.run_in_executor(self._read_threads, self._ask, run)

    def _ask(self, run: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return run(connection)
        except DatabaseError as error:
            raise _translated(self.path, error) from error

    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Change(_bound(change, args, kwargs), done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_pending())
        # The change is made whether or not its caller still waits: a durable receipt is never half a decision.
        return await asyncio.shield(done)

    async def _commit_pending(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                group, self._pending = self._pending, []
                results = await loop.run_in_executor(self._write_thread, self._commit, group)
                for change, (value, error) in zip(group, results, strict=True):
                    if change.done.cancelled():
                        continue
                    if error is None:
                        change.done.set_result(value)
                    else:
                        change.done.set_exception(error)
                        change.done.exception()  # its caller may have gone; then nobody needs to hear of it
        finally:
            self._committing = None

    def _commit(self, group: list[_Change]) -> list[tuple[Any, Exception | None]]:
        try:
            with self._writer.begin() as connection:
                return [(change.run(connection), None) for change in group]
        except Exception as error:
            if len(group) == 1:
                return [(None, _translated(self.path, error) if isinstance(error, DBAPIError) else error)]
        # One of them failed and took the others' transaction with it: each by itself.
        return [self._commit([change])[0] for change in group]


def _bound(
    call: Callable[Concatenate[Connection, P], T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[Connection], T]:
    def run(connection: Connection) -> T:
        return call(connection, *args, **kwargs)

    return run


def _engine(path: Path, *, immediate: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
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

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def holder_of(ledger: Path) -> str | None:
    """Who holds a ledger now, in words; None if nobody does."""
    with contextlib.suppress(FileNotFoundError):
        file = os.open(ledger.with_name(ledger.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.read(file, 1000).decode("utf-8", "replace").strip() or "unknown"
        finally:
            os.close(file)
    return None

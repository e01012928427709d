"""Locks that end with whoever holds them: PostgreSQL's advisory locks, all of a process on one connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg

from ingestor.errors import DiskFault, LedgerError
from ingestor.ledger.postgres.database import Database

T = TypeVar("T")

_KEY = "hashtextextended('ingestor.' || current_schema() || ' ' || %s, 0)"
_TRY = f"SELECT pg_try_advisory_lock({_KEY})"
_RELEASE = f"SELECT pg_advisory_unlock({_KEY})"
HOLDER = f"""
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = {_KEY}
"""  # noqa: S608
_NAME_LETTERS = 63
"""PostgreSQL keeps no more of what a program says it is."""


def station_lock(station: str) -> str:
    """The lock of the one program that ingests a station's own folders."""
    return f"station {station}"


class Locks:
    """Named locks of this process. All are lost with the connection: `session` is another number then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None
        self._held: set[str] = set()
        self._thread: ThreadPoolExecutor | None = None
        self.what = "ingestor"
        """What others are told of who holds a lock."""
        self.session = 0
        """Grows with each connection: what was held before is not held any more."""

    async def try_acquire(self, name: str) -> bool:
        """Whether the lock is ours now, also if it was before. Raises `DiskFault` where the database is away."""
        return await self._in_thread(lambda: self._try(name))

    async def release(self, name: str) -> None:
        """Give it up, if it is ours; a lock that was lost needs no giving up."""
        await self._in_thread(lambda: self._release(name))

    async def holder(self, name: str) -> str | None:
        """Who has the lock, in words; None: nobody."""
        return await self._in_thread(lambda: _holder(self._connected(), name))

    async def close(self) -> None:
        """Give up all of them."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Not to be stopped half way: who gave up waiting must still know what is held.
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-locks")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[], T]) -> T:
        was_connected = self._connection is not None
        try:
            return work()
        except psycopg.Error as error:
            self._disconnect()
            if was_connected:
                # A connection that has gone says nothing about the server: a new one does.
                return self._guarded(work)
            fault = self._database.translated(error)
            # What stands in the way of a lock is the server, whatever it says.
            raise fault if isinstance(fault, DiskFault | LedgerError) else DiskFault("ledger", str(error)) from error

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._disconnect()
            connection = self._database.connect(autocommit=True)
            words = f"{self.what}, process {os.getpid()} on {socket.gethostname()}"
            connection.execute("SELECT set_config('application_name', %s, false)", (words[:_NAME_LETTERS],))
            self._connection = connection
            self.session += 1
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            connection.close()

    def _try(self, name: str) -> bool:
        connection = self._connected()
        if name in self._held:
            connection.execute("SELECT 1")
            return True
        row = connection.execute(_TRY, (name,)).fetchone()
        if row is not None and row[0]:
            self._held.add(name)
        return name in self._held

    def _release(self, name: str) -> None:
        if name in self._held and self._connection is not None:
            self._held.discard(name)
            self._connection.execute(_RELEASE, (name,))


def who_holds(database: Database, name: str) -> str | None:
    """Who has a lock now, in words; None if nobody. Raises `DiskFault` where that cannot be told."""
    try:
        with database.connect(autocommit=True) as connection:
            return _holder(connection, name)
    except psycopg.Error as error:
        raise database.translated(error) from error


def _holder(connection: psycopg.Connection[Any], name: str) -> str | None:
    row = connection.execute(HOLDER, (name,)).fetchone()
    return None if row is None else str(row[0]) or "unknown"

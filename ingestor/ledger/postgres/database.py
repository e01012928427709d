"""A PostgreSQL database as the ledger uses it: connections with limits, errors as what they mean to the flow."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import Any

import psycopg
import psycopg.conninfo
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ingestor.errors import DiskFault, LedgerError, LedgerUnreadable
from ingestor.settings import DatabaseUrl

CONNECT_SECONDS = 5
LOCK_SECONDS = 30
"""Until a change gives up waiting for another one: as long as for a locked SQLite file."""
IDLE_IN_TRANSACTION_SECONDS = 15
"""The server ends a transaction whose program has been frozen, or cut off, for this long: others wait behind it."""

# A cable that is cut tells nobody: what was sent is acknowledged, or the connection is given up. At both ends: a server
# left to itself keeps the locks of a machine that has lost its power for two hours, and nobody leads.
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3}
_UNACKNOWLEDGED_MS = 15_000
_LIMITS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    **_KEEPALIVES,
    "tcp_user_timeout": _UNACKNOWLEDGED_MS,
}
_SERVER_SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
    "tcp_user_timeout": _UNACKNOWLEDGED_MS,
    "client_min_messages": "warning",
    "timezone": "UTC",
}
_OPTIONS = " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items())

_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|(?:role|database) \S+ does not"
)
_UNREADABLE = {"42501": "this user may not do that", "3D000": "there is no such database", "3F000": "no such schema"}
_AWAY = ("08", "57P", "25P03", "25P04", "53300", "XX")
"""Classes of states that pass: the connection is lost, the server stops, starts or has no place left."""


class Database:
    """Where connections come from. `str()` of it has no password."""

    def __init__(self, url: DatabaseUrl) -> None:
        """Raises `LedgerError` for an address that the driver does not understand."""
        self._url = url
        self.name = str(url)
        try:
            self._given = psycopg.conninfo.conninfo_to_dict(url.secret_text)
        except psycopg.ProgrammingError as error:
            said = self._said(error)
        else:
            return
        raise LedgerError(f"{self.name}: is no address that PostgreSQL understands ({said})")

    def __str__(self) -> str:
        return self.name

    @property
    def conninfo(self) -> str:
        """With the password: for the driver alone."""
        return self._url.secret_text

    @property
    def arguments(self) -> dict[str, Any]:
        """What each connection is made with, besides `conninfo`."""
        limits = {name: value for name, value in _LIMITS.items() if name not in self._given}
        options = " ".join(part for part in (_OPTIONS, str(self._given.get("options") or "")) if part)
        called = self._given.get("application_name") or program_name()
        return {**limits, "options": options, "application_name": called}

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """A connection of one's own. Raises `psycopg.Error`."""
        return psycopg.connect(self.conninfo, autocommit=autocommit, **self.arguments)

    def engine(self, connections: int, *, reads_only: bool = False) -> Engine:
        """SQLAlchemy's way to so many connections. Readers see what was there when their question began."""

        def made() -> psycopg.Connection[Any]:
            connection = self.connect()
            if reads_only:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
            return connection

        return create_engine(
            "postgresql+psycopg://", creator=made, pool_size=connections, max_overflow=0, pool_pre_ping=True
        )

    def writer(self) -> Engine:
        """One connection; its transactions come one after another among all programs that write here, as on SQLite.

        So numbers of the history become visible in their order: whoever reads on after the last one that he saw misses
        none. And each change sees all that were made before it.
        """
        engine = self.engine(1)

        @event.listens_for(engine, "begin")
        def alone(connection: Connection) -> None:
            connection.exec_driver_sql(ALONE)

        return engine

    def translated(self, error: BaseException) -> Exception:
        """What the database's error stands for; one that is our own fault stays as it is."""
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, psycopg.Error):
            return error if isinstance(error, Exception) else RuntimeError(str(error))
        state, said = original.sqlstate or "", self._said(original)
        fault = _fault_of(state, said, self.name)
        if fault is not None:
            return fault
        is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if is_lost or (not state and isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)):
            return away(self.name, said)
        return error if isinstance(error, Exception) else RuntimeError(said)

    def _said(self, error: psycopg.Error) -> str:
        """The driver's words on one line, without the password that they may hold."""
        said = " ".join(str(error).split()) or type(error).__name__
        for secret in self._url.secrets:
            said = said.replace(secret, "…")
        return said


ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('ingestor.write ' || current_schema(), 0))"


def away(name: str, said: str) -> DiskFault:
    """The database cannot be reached now."""
    return DiskFault("ledger", f"{name}: the ledger cannot be reached ({said}); work goes on by itself when it is back")


def _fault_of(state: str, said: str, name: str) -> Exception | None:
    if state.startswith("28") or (not state and _REFUSED.search(said)):
        return LedgerUnreadable(f"{name}: the database refuses us ({said}); correct user, password or its pg_hba.conf")
    if state in _UNREADABLE:
        return LedgerUnreadable(f"{name}: {_UNREADABLE[state]} ({said})")
    if state in ("42P01", "42703"):
        return LedgerUnreadable(f"{name}: this ledger is damaged, or none ({said})")
    if state == "53100":
        return DiskFault("disk_full", f"{name}: the ledger's disk is full; make room there, work goes on by itself")
    if state == "25006":
        return DiskFault("disk_read_only", f"{name}: the ledger cannot be written ({said}); is this a standby?")
    if state in ("55P03", "57014", "40001", "40P01"):
        return DiskFault("ledger_busy", f"{name}: another program keeps the ledger locked ({said})")
    return away(name, said) if state.startswith(_AWAY) else None


def program_name() -> str:
    """What the server's own lists call this program: PostgreSQL keeps 63 letters."""
    what = os.path.basename(sys.argv[0]) or "ingestor"
    return f"{what if what.startswith('ingestor') else 'ingestor'} {os.getpid()}@{socket.gethostname()}"[:63]

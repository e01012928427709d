"""The ledger on PostgreSQL, for several machines."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ingestor.errors import DiskFault
from ingestor.ledger import line
from ingestor.ledger.grouped import GroupedLedger
from ingestor.ledger.migrate import migrate
from ingestor.ledger.own_facts import OwnFacts
from ingestor.ledger.postgres.claims import Claim, claim
from ingestor.ledger.postgres.database import Database
from ingestor.ledger.postgres.jobs import defer_content, defer_paths, disband, make_job_tables
from ingestor.ledger.postgres.locks import Locks
from ingestor.ledger.postgres.skew import may_work, note
from ingestor.model import ContentId, Lane, Sighting, SourceFile
from ingestor.ports import Clock

_READERS = 2

_OTHERS = text(
    """
    SELECT DISTINCT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'ingestor%' AND NOT application_name LIKE ANY (:ours)
    """
)
_OTHER_ORDERS = text(
    """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
    AND table_name = ANY (:tables)
    """
)


class PostgresLedger(OwnFacts, GroupedLedger):
    """See `SqlLedger`. A database that cannot be reached is a `DiskFault` with the reason `ledger`."""

    def __init__(self, database: Database, clock: Clock, *, station: str, own_facts: Sequence[str] = ()) -> None:
        """`own_facts`: those that are kept for each station by itself."""
        writer, reader = database.writer(), database.engine(_READERS, reads_only=True)
        super().__init__(database.name, clock, writer=writer, reader=reader, readers=_READERS)
        self.database = database
        self.own_facts = frozenset(own_facts)
        self.station = station
        self.locks = Locks(database)

    async def open(self) -> None:
        """Create or migrate, one program at a time. Raises `LedgerUnreadable` or `DiskFault`."""
        await self._write(_prepare, self.name)

    async def take(self, sightings: Sequence[Sighting], lane: Lane, batch: str | None) -> None:
        await self._write(_take, sightings, lane, batch, self._clock.now())

    async def put_back(self, folder: str, path: str) -> str | None:
        return await self._write(_put_back, folder, path, self._clock.now())

    async def want_renewal(
        self, content_id: ContentId, batch: str | None, folders: Sequence[str] | None = None
    ) -> bool:
        return await self._write(_want_renewal, content_id, batch, folders, self._clock.now())

    async def leave_batch(self, source: SourceFile) -> None:
        await self._write(_leave_batch, source, self._clock.now())

    async def claim(self, claims: Sequence[Claim]) -> Sequence[str]:
        """Take folders for this station; what stands in the way, in words, and then nothing is taken."""
        return await self._write(claim, self.station, claims, self._clock.now())

    async def disband(self, batch: str) -> None:
        """What is left of a run stays in line for whoever takes it; nobody counts its ends any more."""
        await self._write(disband, batch)

    async def shift_line(self, seconds: float) -> None:
        """Nothing: whose turn it is goes by the database's clock, which all have in common."""

    async def close(self) -> None:
        await super().close()
        await self.locks.close()

    async def others(self) -> Sequence[str]:
        """Other programs of ours that are connected now, as they call themselves."""
        return await self._read(_others)

    def _translated(self, error: DBAPIError) -> Exception:
        return self.database.translated(error)

    def _fails_all(self, fault: Exception) -> bool:
        return isinstance(fault, DiskFault)


def _others(connection: Connection) -> Sequence[str]:
    who = f"{os.getpid()}"
    ours = [f"% {who}@{socket.gethostname()}%", f"%process {who} on {socket.gethostname()}%"]
    return connection.execute(_OTHERS, {"ours": ours}).scalars().all()


def _prepare(connection: Connection, name: str) -> None:
    if not may_work(connection) and migrate(connection, name):
        _order_by_bytes(connection)
        note(connection)
    make_job_tables(connection)


# -- who is put in line has a job from the same transaction on --------------------------------------


def _take(connection: Connection, sightings: Sequence[Sighting], lane: Lane, batch: str | None, now: datetime) -> None:
    line.take(connection, sightings, lane, batch, now)
    defer_paths(connection, [sighting.source.key for sighting in sightings], now)


def _put_back(connection: Connection, folder: str, path: str, now: datetime) -> str | None:
    put_away = line.put_back(connection, folder, path, now)
    defer_paths(connection, [(folder, path)], now)
    return put_away


def _leave_batch(connection: Connection, source: SourceFile, now: datetime) -> None:
    line.leave_batch(connection, source, now)
    defer_paths(connection, [source.key], now)


def _want_renewal(
    connection: Connection, content_id: ContentId, batch: str | None, folders: Sequence[str] | None, now: datetime
) -> bool:
    is_wanted = line.want_renewal(connection, content_id, batch, folders, now)
    if is_wanted:
        defer_content(connection, content_id, now)
    return is_wanted


def _order_by_bytes(connection: Connection) -> None:
    """Text is compared byte by byte, as SQLite does it, whatever language the database was made for."""
    from ingestor.ledger.schema import metadata

    for table, column in connection.execute(_OTHER_ORDERS, {"tables": list(metadata.tables)}).all():
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')

"""A ledger on PostgreSQL for whoever only looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from ingestor.errors import LedgerUnreadable
from ingestor.ledger.browsing import LedgerBrowser
from ingestor.ledger.own_facts import OwnFacts
from ingestor.ledger.postgres.database import Database
from ingestor.ledger.postgres.machines import machines
from ingestor.ledger.postgres.skew import may_work
from ingestor.ledger.reader import LedgerReader
from ingestor.model import Json
from ingestor.ports import Clock


class PostgresReader(OwnFacts, LedgerReader):
    """See `LedgerReader`."""

    def __init__(self, database: Database, clock: Clock, *, station: str, own_facts: Sequence[str] = ()) -> None:
        super().__init__(database.name, clock, database.engine(1, reads_only=True))
        self._connection: psycopg.Connection[Any] | None = None
        event.listen(self._engine, "connect", self._connected)
        self.database = database
        self.own_facts = frozenset(own_facts)
        self.station = station

    async def open(self) -> None:
        if not await self.exists():
            raise LedgerUnreadable(
                f"{self.name}: there is no ledger yet; `ingestor watch` or `ingestor backfill` makes it"
            )
        if not await self._read(may_work):
            await super().open()

    async def machines(self) -> Mapping[str, Json] | None:
        return await self._read(machines)

    async def check(self) -> Sequence[str]:
        """Nothing: PostgreSQL looks after its own files."""
        return []

    def _connected(self, connection: psycopg.Connection[Any], _record: object) -> None:
        self._connection = connection

    def _interrupt(self) -> None:
        if self._connection is not None and not self._connection.closed:
            self._connection.cancel()

    def _translated(self, error: DBAPIError) -> Exception:
        return self.database.translated(error)


class PostgresBrowser(LedgerBrowser, PostgresReader):
    """See `LedgerBrowser`."""

"""A ledger by where it is: an SQLite file, or a PostgreSQL database that several machines share.

What PostgreSQL takes is imported when there is one: whoever keeps a file does not pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestor.errors import LedgerError
from ingestor.ledger.browsing import LedgerBrowser
from ingestor.ledger.grouped import GroupedLedger
from ingestor.ledger.lock import holder_of
from ingestor.ledger.reader import LedgerReader
from ingestor.ledger.sqlite import SqliteLedger
from ingestor.ledger.sqlite_reader import SqliteBrowser, SqliteReader
from ingestor.ports import Clock
from ingestor.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from ingestor.ledger.postgres.database import Database

OWN_FACTS: Sequence[str] = (
    "runtime.status",
    "runtime.chart",
    "clock.correction",
    "quota.reads",
    "adhoc_folders",
    "hooks.seq",
)
"""Facts that each station has for itself where a ledger is shared."""


def ledger_at(settings: Settings, clock: Clock) -> GroupedLedger:
    """The ledger, not opened yet. Raises `LedgerError` where what it takes is not installed."""
    if isinstance(settings.ledger, Path):
        return SqliteLedger(settings.ledger, clock)
    from ingestor.ledger.postgres.ledger import PostgresLedger

    return PostgresLedger(database_at(settings.ledger), clock, station=settings.station, own_facts=OWN_FACTS)


def reader_at(settings: Settings, clock: Clock) -> LedgerReader:
    """The ledger for whoever only looks, not opened yet."""
    if isinstance(settings.ledger, Path):
        return SqliteReader(settings.ledger, clock)
    from ingestor.ledger.postgres.reader import PostgresReader

    return PostgresReader(database_at(settings.ledger), clock, station=settings.station, own_facts=OWN_FACTS)


def browser_at(settings: Settings, clock: Clock) -> LedgerBrowser:
    """The ledger for whoever leafs through it."""
    if isinstance(settings.ledger, Path):
        return SqliteBrowser(settings.ledger, clock)
    from ingestor.ledger.postgres.reader import PostgresBrowser

    return PostgresBrowser(database_at(settings.ledger), clock, station=settings.station, own_facts=OWN_FACTS)


def holder_at(settings: Settings) -> str | None:
    """Who holds the ledger, or this station of a shared one, now, in words; None: nobody. Raises `DiskFault`."""
    if isinstance(settings.ledger, Path):
        return holder_of(settings.ledger)
    from ingestor.ledger.postgres.locks import station_lock, who_holds

    return who_holds(database_at(settings.ledger), station_lock(settings.station))


def database_at(url: DatabaseUrl) -> Database:
    """The database at an address. Raises `LedgerError` where what it takes is not installed."""
    try:
        from ingestor.ledger.postgres.database import Database
    except ImportError as error:
        raise LedgerError(
            f"{url}: a ledger on PostgreSQL needs more to be installed: pip install 'ingestor[postgres]' ({error})"
        ) from error
    return Database(url)

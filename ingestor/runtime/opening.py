"""The ledger of the settings, opened: to look, to change a row, or with the right to ingest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestor.errors import DiskFault, LedgerHeld, LedgerUnreadable
from ingestor.ledger import LedgerLock, LedgerReader
from ingestor.ledger.grouped import GroupedLedger
from ingestor.ledger.place import ledger_at, reader_at
from ingestor.observe.cleaning import redact
from ingestor.ports import Clock, Observer
from ingestor.runtime.clock_watch import CLOCK_FACT
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from ingestor.ledger.postgres.ledger import PostgresLedger

GUARD_SECONDS = 1.0
"""Between looks at whether a lock in a database is still ours."""


@contextlib.asynccontextmanager
async def open_ledger(
    settings: Settings, *, clock: Clock | None = None, must_exist: bool = True, waits: Observer | None = None
) -> AsyncIterator[GroupedLedger]:
    """The ledger, for whoever only reads or changes a row: the daemon may hold it meanwhile.

    With `waits` a database that is away is waited for, and the observer is told.
    """
    if must_exist and not await ledger_exists(settings):
        raise LedgerUnreadable(
            f"{settings.ledger}: there is no ledger yet; start `ingestor watch` or `ingestor backfill` first"
        )
    _hide(settings)
    ledger = ledger_at(settings, clock or SystemClock())
    try:
        if waits is None:
            await ledger.open()
        else:
            await until_disk_is_well(SystemClock(), waits, ledger.open)
        SystemClock.correct(await ledger.fact(CLOCK_FACT) or 0.0)
        yield ledger
    finally:
        await ledger.close()


@contextlib.asynccontextmanager
async def read_ledger(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[LedgerReader]:
    """The ledger, for whoever only looks: nothing is made or changed. Raises `LedgerUnreadable` where there is none."""
    _hide(settings)
    ledger = reader_at(settings, clock or SystemClock())
    try:
        await ledger.open()
        SystemClock.correct(await ledger.fact(CLOCK_FACT) or 0.0)
        yield ledger
    finally:
        await ledger.close()


async def ledger_exists(settings: Settings) -> bool:
    """Whether there is a ledger where the settings say. Raises `DiskFault` where that cannot be told."""
    if isinstance(settings.ledger, Path):
        try:
            return settings.ledger.stat().st_size > 0
        except OSError:
            return False
    _hide(settings)
    reader = reader_at(settings, SystemClock())
    try:
        return await reader.exists()
    finally:
        await reader.close()


@contextlib.asynccontextmanager
async def hold_ledger(settings: Settings, what: str, *, waits: Observer | None = None) -> AsyncIterator[GroupedLedger]:
    """The ledger, with the right to ingest. Raises `LedgerHeld` where another process has it.

    With `waits` a database that is away is waited for, and the observer is told.
    """
    if isinstance(settings.ledger, Path):
        lock = LedgerLock(settings.ledger, what)
        lock.acquire()
        try:
            async with open_ledger(settings, must_exist=False) as ledger:
                yield ledger
        finally:
            lock.release()
        return
    from ingestor.ledger.postgres.ledger import PostgresLedger

    async with open_ledger(settings, must_exist=False, waits=waits) as ledger:
        assert isinstance(ledger, PostgresLedger)
        async with _station_held(ledger, settings, what):
            yield ledger


@contextlib.asynccontextmanager
async def _station_held(ledger: PostgresLedger, settings: Settings, what: str) -> AsyncIterator[None]:
    """The right to ingest a station's own folders, for as long as the block runs: it ends where another takes over."""
    from ingestor.ledger.postgres.locks import station_lock

    name = station_lock(settings.station)
    ledger.locks.what = what
    if not await ledger.locks.try_acquire(name):
        raise await _held_by_another(ledger, name)
    body = asyncio.current_task()
    assert body is not None
    guarding = asyncio.create_task(_until_lost(ledger, name))
    guarding.add_done_callback(lambda task: None if task.cancelled() else body.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not guarding.done():
            raise
        body.uncancel()
        raise guarding.result() from None
    finally:
        guarding.cancel()
        with contextlib.suppress(DiskFault):
            await ledger.locks.release(name)


async def _until_lost(ledger: PostgresLedger, name: str) -> LedgerHeld:
    """Return when somebody else has the lock. After a restart of the database it is, most often, ours again."""
    while True:
        await asyncio.sleep(GUARD_SECONDS)
        with contextlib.suppress(DiskFault):
            if not await ledger.locks.try_acquire(name):
                return await _held_by_another(ledger, name)


async def _held_by_another(ledger: PostgresLedger, name: str) -> LedgerHeld:
    holder = await ledger.locks.holder(name) or "unknown"
    return LedgerHeld(
        f"another ingestor works as {name} with this ledger: {holder} ({ledger.name}); stop it, or give this machine "
        "a name of its own as cluster.station"
    )


async def copy_ledger(here: Settings, there: Settings) -> Mapping[str, int]:
    """All that one ledger remembers, in another one; table to number of rows. Raises `LedgerError`, `LedgerHeld`."""
    if not await ledger_exists(here):
        raise LedgerUnreadable(f"{here.ledger}: there is no ledger to be copied")
    what = "ingestor ledger copy"
    async with hold_ledger(here, what) as source, hold_ledger(there, what) as target:
        for ledger in (source, target):
            await _nobody_else(ledger)
        return await target.copy_from(source, _renamed(source, target))


async def _nobody_else(ledger: GroupedLedger) -> None:
    others = getattr(ledger, "others", None)
    at_work = await others() if others is not None else ()
    if at_work:
        raise LedgerHeld(f"others work with this ledger: {', '.join(at_work)} ({ledger.name}); stop them first")


def _renamed(source: GroupedLedger, target: GroupedLedger) -> Callable[[str], str | None]:
    """What a fact is called in the other ledger: a shared one has some for each station, a file only ours."""

    def name_of(name: str) -> str | None:
        plain = source.plain_name(name)
        return None if plain is None else target.kept_name(plain)

    return name_of


def _hide(settings: Settings) -> None:
    """The password in an address is shown to nobody."""
    if isinstance(settings.ledger, DatabaseUrl):
        for secret in settings.ledger.secrets:
            redact(secret)

"""The ledger as reports look at it: there may be none yet, and somebody may be at work with it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ingestor.errors import DiskFault, UsageError
from ingestor.ledger import LedgerReader
from ingestor.ledger.place import holder_at
from ingestor.runtime.opening import ledger_exists, read_ledger
from ingestor.settings import Settings


@contextlib.asynccontextmanager
async def ledger_if_any(settings: Settings) -> AsyncIterator[LedgerReader | None]:
    """The ledger to be read; None where nothing has run yet. Raises `LedgerUnreadable`."""
    if not await ledger_exists(settings):
        yield None
        return
    async with read_ledger(settings) as ledger:
        yield ledger


def holder(settings: Settings) -> str | None:
    """Who works with the ledger now, in words; None: nobody, or it cannot be told."""
    with contextlib.suppress(DiskFault):
        return holder_at(settings)
    return None


async def check_folder(settings: Settings, name: str | None) -> None:
    """Raises `UsageError` for a folder of which neither the settings nor the ledger know."""
    if name is None:
        return
    known = {folder.name for folder in settings.folders}
    async with ledger_if_any(settings) as ledger:
        if ledger is not None:
            known |= set(await ledger.folder_names())
    if name not in known:
        raise UsageError(f"--folder {name}: there is no such folder; known are: {', '.join(sorted(known)) or 'none'}")

"""The ledger as reports look at it: there may be none yet, and somebody may be at work with it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ingestor.errors import DiskFault
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

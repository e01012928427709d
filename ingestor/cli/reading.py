"""The ledger as reports look at it: there may be none yet, and somebody may be at work with it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ingestor.app import read_ledger
from ingestor.errors import DiskFault
from ingestor.ledger import LedgerReader, holder_of
from ingestor.settings import Settings


def has_ledger(settings: Settings) -> bool:
    """Whether there is one; of a database, only opening it tells."""
    return not isinstance(settings.ledger, Path) or settings.ledger.exists()


@contextlib.asynccontextmanager
async def ledger_if_any(settings: Settings) -> AsyncIterator[LedgerReader | None]:
    """The ledger to be read; None where nothing has run yet. Raises `LedgerUnreadable`."""
    if not has_ledger(settings):
        yield None
        return
    async with read_ledger(settings) as ledger:
        yield ledger


def holder(settings: Settings) -> str | None:
    """Who works with the ledger now, in words; None: nobody, or it cannot be told."""
    if not isinstance(settings.ledger, Path):
        return None
    with contextlib.suppress(DiskFault):
        return holder_of(settings.ledger)
    return None

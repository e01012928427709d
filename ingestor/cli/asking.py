"""A ledger and an API opened together, for commands that ask about ids while a daemon may be running."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestor.ports import Clock, FilesApi, Ledger
    from ingestor.runtime.upkeep import Verifier
    from ingestor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    ledger: Ledger
    api: FilesApi
    clock: Clock
    verifier: Verifier


@contextlib.asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Asking]:
    """Raises `LedgerUnreadable` where there is no ledger yet."""
    from ingestor.app import open_api
    from ingestor.observe.logs import LogObserver, configure_logs
    from ingestor.runtime.opening import open_ledger
    from ingestor.runtime.system_clock import SystemClock
    from ingestor.runtime.upkeep import Verifier
    from ingestor.stages.manifest import Manifest

    configure_logs(settings.log.level, settings.log.format)
    clock = SystemClock()
    async with (
        open_ledger(settings, clock=clock) as ledger,
        open_api(settings, await ledger.facts(), clock=clock, observer=LogObserver(), patient=False) as api,
    ):
        manifest = Manifest(settings.manifest, ledger)
        await manifest.open()
        while await ledger.expire():
            pass
        yield Asking(
            ledger=ledger,
            api=api.files,
            clock=clock,
            verifier=Verifier(api=api.files, ledger=ledger, manifest=manifest),
        )

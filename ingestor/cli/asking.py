"""A ledger and an API opened together, for commands that ask about ids while a daemon may be running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestor.files_api import ResilientFilesApi
    from ingestor.ports import Clock, FilesApi, Ledger
    from ingestor.runtime.upkeep import Verifier
    from ingestor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    ledger: Ledger
    api: FilesApi
    clock: Clock
    verifier: Verifier


PATIENCE_SECONDS = 60.0
"""How long an API that is down is waited for: somebody sits before this command."""
LOOK_SECONDS = 0.5


@contextlib.asynccontextmanager
async def asking(settings: Settings, folder: str | None = None, *, marks_ended: bool = True) -> AsyncIterator[Asking]:
    """Raises `LedgerUnreadable` where there is no ledger yet, `UsageError` where there is no such `folder`.

    `marks_ended` False: ids that have ended by themselves are left for the block to find.

    What is asked raises `ApiUnavailable` when the API has been down for too long.
    """
    from ingestor.app import open_api
    from ingestor.cli.reading import check_folder, holder
    from ingestor.observe.logs import LogObserver, configure_logs
    from ingestor.runtime.clock_watch import kept_right
    from ingestor.runtime.opening import open_ledger
    from ingestor.runtime.system_clock import SystemClock
    from ingestor.runtime.upkeep import Verifier
    from ingestor.stages.manifest import Manifest

    configure_logs(settings.log.level, settings.log.format)
    clock, observer = SystemClock(), LogObserver()
    async with contextlib.AsyncExitStack() as stack:
        await check_folder(settings, folder)
        ledger = await stack.enter_async_context(open_ledger(settings, clock=clock))
        api = await stack.enter_async_context(
            open_api(settings, await ledger.facts(), clock=clock, observer=observer, patient=False)
        )
        # A daemon sets its line and the ledger right by itself.
        is_alone = holder(settings) is None
        stack.enter_context(
            kept_right(clock, api.http, api.files, ledger=ledger, observer=observer, sets_ledger=is_alone)
        )
        stack.callback(asyncio.ensure_future(_give_up(api.files, clock)).cancel)
        manifest = Manifest(settings.manifest, ledger)
        await manifest.open()
        while marks_ended and await ledger.expire():
            pass
        yield Asking(
            ledger=ledger,
            api=api.files,
            clock=clock,
            verifier=Verifier(api=api.files, ledger=ledger, manifest=manifest, clock=clock),
        )


async def _give_up(api: ResilientFilesApi, clock: Clock) -> None:
    """End all waiting when the API has been down for too long."""
    from ingestor.errors import ApiUnavailable

    down_since: float | None = None  # by the clock that nobody sets
    while True:
        await clock.sleep(LOOK_SECONDS)
        state = api.breaker.state
        if not state.is_open:
            down_since = None
            continue
        down_since = down_since if down_since is not None else clock.monotonic()
        if clock.monotonic() - down_since >= PATIENCE_SECONDS:
            api.stop(ApiUnavailable(state.reason or "api", f"{state.message}; given up: run it again later"))
            return

"""What a run shows while it runs: a live display on a terminal, log lines elsewhere; at its end, what came out."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Self

from ingestor.observe.logs import LogObserver, configure_logs
from ingestor.observe.progress import Progress
from ingestor.observe.several import Observers
from ingestor.observe.summary import summary_table
from ingestor.ports import Observer
from ingestor.runtime.parts import Parts
from ingestor.runtime.system_clock import SystemClock
from ingestor.runtime.tally import Tally
from ingestor.settings import Settings

LOOK_SECONDS = 0.25


class Screen:
    """The observer of a run, and what it draws. `verbose`: a line for each image, also above a live display."""

    def __init__(self, settings: Settings, *, json: bool, verbose: bool = False) -> None:
        configure_logs(settings.log.level, settings.log.format)
        self._progress = Progress(sys.stderr, SystemClock())
        logs = LogObserver(images=verbose or not self._progress.is_live)
        self.observer: Observer = Observers(logs, self._progress)
        self._json = json
        self._following: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
        self._progress.__exit__(kind, error, trace)

    def follow(self, tally: Tally, parts: Parts) -> None:
        """Keep the display informed of how much there is to do, and of what the quota allows."""
        self._following = asyncio.create_task(self._follow(tally, parts))

    async def _follow(self, tally: Tally, parts: Parts) -> None:
        while True:
            if tally.scanned:
                self._progress.set_total(tally.discovered - tally.ended_by_scan)
            quota = parts.upload_quota()
            self._progress.set_quota(quota.per_minute, quota.left)
            await asyncio.sleep(LOOK_SECONDS)

    def sum_up(self, tally: Tally) -> None:
        """The totals, and every reason with its files; with `--json`, stdout has them."""
        self._progress.__exit__(None, None, None)
        if not self._json:
            counts = tally.as_json()
            summary_table(counts, counts["problems"])

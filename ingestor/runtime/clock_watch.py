"""Holds this machine's clock against the API's: a wrong one is noticed, told, and reckoned with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from ingestor.files_api import HttpFilesApi
from ingestor.ports import Ledger, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.system_clock import SystemClock

CLOCK_FACT = "clock.correction"
"""The ledger's name for the seconds that the next start, and `status`, add to the machine's time."""

TOLERANCE_SECONDS = 5.0
"""The API's `Date` is whole seconds, and its answer takes time to come: less than this is no mistake."""


@contextlib.contextmanager
def kept_right(
    clock: SystemClock, api: HttpFilesApi, *, ledger: Ledger, observer: Observer, sets_ledger: bool = True
) -> Iterator[None]:
    """The clock is set by what the API answers, and the ledger with it, unless another program does that."""
    watch = ClockWatch(ledger=ledger, observer=observer, clock=clock)
    api.hear_time = watch.hear
    running = asyncio.ensure_future(watch.run()) if sets_ledger else None
    try:
        yield
    finally:
        if running is not None:
            running.cancel()


class ClockWatch:
    """Told the API's time with each answer: sets the clock at once, and the ledger while it runs, until cancelled."""

    def __init__(self, *, ledger: Ledger, observer: Observer, clock: SystemClock) -> None:
        self._ledger = ledger
        self._observer = observer
        self._clock = clock
        self._step = 0.0
        """By how much the clock was set since the ledger was."""
        self._heard = asyncio.Event()

    def hear(self, server_now: float) -> None:
        """An answer that has just come was made at this instant (epoch seconds)."""
        machine_now = self._clock.now().timestamp() - self._clock.correction()
        correction = server_now + 0.5 - machine_now
        if abs(correction - self._clock.correction()) > TOLERANCE_SECONDS:
            # Within the tolerance of right, it is right: no correction rather than a small one.
            correction = correction if abs(correction) > TOLERANCE_SECONDS else 0.0
            self._step += correction - self._clock.correction()
            self._clock.correct(correction)
            self._heard.set()

    async def run(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            await until_disk_is_well(self._clock, self._observer, self._set_ledger)

    async def _set_ledger(self) -> None:
        """Set right when those in line have their turn, which the wrong clock had set; and tell the next start."""
        step, correction = self._step, self._clock.correction()
        await self._ledger.shift_line(step)
        self._step -= step
        await self._ledger.set_fact(CLOCK_FACT, correction)
        self._observer.notice("clock_wrong", seconds=round(-correction, 1))

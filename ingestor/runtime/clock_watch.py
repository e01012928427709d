"""Holds this machine's clock against the API's: a wrong one is noticed, told, and reckoned with."""

from __future__ import annotations

import asyncio

from ingestor.ports import Ledger, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.system_clock import SystemClock

CLOCK_FACT = "clock.correction"
"""The ledger's name for the seconds that the next start, and `status`, add to the machine's time."""

TOLERANCE_SECONDS = 5.0
"""The API's `Date` is whole seconds, and its answer takes time to come: less than this is no mistake."""


class ClockWatch:
    """Told the API's time with each answer. Runs until cancelled."""

    def __init__(self, *, ledger: Ledger, observer: Observer, clock: SystemClock) -> None:
        self._ledger = ledger
        self._observer = observer
        self._clock = clock
        self._correction: float | None = None
        self._heard = asyncio.Event()

    def hear(self, server_now: float) -> None:
        """An answer that has just come was made at this instant (epoch seconds)."""
        machine_now = self._clock.now().timestamp() - self._clock.correction()
        correction = server_now + 0.5 - machine_now
        if abs(correction - self._clock.correction()) > TOLERANCE_SECONDS:
            # Within the tolerance of right, it is right: no correction rather than a small one.
            self._correction = correction if abs(correction) > TOLERANCE_SECONDS else 0.0
            self._heard.set()

    async def run(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            if self._correction is not None:
                await until_disk_is_well(self._clock, self._observer, self._apply, self._correction)

    async def _apply(self, correction: float) -> None:
        """Set the clock right, and with it when those in line have their turn, which the wrong clock had set."""
        step = correction - self._clock.correction()
        self._clock.correct(correction)
        await self._ledger.shift_line(step)
        await self._ledger.set_fact(CLOCK_FACT, correction)
        self._observer.notice("clock_wrong", seconds=round(-correction, 1))

"""A shared quota in simulated time: the row is a real one, its clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ingestor.ledger.postgres.row import FactRow
from tests.fakes import FakeClock
from tests.postgres_kit import database, new_database


class PatientClock(FakeClock):
    """Lets no time pass while a database is asked."""

    asked = 0

    def _tick(self) -> None:
        if self.asked:
            asyncio.get_running_loop().call_later(0.0005, self._tick)
        else:
            super()._tick()


class SimulatedRow(FactRow):
    async def change(self, change: Callable[..., Any]) -> Any:
        clock: Any = self._clock
        clock.asked += 1
        try:
            return await super().change(change)
        finally:
            clock.asked -= 1

    def _time(self, now: float) -> float:
        return self._clock.now().timestamp()


def url_of_row() -> str:
    return new_database()


def row_of(url: str, clock: PatientClock) -> SimulatedRow:
    return SimulatedRow(database(url), "quota.uploads", clock)

"""How many uploads are in flight: fewer when the API or the link says so, slowly more while all goes well."""

from __future__ import annotations

import asyncio
import heapq

from ingestor.model import Lane
from ingestor.ports import Observer

SLOW_LINK = frozenset({"send_timeout", "answer_timeout", "timeout"})
"""Faults that fewer uploads at once may cure. The system takes megabytes of a body before they leave, so that a slow
link may look like a late answer."""


class Slots:
    """Additive increase, multiplicative decrease, from 1 to `most`. Lower lanes first, then earlier callers."""

    def __init__(self, most: int, observer: Observer) -> None:
        if most < 1:
            raise ValueError("at least one upload must be allowed in flight")
        self.most = most
        self.in_flight = 0
        self._limit = float(most)
        self._observer = observer
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._round = 0

    @property
    def limit(self) -> int:
        """The most that may be in flight now."""
        return int(self._limit)

    async def enter(self, lane: Lane) -> int:
        """Return when there is room. The number goes back to `too_many`, so that one round counts once."""
        self._arrivals += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (int(lane), self._arrivals, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                turn.cancel()
            raise
        return self._round

    def leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def went_well(self) -> None:
        """One more in flight after each full round of successes."""
        if self._limit < self.most:
            self._limit = min(float(self.most), self._limit + 1.0 / self._limit)
            self._admit()

    def too_many(self, entered_in: int) -> None:
        """Half as many; once for all that were in flight together."""
        if entered_in != self._round:
            return
        self._round += 1
        before, self._limit = self.limit, max(1.0, min(self._limit, float(self.in_flight)) / 2)
        if self.limit != before:
            self._observer.notice("uploads_at_once", limit=self.limit, most=self.most)

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self.limit:
            turn = heapq.heappop(self._waiters)[2]
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

"""How many uploads are in flight: fewer when the API or the link says so, slowly more while all goes well."""

from __future__ import annotations

import asyncio
import heapq
import math
from dataclasses import dataclass

from ingestor.model import Lane
from ingestor.ports import Observer

SLOW_LINK = frozenset({"send_timeout", "answer_timeout", "timeout"})
"""Faults that fewer uploads at once may cure. The system takes megabytes of a body before they leave, so that a slow
link may look like a late answer."""


MOST_PATIENCE = 32
"""Rounds of successes before a slot that was too many again and again is tried once more: each try may cost a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsStatus:
    """What `status` says of the uploads that are in flight."""

    in_flight: int
    limit: int
    """As many may be in flight now: fewer than `most` where the API or the link took no more."""
    most: int
    """`api.concurrency`."""

    @property
    def is_short(self) -> bool:
        """Whether more uploads would be in flight, if the API or the link took them."""
        return self.in_flight >= self.limit < self.most


class Slots:
    """Additive increase, multiplicative decrease, from 1 to `most`. Lower lanes first, then earlier callers.

    Up to where it was crowded last it grows by one each round; the slot that was too many is tried ever less often.
    """

    def __init__(self, most: int, observer: Observer) -> None:
        if most < 1:
            raise ValueError("at least one upload must be allowed in flight")
        self.most = most
        self.in_flight = 0
        self.limit = most
        """The most that may be in flight now."""
        self._observer = observer
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._round = 0
        self._crowded_at = math.inf
        self._patience = 1
        self._successes = 0

    def status(self) -> SlotsStatus:
        return SlotsStatus(in_flight=self.in_flight, limit=self.limit, most=self.most)

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
        if self.limit >= self.most:
            return
        self._successes += 1
        rounds = self._patience if self.limit + 1 >= self._crowded_at else 1
        if self._successes >= rounds * self.limit:
            self.limit, self._successes = self.limit + 1, 0
            if self.limit > self._crowded_at:
                self._crowded_at, self._patience = math.inf, 1
            self._admit()

    def too_many(self, entered_in: int) -> None:
        """Half as many; once for all that were in flight together."""
        if entered_in != self._round:
            return
        self._round += 1
        crowd = min(self.limit, self.in_flight)
        self._patience = min(2 * self._patience, MOST_PATIENCE) if crowd >= self._crowded_at else 1
        before, self.limit = self.limit, max(1, crowd // 2)
        self._crowded_at, self._successes = crowd, 0
        if self.limit != before:
            self._observer.notice("uploads_at_once", limit=self.limit, most=self.most)

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self.limit:
            turn = heapq.heappop(self._waiters)[2]
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

"""The team's token bucket within one process: one gate that everyone passes, paced ahead of the server."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from ingestor.model import Json, Lane, RateHeaders
from ingestor.policy.backoff import MOST_RETRY_AFTER_SECONDS
from ingestor.policy.pacing import SHARED_RESERVE, TokenBucket
from ingestor.ports import Clock, Observer
from ingestor.quota.status import QuotaStatus, from_state, others_of, to_state

OTHERS_SECONDS = 300.0
"""How long another spender is remembered."""

ANSWER_SECONDS = 600.0
"""A request without an answer for this long is not waited for: its caller must have gone."""

SPARE_IN_FLIGHT = 2
"""Requests under way beyond what the bucket is sure to have."""

NEWCOMER_RESERVE = 1.0
"""Tokens left while a backlog waits and nobody else has been seen."""

ANSWERS_AVERAGED = 8
"""How many answers the time to an answer is averaged over."""

_Waiter = tuple[int, float, int, "asyncio.Future[None]"]


class LocalQuota:
    """A `Quota` that learns capacity and refill from the API's headers. CONTRACT.md, Rate limits.

    Every token that was acquired is answered by one `observe`, without headers where none came. The first
    request of a process, and the first after a 429, goes out alone: what its answer says decides how many may
    follow.
    """

    def __init__(
        self,
        *,
        capacity: int,
        per_minute: float,
        clock: Clock,
        at_once: int | None = None,
        name: str = "uploads",
        observer: Observer | None = None,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        """`at_once`: requests that can be under way; who has a token beyond that could only keep it from others."""
        self.name = name
        self._at_once = at_once
        self._clock = clock
        self._observer = observer
        self._bucket = TokenBucket.full(capacity, per_minute, clock.monotonic())
        self._waiters: list[_Waiter] = []
        self._urgent: list[tuple[float, int, asyncio.Future[None]]] = []
        """Those of them that will go before all others, and from when (monotonic)."""
        self._arrivals = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = math.inf
        self._unanswered: deque[float] = deque()
        self._alone = True
        self._was_told = False
        """By an answer to a former process, whose numbers these are until the first answer to this one."""
        self._doubt = 0.0
        self._others: deque[tuple[float, float]] = deque()
        self._reserve = 0.0
        self._widened_at = -math.inf
        self._answer_seconds = 0.0
        if state is not None:
            self.restore(state)

    # -- Quota -------------------------------------------------------------------------------------

    async def acquire(self, lane: Lane, *, urgent_in: float = math.inf) -> None:
        """Return when one token is ours; the lower lane goes first, then who is urgent sooner, then the earlier caller.

        Who still waits after `urgent_in` seconds goes before all others.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        urgent_at = self._clock.monotonic() + urgent_in
        heapq.heappush(self._waiters, (int(lane), urgent_at, self._arrivals, turn))
        if urgent_in < math.inf:
            heapq.heappush(self._urgent, (urgent_at, self._arrivals, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            else:
                turn.cancel()
                self._serve()
            raise

    def observe(self, headers: RateHeaders) -> None:
        """Learn from one answer; `RateHeaders()` for a request that ended without one."""
        now = self._clock.monotonic()
        oldest_at = self._unanswered.popleft() if self._unanswered else now
        self._bucket, taken = self._bucket.learn(headers, now, oldest_at=oldest_at, unanswered=len(self._unanswered))
        if taken > 1e-6:
            self._somebody_else(now, taken)
        self._answer_seconds += (now - oldest_at - self._answer_seconds) / ANSWERS_AVERAGED
        if headers.remaining is not None:
            self._doubt = max(0.0, self._bucket.tokens - (headers.remaining - len(self._unanswered)))
            if headers.remaining < 1:
                self._widen(now)
        if now >= self._bucket.held_until:
            self._alone = False
        self._serve()

    def hold(self, seconds: float) -> None:
        """Nobody gets a token for this long; then one request goes ahead of the others to see."""
        now = self._clock.monotonic()
        if self._bucket.learned and not self._alone:
            # a refill that is known is not the reason: somebody else is
            if self._shared(now) or self._bucket.refill.is_narrow:
                self._somebody_else(now, 1.0)
                self._widen(now)
            else:
                self._bucket = self._bucket.ease()
        self._alone = True
        self._bucket = self._bucket.hold(now, min(max(seconds, 0.0), MOST_RETRY_AFTER_SECONDS))
        self._serve()

    def give_back(self) -> None:
        """A token that was acquired, but no request was sent for it."""
        if self._unanswered:
            self._unanswered.pop()
        self._bucket = self._bucket.give_back(self._clock.monotonic())
        self._serve()

    # -- for status and the ledger -----------------------------------------------------------------

    def status(self) -> QuotaStatus:
        now, wall = self._clock.monotonic(), self._clock.now()
        bucket = self._bucket.to(now)
        free_at = bucket.next_free_at(self._kept_free(now))
        return QuotaStatus(
            left=max(0, math.floor(bucket.tokens + 1e-9)) if now >= bucket.held_until else 0,
            capacity=round(bucket.capacity),
            per_minute=round(bucket.per_second * 60, 3),
            learned=self._is_learned,
            held_until=_instant(wall, bucket.held_until - now) if bucket.held_until > now else None,
            next_free_at=None if math.isinf(free_at) else _instant(wall, max(0.0, free_at - now)),
            waiting=sum(not turn.done() for *_, turn in self._waiters),
            in_flight=len(self._unanswered),
            others_spending=self._taken_by_others(now),
        )

    def snapshot(self) -> dict[str, Json]:
        """What to keep in the ledger, so that a restart does not burst again. JSON."""
        now = self._clock.monotonic()
        state = to_state(self._bucket, self._clock.now(), now, self._taken_by_others(now), self._kept_free(now))
        return {**state, "learned": self._is_learned}

    def restore(self, state: Mapping[str, Json]) -> bool:
        """Go on from a `snapshot`; False, and nothing changed, where it makes no sense."""
        wall, now = self._clock.now(), self._clock.monotonic()
        bucket = from_state(self._bucket, state, wall, now)
        if bucket is None:
            return False
        self._bucket, self._was_told = bucket, state.get("learned") is True
        others = others_of(state, wall)
        if others is not None:
            self._others.append((now - others.ago_seconds, others.tokens))
            self._reserve = others.reserve
        self._serve()
        return True

    @property
    def _is_learned(self) -> bool:
        """Whether an answer has told these numbers, to this process or to the one whose state this is."""
        return self._bucket.learned or self._was_told

    # -- serving -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Give out what is there, in order; then set the timer for what comes next."""
        now = self._clock.monotonic()
        self._forget_lost(now)
        while self._waiters:
            turn = self._waiters[0][-1]
            if turn.done():
                heapq.heappop(self._waiters)
            elif self._free_at(now) <= now:
                self._bucket = self._bucket.take(now)
                self._unanswered.append(now)
                (self._most_urgent(now) or turn).set_result(None)
            else:
                break
        self._wake_at(self._free_at(now) if self._waiters else math.inf, now)

    def _most_urgent(self, now: float) -> asyncio.Future[None] | None:
        while self._urgent and self._urgent[0][2].done():
            heapq.heappop(self._urgent)
        return self._urgent[0][2] if self._urgent and self._urgent[0][0] <= now else None

    def _free_at(self, now: float) -> float:
        """When the next token may be given; in the past: now."""
        bucket = self._bucket = self._bucket.to(now)
        free_at = bucket.next_free_at(self._kept_free(now))
        if not self._unanswered:
            return free_at
        given_up_at = self._unanswered[0] + ANSWER_SECONDS
        doubtful = self._shared(now) and bucket.tokens - self._doubt < 1.0
        if self._alone or doubtful or self._is_ahead():
            return given_up_at
        return min(given_up_at, free_at)

    def _is_ahead(self) -> bool:
        """Whether more is under way than the bucket still holds and gains meanwhile.

        Should somebody else have emptied it, all of that would be refused. While it is full there is no reason to wait;
        when it is nearly empty, an answer comes before the next token does.
        """
        if self._at_once is not None and len(self._unanswered) >= self._at_once:
            return True
        gains = self._bucket.per_second * 2 * self._answer_seconds
        return len(self._unanswered) > self._bucket.tokens + SPARE_IN_FLIGHT + gains

    def _wake_at(self, when: float, now: float) -> None:
        if self._timer is not None and not self._timer.done():
            if self._timer_at <= when < math.inf:
                return  # it looks again when it comes too early: cheaper than a new one with each answer
            self._timer.cancel()
        self._timer, self._timer_at = None, when
        if not math.isinf(when):
            self._timer = asyncio.ensure_future(self._serve_after(when - now))

    async def _serve_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None
        self._serve()

    def _forget_lost(self, now: float) -> None:
        while self._unanswered and now - self._unanswered[0] >= ANSWER_SECONDS:
            self._unanswered.popleft()
            self._bucket, _ = self._bucket.learn(RateHeaders(), now, oldest_at=now)

    # -- other spenders ----------------------------------------------------------------------------

    def _somebody_else(self, now: float, tokens: float) -> None:
        if not self._shared(now):
            self._reserve = SHARED_RESERVE
            if self._observer is not None:
                self._observer.notice("quota_shared", quota=self.name, tokens=math.ceil(tokens))
        self._others.append((now, tokens))

    def _shared(self, now: float) -> bool:
        while self._others and now - self._others[0][0] > OTHERS_SECONDS:
            self._others.popleft()
        return bool(self._others)

    def _kept_free(self, now: float) -> float:
        """Tokens that are left in the bucket for others, so that theirs shows before it costs a 429.

        One is left for whoever may come, as long as a backlog waits: in a bucket that is emptied with each refill a
        newcomer would get nothing but 429s, which nobody else sees. It costs no time, for the last of them takes it.
        """
        if self._shared(now):
            return min(self._reserve, self._bucket.capacity / 3)
        is_backlog = len(self._waiters) > 1 and self._waiters[0][0] != Lane.FRESH
        return min(NEWCOMER_RESERVE, self._bucket.capacity / 3) if is_backlog else 0.0

    def _widen(self, now: float) -> None:
        """The others took more at once than was left for them: leave more, once the reserve had time to fill."""
        if self._shared(now) and (now - self._widened_at) * self._bucket.per_second > self._kept_free(now):
            self._reserve = min(2 * self._reserve, self._bucket.capacity / 3)
            self._widened_at = now

    def _taken_by_others(self, now: float) -> int:
        return math.ceil(sum(tokens for _, tokens in self._others)) if self._shared(now) else 0


def _instant(wall: datetime, seconds: float) -> datetime:
    return wall + timedelta(seconds=seconds)

"""The team's token bucket for several machines: one row in their database, asked by one loop in each process."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from ingestor.errors import EnvironmentFault
from ingestor.model import Json, Lane, RateHeaders
from ingestor.ports import Clock, Observer
from ingestor.quota.shared_bucket import MOST_HELD_SECONDS, Grant, SharedBucket
from ingestor.quota.status import QuotaStatus

T = TypeVar("T")

TOUCH_SECONDS = 5.0
"""Between signs of life while answers are waited for."""

AWAY_SECONDS = 1.0
"""Between tries to reach a database that is away."""

_URGENT = -1
"""Before every lane."""

Told = Callable[[SharedBucket, float], SharedBucket]
_Waiter = tuple[int, int, float, "asyncio.Future[None]"]
"""Lane, arrival, since when it waits, its turn."""


class Row(Protocol):
    """A JSON value that several processes change, one at a time."""

    async def change(self, change: Callable[[Json, float], tuple[Json, T]]) -> T:
        """Put what `change(value, now)` returns first in its place; what it returns second. `now`: epoch seconds.

        Raises `EnvironmentFault` where it cannot be reached.
        """


class SharedQuota:
    """A `Quota` whose bucket all processes share. CONTRACT.md, Rate limits.

    Here the callers stand in line; one loop asks for the first of them, reports what answers have taught, and hands
    each token to whoever is first when it is there. Who would be held for longer than `MOST_HELD_SECONDS` is put off.
    """

    def __init__(
        self,
        row: Row,
        *,
        process: str,
        capacity: int,
        per_minute: float,
        clock: Clock,
        at_once: int | None = None,
        name: str = "uploads",
        observer: Observer | None = None,
    ) -> None:
        """`process`: a name that no other has. `at_once`: requests that this process can have under way."""
        self.name = name
        self._row = row
        self._process = process
        self._at_once = math.inf if at_once is None else at_once
        self._clock = clock
        self._observer = observer
        self._capacity, self._per_minute = capacity, per_minute
        self._waiters: list[_Waiter] = []
        self._arrivals = 0
        self._told: list[Told] = []
        self._tokens: list[float] = []
        """When each token that is ours and that nobody has yet may be used (monotonic)."""
        self._unanswered = 0
        self._held_until = -math.inf
        self._known: tuple[SharedBucket, float, float] | None = None
        """What the row held last, its time, and ours then."""
        self._loop: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    # -- Quota -------------------------------------------------------------------------------------

    async def acquire(self, lane: Lane, *, urgent_in: float = math.inf) -> None:
        """Return when one token is ours; the lower lane is served first, then the earlier caller.

        Nobody waits here for long: who is urgent within that time is so from the start.
        Raises `EnvironmentFault` where that would take longer than anybody is held.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        place = _URGENT if urgent_in <= MOST_HELD_SECONDS else int(lane)
        heapq.heappush(self._waiters, (place, self._arrivals, self._clock.monotonic(), turn))
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()
            turn.cancel()
            raise

    def observe(self, headers: RateHeaders) -> None:
        """Learn from one answer; `RateHeaders()` for a request that ended without one."""
        self._unanswered = max(0, self._unanswered - 1)
        self._tell(lambda bucket, now: bucket.answered(self._process, headers, now))

    def hold(self, seconds: float) -> None:
        """Nobody gets a token for this long: here at once, elsewhere as soon as they ask."""
        self._held_until = max(self._held_until, self._clock.monotonic() + max(0.0, seconds))
        self._tell(lambda bucket, now: bucket.held(seconds, now))

    def give_back(self) -> None:
        """A token that was acquired, but no request was sent for it."""
        self._unanswered = max(0, self._unanswered - 1)
        self._tell(lambda bucket, now: bucket.given_back(self._process, now))

    # -- for status --------------------------------------------------------------------------------

    def status(self) -> QuotaStatus:
        """As the row stood when this process last looked at it."""
        bucket, now, ours = self._known or (self._fresh(0.0), 0.0, self._clock.monotonic())
        later = now + self._clock.monotonic() - ours
        present, wall = bucket.bucket.to(later), self._clock.now()
        free_at = present.next_free_at()
        return QuotaStatus(
            left=max(0, math.floor(present.tokens + 1e-9)) if later >= present.held_until else 0,
            capacity=round(present.capacity),
            per_minute=round(present.per_second * 60, 3),
            learned=present.learned,
            held_until=_instant(wall, present.held_until - later) if present.held_until > later else None,
            next_free_at=None if math.isinf(free_at) else _instant(wall, max(0.0, free_at - later)),
            waiting=sum(not waiter[3].done() for waiter in self._waiters),
            in_flight=sum(len(sent) for sent in bucket.in_flight.values()),
            others_spending=math.ceil(sum(tokens for _, tokens in bucket.others)),
        )

    async def close(self) -> None:
        """Report what is still to be reported, and give back what is left, as far as the database is there."""
        self._waiters.clear()
        self._give_back_tokens()
        self._wake()
        loop = self._loop
        if loop is not None:
            await asyncio.wait({loop}, timeout=AWAY_SECONDS)
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    # -- the loop ----------------------------------------------------------------------------------

    def _fresh(self, now: float) -> SharedBucket:
        return SharedBucket.fresh(self._capacity, self._per_minute, now)

    def _tell(self, told: Told) -> None:
        self._told.append(told)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.ensure_future(self._run())
            self._loop.add_done_callback(self._ended)

    def _ended(self, loop: asyncio.Task[None]) -> None:
        """Nobody waits for a loop that has failed: what it failed of is theirs to know."""
        error = None if loop.cancelled() else loop.exception()
        if error is not None:
            for waiter in self._live():
                if not waiter[3].done():
                    waiter[3].set_exception(error)

    async def _run(self) -> None:
        """Until nobody waits and nothing is to be reported."""
        while True:
            self._news.clear()
            self._serve()
            held_seconds = self._held_until - self._clock.monotonic()
            if held_seconds > MOST_HELD_SECONDS:
                self._put_off_all(held_seconds)
            lane, number = self._wanted()
            if not number and not self._told:
                if not self._live():
                    self._give_back_tokens()
                if not self._told and not self._live() and not self._unanswered:
                    return
                await self._until(self._next_at())
                if self._unanswered and not self._news.is_set():
                    self._told.append(lambda bucket, now: bucket.touched(self._process, now))
                continue
            grant = await self._exchange(lane, number)
            if grant is None:
                self._put_off_the_old("the ledger cannot be reached")
                await self._until(self._clock.monotonic() + AWAY_SECONDS, wakes=False)
                continue
            if number:
                await self._after(grant)

    async def _after(self, grant: Grant) -> None:
        """Tokens that came are kept until their time; where none came, a while passes before the next question."""
        now = self._clock.monotonic()
        self._tokens += [now] * (grant.number - 1)
        if grant.number:
            self._tokens.append(now + grant.wait_seconds)
        self._serve()
        self._put_off_the_old("the team's quota is used up")
        if grant.number == 0:
            if grant.token_seconds > MOST_HELD_SECONDS:
                self._put_off_all(grant.token_seconds)
            await self._until(min(now + grant.wait_seconds, self._next_at()))

    async def _exchange(self, lane: Lane, number: int) -> Grant | None:
        """Tell what there is to tell, and ask for tokens, in one change; None: the database is away."""
        told, self._told = self._told, []

        def change(value: Json, now: float) -> tuple[Json, tuple[Grant, SharedBucket, float]]:
            bucket = SharedBucket.from_json(value, self._fresh(now), now)
            for one in told:
                bucket = one(bucket, now)
            grant = Grant(number=0, wait_seconds=0.0, token_seconds=0.0)
            if number:
                bucket, grant = bucket.ask(self._process, lane, number, now)
            return bucket.to_json(now), (grant, bucket, now)

        try:
            grant, bucket, now = await self._row.change(change)
        except EnvironmentFault:
            self._told = told + self._told
            return None
        except asyncio.CancelledError:
            raise
        self._notice_others(bucket)
        self._known = (bucket, now, self._clock.monotonic())
        return grant

    def _notice_others(self, bucket: SharedBucket) -> None:
        before = self._known[0].others if self._known else ()
        if bucket.others and not before and self._observer is not None:
            tokens = math.ceil(sum(tokens for _, tokens in bucket.others))
            self._observer.notice("quota_shared", quota=self.name, tokens=tokens)

    # -- the line here -----------------------------------------------------------------------------

    def _live(self) -> list[_Waiter]:
        while self._waiters and self._waiters[0][3].done():
            heapq.heappop(self._waiters)
        return self._waiters

    def _wanted(self) -> tuple[Lane, int]:
        """For which lane tokens are asked now, and how many: none while one that is to come is ours already."""
        now, waiters = self._clock.monotonic(), self._live()
        if not waiters or self._tokens or now < self._held_until:
            return Lane.FRESH, 0
        lane = waiters[0][0]
        waiting = sum(waiter[0] == lane and not waiter[3].done() for waiter in waiters)
        return Lane(max(lane, Lane.FRESH)), int(max(0, min(waiting, self._at_once - self._unanswered)))

    def _serve(self) -> None:
        """Hand out the tokens whose time has come."""
        now = self._clock.monotonic()
        while self._tokens and now >= max(self._tokens[0], self._held_until) and self._live():
            turn = heapq.heappop(self._waiters)[3]
            self._tokens.pop(0)
            self._unanswered += 1
            turn.set_result(None)

    def _give_back_tokens(self) -> None:
        for _ in self._tokens:
            self._told.append(lambda bucket, now: bucket.given_back(self._process, now))
        self._tokens.clear()

    def _put_off_the_old(self, why: str) -> None:
        now = self._clock.monotonic()
        for _, _, since, turn in self._waiters:
            if not turn.done() and now - since >= MOST_HELD_SECONDS:
                _put_off(turn, why, MOST_HELD_SECONDS / 2)

    def _put_off_all(self, seconds: float) -> None:
        for waiter in self._waiters:
            if not waiter[3].done():
                _put_off(waiter[3], f"the team's quota is used up for {seconds:.0f} s", seconds)

    def _next_at(self) -> float:
        """When something happens here by itself (monotonic)."""
        now = self._clock.monotonic()
        times = [max(at, self._held_until) for at in self._tokens[:1]]
        if self._held_until > now:
            times.append(self._held_until)
        if self._unanswered:
            times.append(now + TOUCH_SECONDS)
        return min(times, default=math.inf)

    async def _until(self, when: float, *, wakes: bool = True) -> None:
        """Sleep until then (monotonic), or until there is something new."""
        seconds = when - self._clock.monotonic()
        waits = [asyncio.ensure_future(self._news.wait())] if wakes else []
        if not math.isinf(seconds):
            waits.append(asyncio.ensure_future(self._sleep(max(0.001, seconds))))  # type: ignore[arg-type]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _sleep(self, seconds: float) -> bool:
        await self._clock.sleep(seconds)
        return True


def _put_off(turn: asyncio.Future[None], why: str, seconds: float) -> None:
    turn.set_exception(EnvironmentFault("quota", why, retry_seconds=seconds))
    turn.exception()  # its caller may have gone; then nobody needs to hear of it


def _instant(wall: datetime, seconds: float) -> datetime:
    return wall + timedelta(seconds=seconds)

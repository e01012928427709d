"""Several processes and one bucket: what they get together, and who goes first. In simulated time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ingestor.errors import EnvironmentFault
from ingestor.model import Lane, RateHeaders
from ingestor.quota import SharedQuota
from tests.cluster.quota_kit import PatientClock, row_of, url_of_row
from tests.fakes import RecordingObserver, ServerBucket

BURST, PER_MINUTE = 60, 1800.0


class Machines:
    """Processes with a quota each on one row, and the API's own bucket."""

    def __init__(self, clock: PatientClock, stack: AsyncExitStack, **bucket: float) -> None:
        self.clock = clock
        self.stack = stack
        self.url = url_of_row()
        self.server = ServerBucket(
            clock, burst=int(bucket.get("burst", BURST)), per_minute=bucket.get("rate", PER_MINUTE)
        )
        self.rng = random.Random(7)
        self.observer = RecordingObserver()

    def start(self, name: str, *, capacity: int = BURST, per_minute: float = PER_MINUTE) -> SharedQuota:
        row = row_of(self.url, self.clock)
        quota = SharedQuota(
            row,
            process=name,
            capacity=capacity,
            per_minute=per_minute,
            clock=self.clock,
            at_once=8,
            observer=self.observer,
        )
        self.stack.push_async_callback(row.close)
        self.stack.push_async_callback(quota.close)
        return quota

    async def send(self, quota: SharedQuota, lane: Lane = Lane.BACKFILL) -> bool:
        """One request; whether it passed."""
        await quota.acquire(lane)
        await self.clock.sleep(self.rng.uniform(0.005, 0.05))
        passes, headers = self.server.take()
        await self.clock.sleep(self.rng.uniform(0.005, 0.05))
        quota.observe(headers)
        if not passes:
            quota.hold(self.server.retry_after)
        return passes

    async def work(self, quota: SharedQuota, number: int) -> None:
        """So many requests that pass, a dozen callers at once."""
        left = iter(range(number))

        async def caller() -> None:
            for _ in left:
                while not await self.send(quota):
                    pass

        await asyncio.gather(*(caller() for _ in range(12)))


@pytest.fixture
async def machines() -> AsyncIterator[Machines]:
    async with AsyncExitStack() as stack:
        yield Machines(PatientClock(), stack)


async def test_three_processes_use_the_bucket_up_and_never_more(machines: Machines) -> None:
    quotas = [machines.start(name) for name in "abc"]
    began = machines.clock.monotonic()
    await asyncio.gather(*(machines.work(quota, 130) for quota in quotas))
    seconds = machines.clock.monotonic() - began
    assert machines.server.refused == 0
    assert machines.server.taken == 390
    ideal = (390 - BURST) / (PER_MINUTE / 60)
    assert ideal / seconds >= 0.98


async def test_a_guess_that_is_too_high_is_put_right_by_the_answers(machines: Machines) -> None:
    quotas = [machines.start(name, capacity=1000, per_minute=60_000) for name in "abc"]
    await asyncio.gather(*(machines.work(quota, 40) for quota in quotas))
    assert machines.server.refused <= 12
    assert {quota.status().capacity for quota in quotas} == {BURST}


async def test_a_process_that_starts_later_goes_on_where_the_others_are(machines: Machines) -> None:
    await machines.work(machines.start("a"), 100)
    await machines.work(machines.start("b"), 100)
    assert machines.server.refused == 0


async def test_a_fresh_drop_does_not_wait_behind_the_backlog_of_other_machines(machines: Machines) -> None:
    slow = Machines(machines.clock, machines.stack, burst=4, rate=60.0)
    backlog = [asyncio.ensure_future(slow.work(slow.start(name, capacity=4, per_minute=60.0), 40)) for name in "abc"]
    await slow.clock.sleep(10.0)
    fresh = slow.start("d", capacity=4, per_minute=60.0)
    waits = []
    for _ in range(5):
        began = slow.clock.monotonic()
        await slow.send(fresh, Lane.FRESH)
        waits.append(slow.clock.monotonic() - began)
    for task in backlog:
        task.cancel()
    await asyncio.gather(*backlog, return_exceptions=True)
    # What others have reserved goes before, one token each; nothing else does.
    assert max(waits) <= 5.0
    assert sum(waits) <= 12.0


async def test_retry_after_holds_all_machines(machines: Machines) -> None:
    first, second = machines.start("a"), machines.start("b")
    await machines.send(first)
    await machines.send(second)
    first.hold(20.0)
    await machines.clock.sleep(0.5)
    began = machines.clock.monotonic()
    await second.acquire(Lane.FRESH)
    assert machines.clock.monotonic() - began >= 19.0


async def test_who_would_be_held_for_longer_than_half_a_minute_is_put_off(machines: Machines) -> None:
    slow = Machines(machines.clock, machines.stack, burst=2, rate=1.0)
    quota = slow.start("a", capacity=2, per_minute=1.0)
    await slow.send(quota)
    await slow.send(quota)
    with pytest.raises(EnvironmentFault) as caught:
        await quota.acquire(Lane.FRESH)
    assert caught.value.reason == "quota"
    assert 30.0 <= caught.value.retry_seconds <= 65.0


async def test_tokens_of_a_process_that_was_killed_are_not_waited_for_for_ever(machines: Machines) -> None:
    killed = machines.start("killed")
    await killed.acquire(Lane.FRESH)  # its first request, whose answer never comes
    assert killed._loop is not None
    killed._loop.cancel()
    other = machines.start("other")
    began = machines.clock.monotonic()
    while True:
        try:
            await other.acquire(Lane.FRESH)
        except EnvironmentFault as fault:
            await machines.clock.sleep(fault.retry_seconds)
        else:
            break
    assert machines.clock.monotonic() - began <= 20.0


async def test_an_answer_that_takes_long_is_waited_for_as_long_as_its_process_lives(machines: Machines) -> None:
    slow, other = machines.start("slow"), machines.start("other")
    await slow.acquire(Lane.FRESH)  # the first of all goes alone
    waiting = asyncio.ensure_future(other.acquire(Lane.FRESH))
    await machines.clock.sleep(25.0)
    assert not waiting.done()
    slow.observe(RateHeaders(limit=BURST, remaining=BURST - 1))
    await machines.clock.sleep(1.0)
    assert waiting.done()
    other.observe(RateHeaders())


async def test_a_token_that_nobody_used_goes_back(machines: Machines) -> None:
    quota, other = machines.start("a", capacity=3), machines.start("b", capacity=3)
    await machines.send(quota)
    for _ in range(2):
        waiting = asyncio.ensure_future(quota.acquire(Lane.FRESH))
        await machines.clock.sleep(0.2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        if not waiting.cancelled():
            quota.give_back()
    await machines.clock.sleep(0.2)
    other.observe(RateHeaders())
    await machines.clock.sleep(0.2)
    assert other.status().left >= 2

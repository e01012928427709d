"""What every `Quota` does, wherever the bucket is kept. An implementation is a row of `QUOTAS`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from ingestor.model import Lane, RateHeaders
from ingestor.ports import Clock, Quota
from ingestor.quota import LocalQuota, SharedQuota
from tests.fakes import FakeClock, RecordingObserver

CAPACITY, PER_MINUTE = 4, 60.0
"""Of every bucket here: a token a second."""


@dataclass(kw_only=True)
class World:
    """One implementation with a full bucket of `CAPACITY`, and the clock that it goes by."""

    quota: Quota
    clock: Clock

    async def spend(self, headers: RateHeaders | None = None, lane: Lane = Lane.FRESH) -> None:
        """One request, answered at once."""
        await self.quota.acquire(lane)
        self.quota.observe(headers or RateHeaders())

    async def seconds(self, times: int) -> float:
        """How long so many requests take, one after another."""
        started = self.clock.monotonic()
        for _ in range(times):
            await self.spend()
        return self.clock.monotonic() - started


@asynccontextmanager
async def local() -> AsyncIterator[World]:
    clock = FakeClock()
    quota = LocalQuota(capacity=CAPACITY, per_minute=PER_MINUTE, clock=clock, observer=RecordingObserver())
    yield World(quota=quota, clock=clock)


@asynccontextmanager
async def shared() -> AsyncIterator[World]:
    from tests.cluster.quota_kit import PatientClock, row_of, url_of_row

    clock = PatientClock()
    row = row_of(url_of_row(), clock)
    quota = SharedQuota(
        row, process="a", capacity=CAPACITY, per_minute=PER_MINUTE, clock=clock, observer=RecordingObserver()
    )
    yield World(quota=quota, clock=clock)
    await quota.close()
    await row.close()


QUOTAS: dict[str, Callable[[], AbstractAsyncContextManager[World]]] = {"local": local, "shared": shared}


@pytest.fixture(params=list(QUOTAS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with QUOTAS[request.param]() as world:
        yield world


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def drop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_full_bucket_is_spent_at_once_and_then_paced(world: World) -> None:
    assert await world.seconds(CAPACITY) < 0.5
    assert 2.5 <= await world.seconds(3) <= 3.6


async def test_a_rest_fills_it_again_and_no_further(world: World) -> None:
    await world.seconds(CAPACITY)
    await world.clock.sleep(60.0)
    assert await world.seconds(CAPACITY) < 0.5
    assert await world.seconds(1) > 0.5


async def test_remaining_lowers_the_count(world: World) -> None:
    await world.spend(RateHeaders(limit=CAPACITY, remaining=0))
    assert 0.5 <= await world.seconds(1) <= 1.6


async def test_remaining_never_raises_the_count(world: World) -> None:
    await world.seconds(CAPACITY)
    await world.spend(RateHeaders(limit=CAPACITY, remaining=CAPACITY))
    assert await world.seconds(2) > 1.0


async def test_a_smaller_limit_is_learned_from_the_first_answer(world: World) -> None:
    await world.spend(RateHeaders(limit=2, remaining=1))
    await world.clock.sleep(60.0)
    assert await world.seconds(3) > 0.5


async def test_a_larger_limit_is_learned_from_the_first_answer(world: World) -> None:
    await world.spend(RateHeaders(limit=20, remaining=19))
    assert await world.seconds(15) < 0.5


async def test_the_refill_is_learned_from_limit_remaining_and_reset(world: World) -> None:
    now = world.clock.now().timestamp()
    await world.spend(RateHeaders(limit=CAPACITY, remaining=0, reset_at=now + 4 * CAPACITY, server_now=now))
    assert await world.seconds(2) > 4.0


async def test_a_hold_keeps_everyone_for_so_long(world: World) -> None:
    world.quota.hold(5.0)
    started = world.clock.monotonic()
    await asyncio.gather(world.spend(), world.spend(lane=Lane.BACKFILL))
    assert world.clock.monotonic() - started >= 5.0


async def test_the_lower_lane_goes_first_then_the_earlier_caller(world: World) -> None:
    await world.seconds(CAPACITY)
    order: list[str] = []

    async def ask(name: str, lane: Lane) -> None:
        await world.spend(lane=lane)
        order.append(name)

    lanes = [("old 1", Lane.BACKFILL), ("old 2", Lane.BACKFILL), ("renewal", Lane.RENEWAL), ("fresh", Lane.FRESH)]
    await asyncio.gather(*(ask(name, lane) for name, lane in lanes))
    assert order == ["fresh", "renewal", "old 1", "old 2"]


async def test_who_is_urgent_goes_before_every_lane(world: World) -> None:
    await world.seconds(CAPACITY)
    order: list[str] = []

    async def ask(name: str, lane: Lane, urgent_in: float) -> None:
        await world.quota.acquire(lane, urgent_in=urgent_in)
        world.quota.observe(RateHeaders())
        order.append(name)

    lanes = [("fresh", Lane.FRESH, math.inf), ("later", Lane.RENEWAL, 3600.0), ("urgent", Lane.RENEWAL, 0.0)]
    await asyncio.gather(*(ask(*each) for each in lanes))
    assert order == ["urgent", "fresh", "later"]


async def test_whoever_gives_up_waiting_costs_no_token(world: World) -> None:
    await world.seconds(CAPACITY)
    waiting = [asyncio.ensure_future(world.quota.acquire(Lane.FRESH)) for _ in range(20)]
    await settle()
    await drop(*waiting)
    assert await world.seconds(2) <= 2.6


async def test_whoever_is_served_and_cancelled_at_once_costs_no_token(world: World) -> None:
    await world.quota.acquire(Lane.FRESH)
    waiting = [asyncio.ensure_future(world.quota.acquire(Lane.FRESH)) for _ in range(2)]
    await settle()
    world.quota.observe(RateHeaders(limit=CAPACITY, remaining=2))
    await drop(*waiting)
    assert await world.seconds(2) < 0.5


async def test_an_answer_without_headers_teaches_nothing_and_ends_the_wait_for_it(world: World) -> None:
    for _ in range(3):
        await world.quota.acquire(Lane.FRESH)
        world.quota.observe(RateHeaders())
    assert await world.seconds(1) < 0.5


async def test_odd_headers_do_no_harm(world: World) -> None:
    for headers in (
        RateHeaders(limit=0, remaining=0),
        RateHeaders(remaining=10**9),
        RateHeaders(limit=CAPACITY, remaining=10**9, reset_at=0.0, server_now=1e12),
        RateHeaders(reset_at=-5.0),
    ):
        await world.spend(headers)
    assert await world.seconds(3) <= 4.0

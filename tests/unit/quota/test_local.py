from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestor.model import Lane, RateHeaders
from ingestor.policy.backoff import MOST_RETRY_AFTER_SECONDS
from ingestor.quota import LocalQuota
from ingestor.quota.local import ANSWER_SECONDS, OTHERS_SECONDS
from tests.fakes import FakeClock, RecordingObserver, ServerBucket


class Kit:
    """A quota with a server's bucket that a test plays itself."""

    def __init__(self, *, capacity: int = 60, per_minute: float = 30, **more: Any) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.quota = LocalQuota(
            capacity=capacity, per_minute=per_minute, clock=self.clock, observer=self.observer, **more
        )

    def headers(self, remaining: float, *, limit: int = 60, per_minute: float = 30) -> RateHeaders:
        now = self.clock.now().timestamp()
        full_at = now + (limit - remaining) * 60 / per_minute
        return RateHeaders(
            limit=limit,
            remaining=math.floor(remaining),
            reset_at=float(math.ceil(full_at)),
            server_now=float(math.floor(now)),
        )

    async def spend(self, remaining: float, **more: Any) -> None:
        """One request, answered at once."""
        await self.quota.acquire(Lane.FRESH)
        self.quota.observe(self.headers(remaining, **more))

    def asks(self, lane: Lane = Lane.FRESH) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.quota.acquire(lane))


async def settle() -> None:
    """Let everything run that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


def granted(tasks: list[asyncio.Task[None]]) -> int:
    return sum(task.done() for task in tasks)


async def drop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# -- order and pace --------------------------------------------------------------------------------


async def test_the_first_request_goes_alone_and_its_answer_lets_the_others_go() -> None:
    kit = Kit()
    tasks = [kit.asks() for _ in range(10)]
    await settle()
    assert granted(tasks) == 1
    kit.quota.observe(kit.headers(59))
    await settle()
    assert granted(tasks) == 10


async def test_the_first_answer_decides_how_many_follow() -> None:
    kit = Kit()
    tasks = [kit.asks() for _ in range(10)]
    await settle()
    kit.quota.observe(kit.headers(2))
    await settle()
    assert granted(tasks) == 3
    await drop(*tasks)


async def test_an_empty_bucket_gives_one_token_for_each_refill() -> None:
    kit = Kit()
    await kit.spend(0)
    started = kit.clock.monotonic()
    for number in range(1, 6):
        await kit.spend(0)
        assert kit.clock.monotonic() - started == pytest.approx(2.0 * number, rel=0.01)


async def test_lower_lanes_go_first_then_whoever_came_first() -> None:
    kit = Kit()
    await kit.spend(0)
    order: list[str] = []

    async def ask(name: str, lane: Lane) -> None:
        await kit.quota.acquire(lane)
        order.append(name)
        kit.quota.observe(RateHeaders())

    names = [("old 1", Lane.BACKFILL), ("old 2", Lane.BACKFILL), ("renewal", Lane.RENEWAL), ("fresh", Lane.FRESH)]
    await asyncio.gather(*(ask(name, lane) for name, lane in names))
    assert order == ["fresh", "renewal", "old 1", "old 2"]


async def test_within_a_lane_who_is_urgent_sooner_goes_first() -> None:
    kit = Kit()
    await kit.spend(0)
    order: list[float] = []

    async def ask(urgent_in: float) -> None:
        await kit.quota.acquire(Lane.RENEWAL, urgent_in=urgent_in)
        order.append(urgent_in)
        kit.quota.observe(RateHeaders())

    await asyncio.gather(*(ask(hours * 3600) for hours in (20.0, 10.0, 15.0)))
    assert order == [10 * 3600, 15 * 3600, 20 * 3600]


async def test_a_fresh_drop_goes_at_once_whatever_the_backlog() -> None:
    kit = Kit()
    await kit.spend(0)
    backlog = [kit.asks(Lane.BACKFILL) for _ in range(1000)]
    await backlog[0]
    # The backlog has left one token, and takes none but what comes on top of it.
    kit.quota.observe(kit.headers(1))
    at, before = kit.clock.monotonic(), granted(backlog)
    await kit.quota.acquire(Lane.FRESH)
    assert kit.clock.monotonic() == at
    assert granted(backlog) == before
    await drop(*backlog)


async def test_who_has_waited_until_it_is_urgent_is_next_though_fresh_drops_never_end() -> None:
    kit = Kit()
    await kit.spend(0)
    fresh = [kit.asks() for _ in range(100)]
    renewals = [asyncio.ensure_future(kit.quota.acquire(Lane.RENEWAL, urgent_in=wait)) for wait in (60.0, 30.0)]
    served_at = []
    for _ in range(60):
        await kit.clock.sleep(1.0)
        kit.quota.observe(kit.headers(0))
        served_at.append(granted(renewals))
    assert served_at.index(1) in range(29, 33)
    await kit.clock.sleep(5.0)
    assert granted(renewals) == 2
    assert granted(fresh) < 100
    await drop(*fresh, *renewals)


@pytest.mark.parametrize("lane", [Lane.BACKFILL, Lane.RENEWAL])
async def test_a_backlog_leaves_one_token_for_whoever_comes_and_its_last_one_takes_it(lane: Lane) -> None:
    kit = Kit()
    await kit.spend(5)
    tasks = [kit.asks(lane) for _ in range(8)]
    await settle()
    assert (granted(tasks), kit.quota.status().left) == (4, 1)
    began = kit.clock.monotonic()
    for number, task in enumerate(tasks):
        await task
        kit.quota.observe(RateHeaders())
        assert kit.quota.status().left == (1 if number < 6 else 0)  # the last two go together
    # Five that were there, and three that came at one in two seconds: as soon as without.
    assert kit.clock.monotonic() - began == pytest.approx(6.0, rel=0.01)


async def test_no_more_tokens_are_out_than_requests_can_be_under_way() -> None:
    kit = Kit(at_once=4)
    await kit.spend(59)
    tasks = [kit.asks() for _ in range(10)]
    await settle()
    assert granted(tasks) == 4
    kit.quota.observe(kit.headers(55))
    await settle()
    assert granted(tasks) == 5
    await drop(*tasks)


async def test_near_the_end_of_the_bucket_no_more_are_under_way_than_can_be_sure_of_a_token() -> None:
    kit = Kit()
    await kit.spend(59)
    tasks = [kit.asks() for _ in range(59)]
    await settle()
    out = granted(tasks)
    assert out < 35
    for remaining in range(58, 20, -1):
        kit.quota.observe(kit.headers(remaining))
        await settle()
    assert granted(tasks) > out
    await drop(*tasks)


# -- 429 -------------------------------------------------------------------------------------------


async def test_a_hold_keeps_everyone_and_then_lets_one_go_ahead() -> None:
    kit = Kit()
    kit.quota.hold(7.0)
    at = kit.clock.monotonic()
    tasks = [kit.asks() for _ in range(3)]
    await tasks[0]
    assert kit.clock.monotonic() - at == pytest.approx(7.0)
    await settle()
    assert granted(tasks) == 1
    await drop(*tasks)


async def test_a_hold_while_the_bucket_should_not_be_empty_tells_of_another_spender() -> None:
    kit = Kit()
    await kit.spend(30)
    kit.quota.hold(1.0)
    assert kit.observer.of("quota_shared") == [{"quota": "uploads", "tokens": 1}]


async def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    kit = Kit()
    await kit.spend(30)
    at = kit.clock.monotonic()
    for seconds in (20.0, 1.0, 0.0, -5.0):
        kit.quota.hold(seconds)
    await kit.quota.acquire(Lane.FRESH)
    assert kit.clock.monotonic() - at == pytest.approx(20.0)


async def test_nobody_is_held_longer_than_an_hour() -> None:
    kit = Kit()
    await kit.spend(30)
    at = kit.clock.monotonic()
    kit.quota.hold(1e12)
    await kit.quota.acquire(Lane.FRESH)
    assert kit.clock.monotonic() - at == pytest.approx(MOST_RETRY_AFTER_SECONDS)


# -- learning --------------------------------------------------------------------------------------


async def test_capacity_and_refill_are_learned_from_the_headers() -> None:
    kit = Kit(capacity=60, per_minute=30)
    assert not kit.quota.status().learned
    for remaining in range(19, -1, -1):
        await kit.spend(remaining, limit=20, per_minute=12)
    status = kit.quota.status()
    assert (status.capacity, status.learned) == (20, True)
    assert status.per_minute == pytest.approx(12, rel=0.05)


async def test_remaining_only_lowers_the_count() -> None:
    kit = Kit()
    await kit.spend(10)
    assert kit.quota.status().left == 10
    await kit.spend(58)
    assert kit.quota.status().left == 9


async def test_without_headers_the_setting_counts() -> None:
    kit = Kit(capacity=2, per_minute=60)
    at = kit.clock.monotonic()
    for _ in range(5):
        await kit.quota.acquire(Lane.FRESH)
        kit.quota.observe(RateHeaders())
    assert kit.clock.monotonic() - at == pytest.approx(3.0, rel=0.01)


# -- lost and given up -----------------------------------------------------------------------------


async def test_a_token_given_back_is_there_again() -> None:
    kit = Kit()
    await kit.spend(0)
    await kit.quota.acquire(Lane.FRESH)
    kit.quota.give_back()
    at = kit.clock.monotonic()
    await kit.quota.acquire(Lane.FRESH)
    assert kit.clock.monotonic() == at


async def test_whoever_gives_up_waiting_takes_no_token() -> None:
    kit = Kit()
    await kit.spend(0)
    first, second = kit.asks(), kit.asks()
    await settle()
    await drop(first)
    at = kit.clock.monotonic()
    await second
    assert kit.clock.monotonic() - at <= 2.1
    assert kit.quota.status().waiting == 0


async def test_whoever_is_cancelled_just_when_served_gives_the_token_back() -> None:
    kit = Kit()
    await kit.quota.acquire(Lane.FRESH)
    task = kit.asks()
    await settle()
    kit.quota.observe(kit.headers(30))
    assert kit.quota.status().in_flight == 1
    await drop(task)
    assert (kit.quota.status().in_flight, kit.quota.status().left) == (0, 30)


async def test_a_first_request_that_is_never_answered_is_not_waited_for_for_ever() -> None:
    kit = Kit()
    await kit.quota.acquire(Lane.FRESH)
    at = kit.clock.monotonic()
    await kit.quota.acquire(Lane.FRESH)
    assert kit.clock.monotonic() - at == pytest.approx(ANSWER_SECONDS)


# -- others ----------------------------------------------------------------------------------------


async def test_another_spender_is_noticed_once_and_shown() -> None:
    kit = Kit()
    await kit.spend(50)
    await kit.spend(40)
    assert kit.quota.status().others_spending in (8, 9)
    await kit.spend(30)
    assert kit.observer.events() == ["quota_shared"]
    assert kit.observer.notices[0][1]["quota"] == "uploads"
    kit.clock.advance(OTHERS_SECONDS + 1)
    assert kit.quota.status().others_spending == 0


@pytest.mark.parametrize("latency", [0.0, 0.7, 5.0])
async def test_alone_in_the_bucket_nobody_else_is_seen(latency: float) -> None:
    kit = Kit()
    bucket = ServerBucket(kit.clock, burst=60, per_minute=30)

    async def spend() -> None:
        await kit.quota.acquire(Lane.FRESH)
        await kit.clock.sleep(latency / 3)
        passes, headers = bucket.take()
        assert passes
        await kit.clock.sleep(latency * 2 / 3)
        kit.quota.observe(headers)

    await asyncio.gather(*(spend() for _ in range(200)))
    assert kit.observer.notices == []


async def test_something_is_left_for_another_spender() -> None:
    kit = Kit()
    await kit.spend(50)
    await kit.spend(4)
    tasks = [kit.asks() for _ in range(4)]
    await settle()
    assert granted(tasks) <= 2
    await drop(*tasks)


async def test_more_is_left_when_that_was_not_enough() -> None:
    kit = Kit()
    await kit.spend(50)
    await kit.spend(20)
    waits = []
    for _ in range(3):
        kit.clock.advance(40.0)
        await kit.spend(0)
        at = kit.clock.monotonic()
        await kit.quota.acquire(Lane.FRESH)
        waits.append(kit.clock.monotonic() - at)
        kit.quota.observe(kit.headers(3))
    assert waits[0] < waits[1]
    assert waits[-1] <= 2.0 * (60 / 3 + 1) + 1


async def test_a_429_that_nothing_explains_slows_down_a_little() -> None:
    kit = Kit()
    await kit.quota.acquire(Lane.FRESH)
    kit.quota.observe(RateHeaders(limit=60))
    kit.quota.hold(1.0)
    assert kit.quota.status().per_minute == pytest.approx(30 * 0.98)
    assert kit.observer.notices == []


# -- for the next process --------------------------------------------------------------------------


async def test_a_restart_does_not_burst_again() -> None:
    kit = Kit()
    await kit.spend(3)
    other = Kit()
    assert other.quota.restore(kit.quota.snapshot())
    assert other.quota.status().left == 3


async def test_what_was_refilled_meanwhile_is_there() -> None:
    kit = Kit()
    await kit.spend(3)
    state = kit.quota.snapshot()
    other = Kit()
    other.clock.advance(20.0)
    other.quota.restore(state)
    assert other.quota.status().left in (12, 13)


async def test_a_clock_that_was_set_back_makes_no_tokens() -> None:
    kit = Kit()
    kit.clock.advance(5000.0)
    await kit.spend(3)
    other = Kit(state=kit.quota.snapshot())
    assert other.quota.status().left == 3


async def test_a_hold_outlives_a_restart() -> None:
    kit = Kit()
    await kit.spend(30)
    kit.quota.hold(50.0)
    state = kit.quota.snapshot()
    other = Kit()
    other.clock.advance(20.0)
    other.quota.restore(state)
    at = other.clock.monotonic()
    await other.quota.acquire(Lane.FRESH)
    assert other.clock.monotonic() - at == pytest.approx(30.0)


async def test_another_spender_is_remembered_over_a_restart() -> None:
    kit = Kit()
    await kit.spend(50)
    await kit.spend(40)
    other = Kit(state=kit.quota.snapshot())
    assert other.quota.status().others_spending == kit.quota.status().others_spending
    assert other.observer.notices == []


async def test_a_state_that_makes_no_sense_changes_nothing() -> None:
    kit = Kit(capacity=7, per_minute=9)
    for state in ({}, {"v": 99}, {"v": 1, "at": "soon"}):
        assert not kit.quota.restore(state)
    assert (kit.quota.status().left, kit.quota.status().per_minute) == (7, 9)


# -- whatever happens ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.sampled_from(Lane)),
            st.tuples(st.just("answer"), st.integers(0, 60)),
            st.tuples(st.just("answer"), st.none()),
            st.tuples(st.just("hold"), st.floats(0, 30)),
            st.tuples(st.just("cancel"), st.integers(0, 50)),
            st.tuples(st.just("wait"), st.floats(0, 60)),
        ),
        max_size=40,
    )
)
def test_nobody_waits_for_ever(steps: list[tuple[str, Any]]) -> None:
    async def run() -> None:
        kit = Kit()
        tasks: list[asyncio.Task[None]] = []
        for what, amount in steps:
            if what == "ask":
                tasks.append(kit.asks(amount))
            elif what == "answer" and kit.quota.status().in_flight:
                kit.quota.observe(RateHeaders() if amount is None else kit.headers(amount))
            elif what == "hold":
                kit.quota.hold(amount)
            elif what == "cancel" and tasks:
                tasks[amount % len(tasks)].cancel()
            elif what == "wait":
                kit.clock.advance(amount)
            await asyncio.sleep(0)
            status = kit.quota.status()
            assert 0 <= status.left <= status.capacity
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10.0)
        assert kit.quota.status().waiting == 0

    asyncio.run(run())

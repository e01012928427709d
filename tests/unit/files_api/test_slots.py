from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.files_api.slots import Slots
from ingestor.model import Lane
from tests.fakes import RecordingObserver


def slots(most: int = 8) -> tuple[Slots, RecordingObserver]:
    observer = RecordingObserver()
    return Slots(most, observer), observer


async def filled(most: int) -> tuple[Slots, RecordingObserver]:
    it, observer = slots(most)
    for _ in range(most):
        await it.enter(Lane.FRESH)
    return it, observer


async def test_no_more_than_the_most_are_in_flight() -> None:
    it, _ = await filled(3)
    waiting = asyncio.ensure_future(it.enter(Lane.FRESH))
    await asyncio.sleep(0)
    assert (it.in_flight, waiting.done()) == (3, False)
    it.leave()
    await waiting
    assert it.in_flight == 3


async def test_lower_lanes_go_first_then_whoever_came_first() -> None:
    it, _ = await filled(1)
    order: list[str] = []

    async def enter(name: str, lane: Lane) -> None:
        await it.enter(lane)
        order.append(name)
        it.leave()

    names = [("old 1", Lane.BACKFILL), ("old 2", Lane.BACKFILL), ("renewal", Lane.RENEWAL), ("fresh", Lane.FRESH)]
    tasks = [asyncio.ensure_future(enter(name, lane)) for name, lane in names]
    await asyncio.sleep(0)
    it.leave()
    await asyncio.gather(*tasks)
    assert order == ["fresh", "renewal", "old 1", "old 2"]


async def test_crowding_halves_what_may_be_in_flight_once_a_round() -> None:
    it, observer = slots(8)
    rounds = [await it.enter(Lane.FRESH) for _ in range(8)]
    for entered in rounds:
        it.too_many(entered)
    assert it.limit == 4
    assert observer.of("uploads_at_once") == [{"limit": 4, "most": 8}]
    it.too_many(it._round)
    assert it.limit == 2


async def test_crowding_counts_from_what_was_in_flight_and_not_from_what_might_have_been() -> None:
    it, _ = slots(64)
    entered = [await it.enter(Lane.FRESH) for _ in range(4)]
    it.too_many(entered[0])
    assert it.limit == 2


async def test_one_is_always_allowed() -> None:
    it, _ = slots(8)
    for _ in range(10):
        it.too_many(await it.enter(Lane.FRESH))
        it.leave()
    assert it.limit == 1


async def test_whoever_is_in_flight_may_finish_when_the_limit_falls_below() -> None:
    it, _ = await filled(4)
    it.too_many(0)
    waiting = asyncio.ensure_future(it.enter(Lane.FRESH))
    for in_flight in (3, 2):
        it.leave()
        await asyncio.sleep(0)
        assert (it.in_flight, waiting.done()) == (in_flight, False)
    it.leave()
    await waiting
    assert it.in_flight == 2


async def test_successes_give_back_one_a_round_up_to_the_most() -> None:
    it, _ = await filled(8)
    it.too_many(0)
    seen = []
    for _ in range(40):
        it.went_well()
        seen.append(it.limit)
    assert seen == sorted(seen)
    assert seen[4] == 5
    assert seen[-1] == 8


async def test_more_room_lets_those_in_who_wait() -> None:
    it, _ = await filled(2)
    it.too_many(0)
    it.leave()
    waiting = asyncio.ensure_future(it.enter(Lane.FRESH))
    await asyncio.sleep(0)
    assert not waiting.done()
    it.went_well()
    await waiting
    assert it.in_flight == 2


async def test_whoever_gives_up_waiting_takes_no_room() -> None:
    it, _ = await filled(1)
    first, second = (asyncio.ensure_future(it.enter(Lane.FRESH)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    it.leave()
    await second
    assert it.in_flight == 1


async def test_whoever_is_cancelled_just_when_let_in_gives_the_room_back() -> None:
    it, _ = await filled(1)
    waiting = asyncio.ensure_future(it.enter(Lane.FRESH))
    await asyncio.sleep(0)
    it.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert it.in_flight == 0


def test_a_limit_below_one_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        slots(0)


@given(st.integers(1, 64), st.lists(st.sampled_from(["enter", "leave", "well", "many"]), max_size=80))
def test_the_limit_stays_within_one_and_the_most(most: int, steps: list[str]) -> None:
    async def run() -> None:
        it, _ = slots(most)
        for step in steps:
            if step == "enter" and it.in_flight < it.limit:
                await it.enter(Lane.FRESH)
            elif step == "leave" and it.in_flight:
                it.leave()
            elif step == "well":
                it.went_well()
            elif step == "many":
                it.too_many(it._round)
            assert 1 <= it.limit <= most
            assert 0 <= it.in_flight <= most

    asyncio.run(run())


async def test_a_slot_that_was_too_many_is_tried_ever_less_often() -> None:
    it, _ = slots(8)
    it.limit = 1
    successes = []
    for _ in range(7):
        count = 0
        while it.limit < 2:
            it.went_well()
            count += 1
        successes.append(count)
        entered = [await it.enter(Lane.FRESH) for _ in range(2)]
        it.too_many(entered[0])
        it.leave()
        it.leave()
    assert successes == [1, 1, 2, 4, 8, 16, 32]


async def test_a_slot_that_turns_out_to_be_fine_is_forgotten_as_too_many() -> None:
    it, _ = await filled(8)
    it.too_many(0)
    for _ in range(8):
        it.leave()
    for _ in range(200):
        it.went_well()
    assert it.limit == 8
    entered = [await it.enter(Lane.FRESH) for _ in range(4)]
    it.too_many(entered[0])
    assert it.limit == 2
    for _ in range(2):
        it.went_well()
    assert it.limit == 3

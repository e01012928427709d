from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestor.observe.minutes import Minutes

NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_numbers_stand_in_their_minute_oldest_first() -> None:
    ring = Minutes(4)
    ring.add("uploads", after(0))
    ring.add("uploads", after(0.4))
    ring.add("uploads", after(2), 5)
    assert ring.series("uploads", after(3)) == [2, None, 5, None]
    assert ring.first_at(after(3)) == datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_the_last_number_that_was_put_counts() -> None:
    ring = Minutes(2)
    ring.put("left", after(0), 60)
    ring.put("left", after(0.1), 59)
    assert ring.series("left", after(0)) == [None, 59]


def test_what_is_older_is_forgotten_also_after_a_long_silence() -> None:
    ring = Minutes(3)
    ring.add("uploads", after(0))
    assert ring.series("uploads", after(3)) == [None, None, None]
    ring.add("uploads", after(1_000_000))
    assert ring.series("uploads", after(1_000_000)) == [None, None, 1]


def test_a_clock_that_runs_backwards_counts_for_the_latest_minute() -> None:
    ring = Minutes(3)
    ring.add("uploads", after(5))
    ring.add("uploads", after(1))
    assert ring.series("uploads", after(0)) == [None, None, 2]


def test_of_what_was_never_said_nothing_is_known() -> None:
    assert Minutes(2).series("uploads", after(0)) == [None, None]


@given(st.lists(st.integers(0, 30), max_size=60))
def test_the_ring_agrees_with_a_plain_count(gaps: list[int]) -> None:
    ring, at, counted = Minutes(20), 0, {}
    for gap in gaps:
        at += gap
        ring.add("n", after(at))
        counted[at] = counted.get(at, 0) + 1
    assert ring.series("n", after(at)) == [counted.get(minute) for minute in range(at - 19, at + 1)]


def test_what_was_kept_stands_where_it_stood_and_what_has_been_said_since_stays() -> None:
    before, ring = Minutes(4), Minutes(4)
    before.add("uploads", after(0))
    before.add("uploads", after(2), 5)
    before.put("left", after(2), 59)
    kept = json.loads(json.dumps(before.kept()))
    ring.add("uploads", after(3))
    ring.recall(kept, after(3))
    assert ring.series("uploads", after(3)) == [1, None, 5, 1]
    assert ring.series("left", after(3)) == [None, None, 59, None]
    ring.recall(kept, after(3))
    assert ring.series("uploads", after(3)) == [1, None, 5, 1]


def test_what_was_kept_too_long_ago_or_by_a_clock_ahead_is_left_alone() -> None:
    before = Minutes(4)
    before.add("uploads", after(0))
    for at in (after(4), after(-1)):
        ring = Minutes(4)
        ring.recall(before.kept(), at)
        assert ring.series("uploads", at) == [None] * 4

"""The bucket that processes share, as a value: what each is given, and what is left of it as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from ingestor.model import Lane, RateHeaders
from ingestor.quota.shared_bucket import MOST_HELD_SECONDS, SILENT_SECONDS, SharedBucket

NOW = 1_800_000_000.0


def learned(tokens: int = 4, *, capacity: int = 4, per_minute: float = 60.0) -> SharedBucket:
    """A bucket whose capacity the API has told, with so many tokens."""
    bucket = SharedBucket.fresh(capacity, per_minute, NOW)
    bucket, _ = bucket.ask("first", Lane.FRESH, 1, NOW)
    bucket = bucket.answered("first", RateHeaders(limit=capacity, remaining=capacity - 1), NOW)
    for _ in range(capacity - 1 - tokens):
        bucket, _ = bucket.ask("first", Lane.FRESH, 1, NOW)
        bucket = bucket.answered("first", RateHeaders(), NOW)
    return bucket


def test_the_first_request_of_all_goes_alone() -> None:
    bucket = SharedBucket.fresh(10, 60.0, NOW)
    bucket, first = bucket.ask("a", Lane.FRESH, 5, NOW)
    bucket, second = bucket.ask("b", Lane.FRESH, 5, NOW)
    assert (first.number, second.number) == (1, 0)
    bucket = bucket.answered("a", RateHeaders(limit=10, remaining=9), NOW)
    assert bucket.ask("b", Lane.FRESH, 5, NOW)[1].number == 5


def test_what_is_there_is_given_at_once_and_the_next_one_is_reserved() -> None:
    bucket, grant = learned(2).ask("a", Lane.FRESH, 5, NOW)
    assert (grant.number, grant.wait_seconds) == (2, 0.0)
    bucket, ahead = bucket.ask("a", Lane.FRESH, 5, NOW)
    assert ahead.number == 1
    assert 0.9 <= ahead.wait_seconds <= 1.1
    _, other = bucket.ask("b", Lane.FRESH, 5, NOW)
    assert 1.9 <= other.wait_seconds <= 2.2


def test_nobody_reserves_further_ahead_than_anybody_is_held() -> None:
    bucket = learned(0, per_minute=1.0)
    bucket, grant = bucket.ask("a", Lane.FRESH, 1, NOW)
    assert grant.number == 0
    assert grant.token_seconds > MOST_HELD_SECONDS


def test_the_backlog_reserves_the_next_token_only() -> None:
    bucket = learned(0)
    bucket, first = bucket.ask("a", Lane.BACKFILL, 1, NOW)
    bucket, second = bucket.ask("b", Lane.BACKFILL, 1, NOW)
    assert (first.number, second.number) == (1, 0)
    _, fresh = bucket.ask("c", Lane.FRESH, 1, NOW)
    assert fresh.number == 1
    assert fresh.wait_seconds <= 2.2


def test_the_backlog_stands_back_while_another_process_waits_with_a_fresh_drop() -> None:
    bucket = learned(0, per_minute=1.0)
    bucket, _ = bucket.ask("fresh", Lane.FRESH, 1, NOW)
    bucket, grant = bucket.ask("old", Lane.BACKFILL, 1, NOW + 59)
    assert grant.number == 0
    bucket, _ = bucket.ask("old", Lane.BACKFILL, 1, NOW + 200)  # who asked before has gone
    assert bucket.ask("old", Lane.BACKFILL, 1, NOW + 200)[1].number <= 1


def test_a_hold_is_for_everybody() -> None:
    bucket = learned().held(10.0, NOW)
    _, grant = bucket.ask("b", Lane.FRESH, 1, NOW + 1)
    assert 8.0 <= grant.wait_seconds <= 9.5
    assert bucket.held(5.0, NOW + 1).bucket.held_until == pytest.approx(NOW + 10)


def test_what_comes_back_unused_can_be_had_again() -> None:
    bucket, _ = learned(1).ask("a", Lane.FRESH, 1, NOW)
    bucket = bucket.given_back("a", NOW)
    assert bucket.ask("b", Lane.FRESH, 1, NOW)[1].wait_seconds == 0.0
    assert bucket.in_flight == {}


def test_requests_of_a_process_that_is_gone_are_forgotten() -> None:
    bucket, _ = SharedBucket.fresh(10, 60.0, NOW).ask("gone", Lane.FRESH, 1, NOW)
    assert bucket.ask("b", Lane.FRESH, 1, NOW + 1)[1].number == 0
    assert bucket.ask("b", Lane.FRESH, 1, NOW + SILENT_SECONDS + 1)[1].number == 1


def test_requests_of_a_process_that_shows_that_it_lives_are_waited_for() -> None:
    bucket, _ = SharedBucket.fresh(10, 60.0, NOW).ask("slow", Lane.FRESH, 1, NOW)
    for second in range(1, 60, 5):
        bucket = bucket.touched("slow", NOW + second)
    assert bucket.ask("b", Lane.FRESH, 1, NOW + 60)[1].number == 0


@pytest.mark.parametrize(
    "state", [None, 5, {}, {"v": 1}, {"v": 1, "at": "yesterday"}, {"v": 2, "at": "2026-11-24T10:00:00+00:00"}]
)
def test_a_state_that_makes_no_sense_counts_as_none(state: Any) -> None:
    fresh = SharedBucket.fresh(10, 60.0, NOW)
    assert SharedBucket.from_json(state, fresh, NOW) == fresh


def test_what_is_shared_may_be_missing_or_odd() -> None:
    state = learned(2).to_json(NOW)
    for shared in (None, {}, {"filling": 1}):
        bucket = SharedBucket.from_json({**state, "shared": shared}, SharedBucket.fresh(4, 60.0, NOW), NOW)
        assert bucket.bucket.tokens == pytest.approx(2.0)
        assert bucket.in_flight == {}


def test_a_clock_that_was_set_back_makes_no_tokens_and_no_stall() -> None:
    state = learned(0).to_json(NOW + 3600)
    bucket = SharedBucket.from_json(state, SharedBucket.fresh(4, 60.0, NOW), NOW)
    assert bucket.ask("a", Lane.FRESH, 1, NOW)[1].wait_seconds <= 1.2


_HEADERS = st.builds(
    RateHeaders,
    limit=st.sampled_from([None, 4, 4, 4, 9]),
    remaining=st.one_of(st.none(), st.integers(0, 9)),
)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "answered", "held", "given_back"]),
        st.sampled_from("abc"),
        st.sampled_from(list(Lane)),
        st.floats(0.0, 3.0),
        _HEADERS,
    ),
    max_size=25,
)


@hypothesis.given(_STEPS)
def test_it_goes_on_from_json_as_it_would_have_without(steps: Any) -> None:
    fresh = SharedBucket.fresh(4, 60.0, NOW)
    direct, now = fresh, NOW
    for what, process, lane, seconds, headers in steps:
        now += seconds
        told = SharedBucket.from_json(json.loads(json.dumps(direct.to_json(now - seconds))), fresh, now)
        one, two = (_step(bucket, what, process, lane, headers, now) for bucket in (direct, told))
        assert one.in_flight.keys() == two.in_flight.keys()
        assert math.isclose(one.bucket.tokens, two.bucket.tokens, abs_tol=1e-3)
        assert one.bucket.capacity == two.bucket.capacity
        direct = one


def _step(bucket: SharedBucket, what: str, process: str, lane: Lane, headers: RateHeaders, now: float) -> SharedBucket:
    match what:
        case "ask":
            return bucket.ask(process, lane, 2, now)[0]
        case "answered":
            return bucket.answered(process, headers, now)
        case "held":
            return bucket.held(2.0, now)
        case _:
            return bucket.given_back(process, now)

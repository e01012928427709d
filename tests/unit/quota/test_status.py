from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.pacing import RateRange, TokenBucket
from ingestor.quota.status import from_state, others_of, to_state

WALL = datetime(2026, 11, 24, 10, tzinfo=UTC)
FRESH = TokenBucket.full(60, 30, 5000.0)


def bucket(**changes: Any) -> TokenBucket:
    return replace(TokenBucket.full(20, 12, 100.0), learned=True, refill=RateRange(low=0.19, high=0.21), **changes)


def state(**changes: Any) -> dict[str, Any]:
    return {**to_state(bucket(tokens=3.0), WALL, 100.0, 0, 0.0), **changes}


def test_a_state_is_json_that_people_can_read() -> None:
    written = json.loads(json.dumps(to_state(bucket(tokens=3.4), WALL, 100.0, 5, 6.0)))
    assert written["at"] == "2026-11-24T10:00:00+00:00"
    assert (written["left"], written["capacity"], written["per_minute"]) == (3, 20, 12.0)
    assert (written["others"], written["reserve"]) == (5, 6.0)


def test_a_bucket_goes_on_where_it_stood() -> None:
    back = from_state(FRESH, state(), WALL + timedelta(seconds=10), 5000.0)
    assert back is not None
    assert back.tokens == pytest.approx(5.0, rel=0.01)
    assert (back.capacity, back.learned, back.refill) == (20, FRESH.learned, RateRange(low=0.19, high=0.21))


def test_the_first_answer_of_a_process_is_believed_whatever_the_last_one_had_learned() -> None:
    back = from_state(FRESH, state(), WALL, 5000.0)
    assert back is not None
    assert not back.learned


def test_a_hold_goes_on_for_what_is_left_of_it() -> None:
    held = to_state(bucket(tokens=3.0).hold(100.0, 30.0), WALL, 100.0, 0, 0.0)
    back = from_state(FRESH, held, WALL + timedelta(seconds=10), 5000.0)
    assert back is not None
    assert back.held_until == pytest.approx(5020.0)


@pytest.mark.parametrize("years", [-1, 1])
def test_wrong_clocks_make_no_more_tokens_than_a_full_bucket(years: int) -> None:
    back = from_state(FRESH, state(), WALL + timedelta(days=365 * years), 5000.0)
    assert back is not None
    assert back.tokens == pytest.approx(3.0 if years < 0 else 20.0)


def test_an_unknown_refill_stays_unknown() -> None:
    unknown = to_state(replace(bucket(tokens=1.0), refill=RateRange()), WALL, 100.0, 0, 0.0)
    assert json.loads(json.dumps(unknown))["high"] is None
    back = from_state(FRESH, unknown, WALL, 5000.0)
    assert back is not None
    assert (back.refill, back.per_second) == (RateRange(), 0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2},
        {"at": "yesterday"},
        {"at": 5},
        {"at": "2026-11-24T10:00:00"},
        {"tokens": None},
        {"tokens": math.nan},
        {"capacity": 0},
        {"capacity": "many"},
        {"low": -1.0},
        {"low": 5.0, "high": 1.0},
        {"held_seconds": {}},
    ],
)
def test_a_state_that_makes_no_sense_is_none(wrong: dict[str, Any]) -> None:
    assert from_state(FRESH, state(**wrong), WALL, 5000.0) is None


def test_a_state_without_all_its_parts_is_none() -> None:
    for part in ("v", "at", "tokens", "capacity", "low", "high", "held_seconds"):
        broken = state()
        del broken[part]
        assert from_state(FRESH, broken, WALL, 5000.0) is None


@given(st.dictionaries(st.sampled_from(list(state())), st.none() | st.floats() | st.integers() | st.text(max_size=5)))
def test_whatever_stands_in_a_state_does_no_harm(wrong: dict[str, Any]) -> None:
    back = from_state(FRESH, state(**wrong), WALL, 5000.0)
    if back is not None:
        assert back.tokens <= back.capacity
        assert not math.isnan(back.next_free_at())
    others_of(state(**wrong), WALL)


def test_others_are_remembered_with_how_long_ago_that_was() -> None:
    others = others_of(state(others=5, reserve=6.0), WALL + timedelta(seconds=40))
    assert others is not None
    assert (others.tokens, others.reserve, others.ago_seconds) == (5.0, 6.0, 40.0)


@pytest.mark.parametrize("wrong", [{"others": 0}, {"reserve": 0}, {"others": "x"}, {"at": None}, {"reserve": math.inf}])
def test_nobody_else_is_nobody(wrong: dict[str, Any]) -> None:
    assert others_of(state(**{"others": 5, "reserve": 6.0, **wrong}), WALL) is None

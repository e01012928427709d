"""What a run of uploads takes, held against a bucket that is emptied token by token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.forecast import ID_SECONDS, Supply, forecast

DEFAULT = Supply(tokens=60, capacity=60, per_minute=30)


def supplies(least_per_minute: float = 1.0) -> st.SearchStrategy[Supply]:
    return st.builds(
        lambda capacity, share, per_minute, held: Supply(
            tokens=capacity * share, capacity=capacity, per_minute=per_minute, held_seconds=held
        ),
        st.integers(1, 500),
        st.floats(0, 1),
        st.floats(least_per_minute, 10_000),
        st.one_of(st.just(0.0), st.floats(0, 3600)),
    )


def token_times(supply: Supply, uploads: int) -> list[float]:
    """When each upload gets its token, if each leaves as soon as there is one."""
    times = []
    tokens, at = supply.tokens, 0.0
    for _ in range(uploads):
        wait = max(0.0, (1 - tokens) / supply.per_minute * 60)
        tokens += wait * supply.per_minute / 60 - 1
        at += wait
        times.append(max(at, supply.held_seconds))
    return times


def test_the_default_tier_keeps_43260_ids_alive() -> None:
    assert DEFAULT.largest_alive_set == 43_200 + 60


def test_a_full_bucket_sends_its_burst_at_once() -> None:
    assert forecast(60, DEFAULT).seconds == 0


def test_after_the_burst_each_upload_waits_two_seconds() -> None:
    assert forecast(61, DEFAULT).seconds == pytest.approx(2.0)
    assert forecast(1060, DEFAULT).seconds == pytest.approx((1060 - 60) / 30 * 60)


def test_nothing_to_upload_takes_no_time() -> None:
    expected = forecast(0, DEFAULT)
    assert (expected.seconds, expected.expired_before_end, expected.fits) == (0.0, 0, True)


def test_a_held_bucket_lets_nobody_through_before_it_is_let_go() -> None:
    held = Supply(tokens=10, capacity=60, per_minute=30, held_seconds=25)
    assert forecast(5, held).seconds == 25
    assert held.sent_before(25.0) == 0
    assert held.sent_before(25.1) == 22


def test_a_bucket_in_debt_pays_it_back_first() -> None:
    assert forecast(1, Supply(tokens=-4, capacity=60, per_minute=30)).seconds == pytest.approx(10.0)


def test_as_many_as_can_be_alive_are_alive_when_the_last_is_sent() -> None:
    assert forecast(DEFAULT.largest_alive_set, DEFAULT).fits


def test_one_more_than_can_be_alive_finds_the_burst_expired() -> None:
    # It is sent 2 seconds after the ids of the burst have ended, and at the very instant at which the 61st ends.
    assert forecast(DEFAULT.largest_alive_set + 1, DEFAULT).expired_before_end == 60


@given(supplies(), st.integers(1, 2000))
def test_the_last_upload_leaves_when_the_bucket_lets_it(supply: Supply, uploads: int) -> None:
    assert forecast(uploads, supply).seconds == pytest.approx(token_times(supply, uploads)[-1], rel=1e-6, abs=1e-3)


@given(supplies(), st.integers(0, 2000), st.integers(0, 200))
def test_more_uploads_never_take_less(supply: Supply, uploads: int, more: int) -> None:
    fewer, all_of_them = forecast(uploads, supply), forecast(uploads + more, supply)
    assert fewer.seconds <= all_of_them.seconds
    assert fewer.expired_before_end <= all_of_them.expired_before_end


@given(supplies(), st.integers(1, 200_000))
def test_no_more_have_expired_than_were_sent(supply: Supply, uploads: int) -> None:
    expected = forecast(uploads, supply)
    assert 0 <= expected.expired_before_end < uploads
    assert expected.fits == (expected.expired_before_end == 0)


@given(st.floats(0.05, 1.0), st.integers(1, 60), st.integers(1, 3000))
def test_those_have_expired_that_were_sent_a_day_before_the_last(per_minute: float, burst: int, uploads: int) -> None:
    supply = Supply(tokens=burst, capacity=burst, per_minute=per_minute)
    times = token_times(supply, uploads)
    end = times[-1]
    sure = sum(time + ID_SECONDS < end - 1.0 for time in times)
    doubtful = sum(time + ID_SECONDS <= end + 1.0 for time in times)
    assert sure <= forecast(uploads, supply).expired_before_end <= doubtful


@given(supplies())
def test_a_set_that_can_be_alive_at_once_fits_from_a_full_bucket(supply: Supply) -> None:
    full = Supply(tokens=supply.capacity, capacity=supply.capacity, per_minute=supply.per_minute)
    assert forecast(full.largest_alive_set, full).fits


@given(supplies(), st.integers(1, 5000))
def test_what_was_sent_by_the_end_is_everything(supply: Supply, uploads: int) -> None:
    seconds = forecast(uploads, supply).seconds
    assert supply.sent_before(seconds + 1e-3) >= uploads

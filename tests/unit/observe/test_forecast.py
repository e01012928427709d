from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.observe.forecast import Forecast, QuotaView, forecast, forecast_words

QUOTA = QuotaView(per_minute=30, left=0)
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=timezone(timedelta(hours=1)))


def test_the_quota_decides_where_the_machine_is_faster() -> None:
    quota = QuotaView(per_minute=30, left=60)
    assert forecast(960, per_second=20, uploads_share=1, quota=quota) == Forecast(seconds=1800, is_quota_bound=True)


def test_the_machine_decides_where_the_quota_is_larger() -> None:
    quota = QuotaView(per_minute=600, left=60)
    assert forecast(960, per_second=1, uploads_share=1, quota=quota) == Forecast(seconds=960, is_quota_bound=False)


def test_as_long_as_tokens_are_left_for_all_the_quota_binds_nobody() -> None:
    quota = QuotaView(per_minute=30, left=60)
    assert forecast(60, per_second=2, uploads_share=1, quota=quota) == Forecast(seconds=30, is_quota_bound=False)


def test_who_waits_for_tokens_shows_the_quotas_rate_and_is_still_quota_bound() -> None:
    expected = forecast(300, per_second=0.47, uploads_share=1, quota=QUOTA)
    assert expected.is_quota_bound
    assert expected.seconds == pytest.approx(300 / 0.47)


def test_only_images_that_cost_a_token_count_against_the_quota() -> None:
    assert forecast(600, per_second=20, uploads_share=0.5, quota=QUOTA).seconds == 600


@pytest.mark.parametrize("quota", [None, QuotaView(per_minute=30, left=100)])
def test_without_a_rate_there_is_no_forecast(quota: QuotaView | None) -> None:
    expected = forecast(50, per_second=0, uploads_share=1, quota=quota)
    assert expected == Forecast(seconds=None, is_quota_bound=False)


def test_before_the_first_end_the_quota_alone_tells_how_long_it_takes_at_least() -> None:
    assert forecast(60, per_second=0, uploads_share=1, quota=QUOTA) == Forecast(seconds=120, is_quota_bound=True)


def test_a_quota_that_does_not_refill_has_no_end() -> None:
    quota = QuotaView(per_minute=0, left=0)
    assert forecast(60, per_second=5, uploads_share=1, quota=quota) == Forecast(seconds=None, is_quota_bound=True)


def test_nothing_left_takes_no_time() -> None:
    assert forecast(0, per_second=0, uploads_share=1, quota=QUOTA).seconds == 0


@given(
    remaining=st.integers(1, 10**7),
    per_second=st.floats(0.001, 1000),
    share=st.floats(0, 1),
    per_minute=st.floats(0.1, 10_000),
    left=st.integers(0, 10_000),
)
def test_it_never_promises_less_than_machine_or_quota_need(
    remaining: int, per_second: float, share: float, per_minute: float, left: int
) -> None:
    quota = QuotaView(per_minute=per_minute, left=left)
    seconds = forecast(remaining, per_second=per_second, uploads_share=share, quota=quota).seconds
    assert seconds is not None
    assert seconds >= remaining / per_second
    assert left + seconds * per_minute / 60 >= remaining * share * 0.999


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Forecast(seconds=9600, is_quota_bound=True), "quota bound: 30/min, done at 17:40"),
        (Forecast(seconds=9600, is_quota_bound=False), "done at 17:40"),
        (Forecast(seconds=42, is_quota_bound=False), "done in 42 s"),
        (Forecast(seconds=42, is_quota_bound=True), "quota bound: 30/min, done in 42 s"),
        (Forecast(seconds=40_000, is_quota_bound=True), "quota bound: 30/min, done on Wed 25 Nov at 02:06"),
        (
            Forecast(seconds=100_000, is_quota_bound=True),
            "quota bound: 30/min, done on Wed 25 Nov at 18:46, after the first ids expire",
        ),
        (Forecast(seconds=None, is_quota_bound=True), "quota bound: 30/min, no end in sight"),
        (Forecast(seconds=None, is_quota_bound=False), "no forecast yet"),
    ],
)
def test_it_is_told_in_words(expected: Forecast, words: str) -> None:
    assert ", ".join(forecast_words(expected, QUOTA, NOW)) == words


def test_an_end_beyond_all_calendars_is_told_too() -> None:
    words = forecast_words(Forecast(seconds=1e15, is_quota_bound=False), None, NOW)
    assert words[0].startswith("done on ")

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.observe.cleaning import rfc3339
from ingestor.page.chart import BARS_HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart_of

FIRST = datetime(2026, 11, 24, 10, 7, tzinfo=UTC)
MINUTES = 1440


def minutes(**series: dict[int, float]) -> dict[str, Any]:
    """A day in which only these minutes are known."""
    names = ("uploads", "quarantined", "rate_limited", "quota_left")
    filled = {name: [series.get(name, {}).get(minute) for minute in range(MINUTES)] for name in names}
    return {**filled, "first_at": rfc3339(FIRST)}


def test_a_day_of_nothing_is_drawn_as_such() -> None:
    chart = chart_of(minutes(), None)
    assert chart.bars == ()
    assert chart.quota_line == ""
    assert chart.summary == "0 uploads and 0 quarantined"
    assert all(period.is_quiet for period in chart.periods)


def test_a_quarter_of_an_hour_is_one_bar_with_what_was_bad_on_top() -> None:
    chart = chart_of(minutes(uploads={0: 3, 14: 5, 15: 1}, quarantined={2: 8}), 60)
    uploads, bad, next_uploads = chart.bars
    assert (uploads.kind, bad.kind, next_uploads.kind) == ("uploads", "quarantined", "uploads")
    assert [tick.text for tick in chart.bar_ticks] == ["0", "5", "10", "15", "20"]
    assert uploads.height == bad.height == pytest.approx(BARS_HEIGHT * 8 / 20)
    assert bad.y + bad.height == pytest.approx(uploads.y)
    assert next_uploads.x > uploads.x == bad.x
    assert chart.bar_ticks[-1].at == TOP
    assert chart.periods[0].uploads == 8
    assert chart.periods[1].began_at == FIRST + timedelta(minutes=15)


def test_the_quota_is_the_least_of_each_period_with_gaps_where_nothing_is_known() -> None:
    chart = chart_of(minutes(quota_left={0: 60, 5: 12, 20: 30, 60: 0}, rate_limited={1: 4}), 60)
    assert [period.quota_left for period in chart.periods[:5]] == [12, 30, None, None, 0]
    assert chart.quota_line.count("M") == 2
    assert chart.quota_line.count("L") == 1
    assert len(chart.held) == 1
    assert chart.summary == "0 uploads and 0 quarantined; the quota was down to 0; the API asked us to wait 4 times"


@given(
    st.dictionaries(st.integers(0, MINUTES - 1), st.integers(0, 10_000), max_size=50),
    st.dictionaries(st.integers(0, MINUTES - 1), st.integers(0, 500), max_size=20),
    st.dictionaries(st.integers(0, MINUTES - 1), st.integers(0, 100_000), max_size=50),
    st.none() | st.integers(1, 100_000),
)
def test_nothing_is_drawn_outside_of_its_place(
    uploads: dict[int, float], bad: dict[int, float], quota: dict[int, float], capacity: int | None
) -> None:
    chart = chart_of(minutes(uploads=uploads, quarantined=bad, quota_left=quota), capacity)
    for bar in chart.bars:
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH - RIGHT + 0.1
        assert TOP - 1.1 <= bar.y <= bar.y + bar.height <= chart.bars_base + 0.1
    assert 2 <= len(chart.bar_ticks) <= 6
    assert chart.bar_ticks[0].at == chart.bars_base
    assert len(chart.periods) == 96
    assert sum(period.uploads for period in chart.periods) == sum(uploads.values())
    for tick in chart.hour_ticks:
        assert LEFT <= tick.at <= WIDTH - RIGHT
    assert {tick.text[2:] for tick in chart.hour_ticks} == {":00"}
    assert 6 <= len(chart.hour_ticks) <= 7

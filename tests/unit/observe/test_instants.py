from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.observe.instants import local, parsed, relative, rfc3339, when

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(instant: datetime) -> None:
    assert parsed(rfc3339(instant)) == instant


def test_utc_is_written_with_a_z() -> None:
    assert rfc3339(NOW) == "2026-11-24T10:00:00Z"
    assert rfc3339(None) is None


@pytest.mark.parametrize("text", [None, 7, "", "soon", "2026-11-24T10:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_instant_is_none(text: object) -> None:
    assert parsed(text) is None


def test_the_readers_clock_decides_how_an_instant_is_shown() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    assert local(elsewhere) == local(NOW) == f"{NOW.astimezone():%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (0.5, "now"), (61, "in 1 min 1 s"), (-3600, "1 h ago"), (90_000, "in 1 d 1 h"), (-2, "2 s ago")],
)
def test_the_distance_is_told_in_words(seconds: float, words: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == words


def test_both_are_told_together() -> None:
    assert when(NOW, NOW - timedelta(minutes=3)) == f"{local(NOW)} (in 3 min)"

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ingestor.observe.wording import clock_time, counted, end_of, in_words, number, rate, size


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (0.5, "0.5"), (1, "1"), (9.96, "10.0"), (30, "30"), (1234, "1,234"), (12.34, "12")]
)
def test_numbers_have_no_more_digits_than_they_need(value: float, words: str) -> None:
    assert number(value) == words


def test_one_thing_is_no_plural() -> None:
    assert [counted(how_many, "file") for how_many in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (24_000_000, "24 MB"),
        (999_600, "1.0 MB"),
        (1_250_000_000, "1.2 GB"),
        (3_400_000_000_000, "3.4 TB"),
        (3_400_000_000_000_000, "3,400.0 TB"),
    ],
)
def test_sizes_are_in_thousands_as_in_the_settings(value: float, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(("per_second", "words"), [(0.5, "30/min"), (1.0, "60/min"), (1.04, "1/s"), (12.3, "12/s")])
def test_a_rate_is_told_by_the_second_or_the_minute(per_second: float, words: str) -> None:
    assert rate(per_second) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_time_of_today_needs_no_day_and_any_other_has_one() -> None:
    now = datetime(2026, 11, 24, 15, 0, tzinfo=timezone(timedelta(hours=1)))
    assert clock_time(datetime(2026, 11, 24, 16, 40, tzinfo=UTC), now) == "at 17:40"
    assert clock_time(datetime(2026, 11, 24, 23, 5, tzinfo=UTC), now) == "on Wed 25 Nov at 00:05"


@pytest.mark.parametrize(
    ("path", "cells", "shown"),
    [
        ("a/b.jpg", 7, "a/b.jpg"),
        ("long/way/b.jpg", 8, "…y/b.jpg"),
        ("写真写真.jpg", 9, "…写真.jpg"),
        ("写真写真.jpg", 8, "…真.jpg"),
        ("a/b.jpg", 1, "…"),
        ("a/b.jpg", 0, ""),
    ],
)
def test_a_path_keeps_its_end(path: str, cells: int, shown: str) -> None:
    assert end_of(path, cells) == shown


@given(st.text(), st.integers(min_value=0, max_value=100), st.sampled_from(["…", ".."]))
def test_a_path_never_takes_more_room_than_there_is(path: str, cells: int, mark: str) -> None:
    assert cell_len(end_of(path, cells, mark)) <= cells

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.settings.units import (
    parse_bytes,
    parse_seconds,
    parse_whole,
    write_bytes,
    write_seconds,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("1.5h", 5400), ("0s", 0)],
)
def test_a_duration_is_read_as_seconds(written: str, seconds: float) -> None:
    assert parse_seconds(written) == seconds


@pytest.mark.parametrize("written", ["", "5", "s", "-1s", "1e3s", "5 m", "5M", "5m\n", "1h30m", "٣s", "1" * 13 + "s"])
def test_what_is_no_duration_raises(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the caller's to make
        parse_seconds(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("10MB", 10_000_000),
        ("10MiB", 10_485_760),
        ("500kB", 500_000),
        ("0.5 MB", 500_000),
        ("7B", 7),
        ("2GiB", 2**31),
    ],
)
def test_a_size_is_read_as_bytes(written: str, size: int) -> None:
    assert parse_bytes(written) == size


@pytest.mark.parametrize("written", ["", "10", "MB", "10mb", "10Mb", "10M", "-1MB", "1_0MB", "10MB\n"])
def test_what_is_no_size_raises(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_bytes(written)


@pytest.mark.parametrize(("written", "number"), [("300_000_000", 300_000_000), ("8", 8), ("-1", -1)])
def test_a_whole_number_may_have_underscores(written: str, number: int) -> None:
    assert parse_whole(written) == number


@pytest.mark.parametrize("written", ["", "_1", "1_", "1__0", "0x10", "1.0", "9" * 30, "٣"])
def test_what_is_no_whole_number_raises(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_whole(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (60.0, "60s"),
        (90.0, "90s"),
        (300.0, "5m"),
        (86_400.0, "24h"),
        (604_800.0, "7d"),
        (0.5, "500ms"),
        (0.0, "0s"),
    ],
)
def test_seconds_are_shown_as_people_write_them(seconds: float, written: str) -> None:
    assert write_seconds(seconds) == written


@given(st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000))
def test_shown_durations_are_read_back(seconds: float) -> None:
    assert parse_seconds(write_seconds(seconds)) == seconds


@given(st.integers(0, 10**11))
def test_shown_sizes_are_read_back(size: int) -> None:
    assert parse_bytes(write_bytes(size)) == size

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ingestor.observe.course import Course
from ingestor.observe.display import MOST_WORKERS, Display, quarantine_line
from ingestor.observe.forecast import QuotaView

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def drawn(course: Course, columns: int, *, rows: int = 24, at: float = 10.0, encoding: str = "utf-8") -> list[str]:
    """The display's lines, as text."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=columns, height=rows, force_terminal=True, color_system=None)
    console.print(Display(course, lock=threading.Lock(), monotonic=at, now=NOW), end="")
    file.flush()
    return raw.getvalue().decode(encoding).splitlines()


def working(course: Course, *paths: str, stage: str = "upload", at: float = 9.0) -> None:
    for path in paths:
        course.notice("stage", {"stage": stage, "folder": "products", "path": path}, at)


def under_way() -> Course:
    course = Course(0.0, total=5000)
    course.quota = QuotaView(per_minute=30, left=0)
    outcomes = {"uploaded": 40, "duplicate": 5, "already_live": 2, "quarantined": 3}
    for outcome, count in outcomes.items():
        for _ in range(count):
            facts = {
                "folder": "products",
                "path": "x",
                "outcome": outcome,
                "bytes_read": 2_500_000,
                "bytes_sent": 10**6,
            }
            course.notice("image_end", facts, 5.0)
    working(course, "shoes/red boots.jpg")
    working(course, "hats/a-very-long-way/to-a-small/picture.tif", stage="normalise", at=2.0)
    return course


def test_at_80_columns_all_of_it_fits() -> None:
    lines = drawn(under_way(), 80)
    assert lines[0].endswith(" 50 of 5,000   1%")
    assert lines[1:] == [
        "40 uploaded · 3 quarantined · 5 duplicates · 2 already live",
        "125 MB read · 50 MB sent · 5/s",
        "quota bound: 30/min, done at 17:21",
        "  upload      products/shoes/red boots.jpg",
        "  normalise   products/hats/a-very-long-way/to-a-small/picture.tif 8 s",
    ]


def test_at_40_columns_lines_break_and_paths_keep_their_end() -> None:
    lines = drawn(under_way(), 40)
    assert lines[0].endswith(" 50 of 5,000   1%")
    assert lines[1:] == [
        "40 uploaded · 3 quarantined",
        "5 duplicates · 2 already live",
        "125 MB read · 50 MB sent · 5/s",
        "quota bound: 30/min, done at 17:21",
        "  upload      …ucts/shoes/red boots.jpg",
        "  normalise   …-a-small/picture.tif 8 s",
    ]


def test_an_encoding_without_these_letters_gets_others() -> None:
    lines = drawn(under_way(), 40, encoding="ascii")
    assert "125 MB read | 50 MB sent | 5/s" in lines
    assert "  upload      ..cts/shoes/red boots.jpg" in lines


@pytest.mark.parametrize("columns", [1, 2, 5, 10, 20, 29, 30, 40, 79, 80, 200])
@pytest.mark.parametrize("rows", [1, 3, 10, 24])
def test_no_line_is_wider_than_the_terminal_and_all_fit_above_each_other(columns: int, rows: int) -> None:
    course = under_way()
    working(course, *(f"写真/{number}.jpg" for number in range(30)))
    lines = drawn(course, columns, rows=rows)
    assert all(cell_len(line) <= columns for line in lines)
    if columns >= 40:
        assert len(lines) <= max(rows, 6)


@given(path=st.text(), columns=st.integers(1, 120))
def test_any_name_can_be_drawn(path: str, columns: int) -> None:
    course = Course(0.0, total=3)
    working(course, path)
    assert all(cell_len(line) <= columns for line in drawn(course, columns))


def test_more_workers_than_fit_are_counted() -> None:
    course = Course(0.0, total=100)
    working(course, *(f"{number}.jpg" for number in range(20)))
    lines = drawn(course, 80)
    assert sum("products/" in line for line in lines) == MOST_WORKERS - 1
    assert lines[-1] == f"  and {20 - MOST_WORKERS + 1} more"


def test_without_a_total_it_says_what_is_known() -> None:
    course = Course(0.0)
    course.notice("found", {"folder": "f", "number": 1200}, 1.0)
    lines = drawn(course, 80)
    assert lines[0].endswith(" 0 of 1,200 so far")
    assert "still looking for images" in lines


def test_a_pause_stands_in_place_of_a_forecast() -> None:
    course = under_way()
    course.notice("api_paused", {"reason": "balance", "message": "top up the account"}, 1.0)
    lines = drawn(course, 80)
    assert "paused: balance: top up the account" in lines
    assert not any("done at" in line for line in lines)


def test_a_run_that_was_interrupted_says_what_it_still_does() -> None:
    course = under_way()
    course.notice("draining", {"in_flight": 2}, 1.0)
    lines = drawn(course, 80)
    assert "finishing what is in flight, Ctrl-C ends it at once" in lines
    assert not any("done at" in line for line in lines)


def test_that_nothing_ends_any_more_is_said() -> None:
    course = Course(0.0, total=10)
    course.notice("image_end", {"folder": "f", "path": "a", "outcome": "uploaded"}, 5.0)
    assert "no forecast yet, nothing ended for 5 min" in drawn(course, 80, at=305.0)


@pytest.mark.parametrize("total", [0, 1])
def test_the_end_is_said(total: int) -> None:
    course = Course(0.0, total=total)
    for _ in range(total):
        course.notice("image_end", {"folder": "f", "path": "a", "outcome": "uploaded"}, 5.0)
    lines = drawn(course, 80)
    assert lines[0].endswith(f" {total} of {total} 100%")
    assert "done" in lines


def test_a_quarantine_is_one_line_with_its_reason() -> None:
    assert quarantine_line("f", "a.jpg", "truncated", "half of it").plain == "quarantined f/a.jpg truncated: half of it"
    assert quarantine_line("f", "a.jpg", "truncated", None).plain == "quarantined f/a.jpg truncated"

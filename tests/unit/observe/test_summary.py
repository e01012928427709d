from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from ingestor.observe.summary import FILES_SHOWN, summary_table
from tests.unit.observe.kit import Lines, Screen

COUNTS = {
    "discovered": 1234,
    "uploaded": 1200,
    "replayed": 0,
    "already_live": 20,
    "duplicates": 4,
    "skipped": 0,
    "deferred": 1,
    "quarantined": 9,
    "bytes_read": 2_100_000_000,
    "bytes_sent": 1_000_000_000,
    "seconds": 1623.4,
}


def problem(
    path: str, reason: str, message: str = "the end is missing", request_id: str | None = None
) -> dict[str, object]:
    return {"path": path, "reason": reason, "message": message, "request_id": request_id}


PROBLEMS = [
    problem("/in/odd.jpg", "reference_blocked", "refused by policy", "req_17"),
    *(problem(f"/in/{number}.jpg", "truncated") for number in range(FILES_SHOWN + 5)),
]


def printed(counts: dict[str, object], problems: list[dict[str, object]]) -> list[str]:
    stream = Lines()
    summary_table(counts, problems, stream)
    return [line.rstrip() for line in stream.lines() if line.strip()]


def test_totals_are_listed_and_what_is_0_is_left_out() -> None:
    assert [line.split() for line in printed(COUNTS, [])] == [
        ["found", "1,234"],
        ["uploaded", "1,200"],
        ["already", "live", "20"],
        ["duplicates", "4"],
        ["deferred", "1"],
        ["quarantined", "9"],
        ["read", "2.1", "GB"],
        ["sent", "1.0", "GB"],
        ["took", "27", "min", "3", "s"],
    ]


def test_an_empty_run_has_a_summary_too() -> None:
    assert [line.split() for line in printed({}, [])] == [
        ["found", "0"],
        ["uploaded", "0"],
        ["read", "0", "B"],
        ["sent", "0", "B"],
        ["took", "0", "s"],
    ]


def test_reasons_are_grouped_the_most_frequent_first() -> None:
    lines = printed(COUNTS, PROBLEMS)
    table = lines[next(number for number, line in enumerate(lines) if "reason" in line) :]
    rows = [line.split() for line in table if line.split()[0] in ("truncated", "reference_blocked")]
    assert rows == [["truncated", str(FILES_SHOWN + 5), "/in/0.jpg"], ["reference_blocked", "1", "/in/odd.jpg"]]
    text = "\n".join(table)
    assert text.count("the end is missing") == 1
    assert "and 5 more" in text
    assert "refused by policy (req_17)" in text


def test_every_message_that_differs_is_told() -> None:
    text = "\n".join(printed({}, [problem("a", "x", "one"), problem("b", "x", "two"), problem("c", "x", "")]))
    assert "one" in text
    assert "two" in text


def test_names_are_no_markup_and_no_control_codes() -> None:
    text = "\n".join(printed({}, [problem("[red]a\x1b[2J\n.jpg", "[bold]x", ":smile:")]))
    assert "[red]a\\x1b[2J\\n.jpg" in text
    assert "[bold]x" in text
    assert ":smile:" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [80, 40])
def test_it_fits_the_terminal(screen: Callable[..., Screen], columns: int) -> None:
    terminal = screen(columns, 60)
    summary_table(COUNTS, PROBLEMS, terminal.stream)
    lines = terminal.seen()
    assert all(cell_len(line) <= columns for line in lines)
    assert any("truncat" in line for line in lines)
    assert b"\x1b[" in terminal.raw


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colors_where_they_are_not_wanted(
    screen: Callable[..., Screen], monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    terminal = screen(80, 60)
    monkeypatch.setenv(*variable)
    summary_table(COUNTS, PROBLEMS, terminal.stream)
    terminal.seen()
    assert b"\x1b[3" not in terminal.raw
    assert b"quarantined" in terminal.raw


def test_an_ascii_stream_gets_ascii_lines() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    summary_table(COUNTS, PROBLEMS, stream)
    stream.flush()
    assert raw.getvalue().isascii()
    assert b"truncated" in raw.getvalue()


def test_without_a_stream_it_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    summary_table(COUNTS, [])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1,234" in captured.err

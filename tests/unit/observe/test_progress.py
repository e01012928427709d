from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ingestor.observe.logs import LogObserver, configure_logs
from ingestor.observe.progress import Progress
from tests.fakes import FakeClock
from tests.unit.observe.kit import Lines, Screen

OpenScreen = Callable[..., Screen]

RUN = """
import sys
from ingestor.observe.logs import LogObserver, configure_logs
from ingestor.observe.progress import Progress
from ingestor.observe.several import Observers
from tests.fakes import FakeClock
configure_logs("info", "auto")
with Progress(sys.stderr, FakeClock(), 3) as progress:
    observers = Observers(progress, LogObserver(images=not progress.is_live))
    progress.set_quota(30, 0)
    observers.notice("stage", stage="upload", folder="products", path="a.jpg")
    image = {"folder": "products", "path": "b.jpg", "outcome": "quarantined", "reason": "truncated", "message": "m"}
    observers.notice("image_end", **image)
    observers.notice("image_end", folder="products", path="a.jpg", outcome="uploaded", bytes_read=1, bytes_sent=1)
    observers.notice("worker_lost", message="a worker died")
"""


def end(progress: Progress, outcome: str, path: str = "a.jpg", **facts: Any) -> None:
    progress.notice("image_end", folder="products", path=path, outcome=outcome, **facts)


def shown(screen: Screen, wanted: str) -> list[str]:
    """What is on the screen once the display, which draws by itself, has this on it."""
    for _ in range(400):
        lines = screen.seen()
        if any(wanted in line for line in lines):
            return lines
        threading.Event().wait(0.01)
    raise AssertionError(f"{wanted!r} never shows in {screen.seen()}")


# -- on a terminal


@pytest.mark.parametrize("columns", [80, 40])
def test_on_a_terminal_the_run_is_drawn_and_gone_when_it_ends(screen: OpenScreen, columns: int) -> None:
    terminal = screen(columns)
    clock = FakeClock()
    with Progress(terminal.stream, clock, 4) as progress:
        assert progress.is_live
        progress.set_quota(30, 0)
        progress.notice("stage", stage="upload", folder="products", path="a.jpg")
        clock.advance(2)
        end(progress, "uploaded", "b.jpg", bytes_read=2_000_000, bytes_sent=1_000_000)
        lines = shown(terminal, "1 of 4  25%")
        assert "1 uploaded" in lines
        assert "2.0 MB read · 1.0 MB sent · 30/min" in lines
        assert "quota bound: 30/min, done in 6 s" in lines
        assert "  upload      products/a.jpg" in lines
    assert terminal.seen() == []
    assert terminal.raw.rstrip().endswith(b"\x1b[2K")
    assert terminal.raw.count(b"\x1b[?25l") == terminal.raw.count(b"\x1b[?25h") == 1


def test_a_quarantine_shows_at_once_and_stays(screen: OpenScreen) -> None:
    terminal = screen(80)
    with Progress(terminal.stream, FakeClock(), 4) as progress:
        end(progress, "quarantined", "[red]b\x1b[2J.jpg", reason="truncated", message="the end\nis missing")
        line = "quarantined products/[red]b\\x1b[2J.jpg truncated: the end\\nis missing"
        assert terminal.seen()[0] == line
    assert terminal.seen() == [line]


def test_log_lines_appear_above_the_display_and_afterwards_where_they_did(screen: OpenScreen) -> None:
    terminal = screen(80)
    configure_logs("info", "auto", terminal.stream)
    log = LogObserver()
    with Progress(terminal.stream, FakeClock(), 4) as progress:
        progress.notice("stage", stage="upload", folder="products", path="a.jpg")
        log.notice("worker_lost", message="one")
        shown(terminal, "  upload      products/a.jpg")
    log.notice("worker_lost", message="two")
    lines = terminal.seen()
    assert [line.rpartition("message=")[2] for line in lines] == ["one", "two"]


def test_logs_that_go_elsewhere_still_go_there(screen: OpenScreen, logged: Lines) -> None:
    terminal = screen(80)
    with Progress(terminal.stream, FakeClock(), 4):
        LogObserver().notice("worker_lost", message="one")
    assert logged.objects()[0]["message"] == "one"
    assert terminal.seen() == []


def test_it_is_gone_also_when_the_run_fails(screen: OpenScreen) -> None:
    terminal = screen(80)
    with pytest.raises(KeyError), Progress(terminal.stream, FakeClock(), 4):
        raise KeyError
    assert terminal.seen() == []
    assert b"\x1b[?25h" in terminal.raw


def test_a_terminal_that_goes_away_does_not_end_the_run(screen: OpenScreen) -> None:
    terminal = screen(80)
    with Progress(terminal.stream, FakeClock(), 4) as progress:
        terminal.stream.close()
        progress.set_total(5)
    assert progress.is_live


@pytest.mark.parametrize("columns", [80, 40])
def test_the_real_thing_in_a_real_terminal(columns: int) -> None:
    terminal = Screen(columns)
    try:
        assert terminal.run(RUN, {"TERM": "xterm-256color", "NO_COLOR": ""}) == 0
        text = "".join(terminal.seen())
        assert text.startswith("quarantined products/b.jpg truncated: m")
        assert "worker_lost" in text
        assert "image_end" not in text
        assert "of 3" not in text
    finally:
        terminal.close()


def test_no_color_means_no_color() -> None:
    terminal = Screen(80)
    try:
        assert terminal.run(RUN, {"TERM": "xterm-256color", "NO_COLOR": "1"}) == 0
        colors = re.compile(rb"\x1b\[[0-9;]*(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m")
        assert b"\x1b[?25l" in terminal.raw
        assert not colors.search(terminal.raw)
    finally:
        terminal.close()


def test_a_dumb_terminal_gets_lines_and_no_control_codes() -> None:
    terminal = Screen(80)
    try:
        assert terminal.run(RUN, {"TERM": "dumb", "NO_COLOR": ""}) == 0
        assert b"\x1b" not in terminal.raw
        assert terminal.raw.count(b"image_end") == 2
    finally:
        terminal.close()


# -- elsewhere


def test_elsewhere_a_line_comes_every_so_often(logged: Lines) -> None:
    clock = FakeClock()
    with Progress(logged, clock, 4, line_seconds=30) as progress:
        assert not progress.is_live
        progress.set_quota(30, 0)
        clock.advance(29)
        end(progress, "uploaded", bytes_read=10, bytes_sent=5)
        assert logged.lines() == []
        clock.advance(1)
        end(progress, "duplicate", bytes_read=10)
        end(progress, "quarantined", reason="truncated")
        clock.advance(31)
        progress.tick()
    first, second = logged.objects()
    first.pop("timestamp")
    assert first == {
        "level": "info",
        "event": "progress",
        "done": 2,
        "total": 4,
        "uploaded": 1,
        "duplicate": 1,
        "bytes_read": 20,
        "bytes_sent": 5,
        "per_minute": 4.0,
        "forecast": "done in 30 s",
    }
    assert (second["done"], second["quarantined"]) == (3, 1)


def test_as_long_as_images_are_still_looked_for_the_line_says_so(logged: Lines) -> None:
    clock = FakeClock()
    progress = Progress(logged, clock)
    progress.notice("found", folder="f", number=7)
    clock.advance(30)
    progress.tick()
    assert (logged.objects()[0]["total"], logged.objects()[0]["forecast"]) == ("7 so far", "still looking for images")
    progress.set_total(9)
    clock.advance(30)
    progress.tick()
    assert logged.objects()[1]["total"] == 9


def test_lines_come_also_while_nothing_happens(logged: Lines) -> None:
    clock = FakeClock()
    with Progress(logged, clock, 4, line_seconds=0.03):
        clock.advance(31)
        for _ in range(400):
            if logged.lines():
                break
            threading.Event().wait(0.01)
    assert logged.objects()[0]["event"] == "progress"
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_terminal_that_knows_no_control_codes_counts_as_elsewhere(
    screen: OpenScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = screen(80)
    monkeypatch.setenv("TERM", "dumb")
    with Progress(terminal.stream, FakeClock(), 4) as progress:
        assert not progress.is_live
        end(progress, "quarantined", reason="truncated")
    assert terminal.seen() == []

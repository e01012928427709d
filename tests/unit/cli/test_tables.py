from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest

from ingestor.cli.tables import Cell, Column, blank, facts, heading, is_drawn, table, text


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes stdout a terminal of 40 columns; called in the test, for pytest sets stdout anew after each fixture."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def open_terminal() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stdout", stream)
        return stream

    return open_terminal


COLUMNS = [Column("name", grows=True), Column("images", right=True)]


def test_a_table_stands_in_columns_without_lines_around_it(capsys: pytest.CaptureFixture[str]) -> None:
    table(COLUMNS, [("a", 1), ("longer", 1234)], indent=2)
    assert capsys.readouterr().out.splitlines() == ["  name    images", "  a            1", "  longer    1234"]


def test_titles_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    table(COLUMNS, [("a", 1)], titles=False)
    assert capsys.readouterr().out.splitlines() == ["a  1"]


def test_where_there_is_no_terminal_nothing_is_wrapped_or_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 300 + "end"
    table(COLUMNS, [(long, 1)])
    facts([("name", long)])
    text(long)
    assert [line.count("word") for line in capsys.readouterr().out.splitlines()] == [0, 300, 300, 300]


def test_no_line_ends_with_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    heading("Heading")
    facts([("name", "x"), ("longer name", "y")])
    table(COLUMNS, [("a", 1)])
    assert all(line == line.rstrip() for line in capsys.readouterr().out.splitlines())


def test_a_heading_stands_apart_unless_it_is_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    heading("First", gap=False)
    heading("Second")
    blank()
    assert capsys.readouterr().out == "First\n\nSecond\n\n"


def test_what_a_terminal_would_obey_is_only_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text("\x1b[2J\x07 \udce9 [bold]x[/bold] :smile:")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert shown.rstrip().endswith("[bold]x[/bold] :smile:")


def test_on_a_terminal_the_column_that_grows_is_wrapped(terminal: Callable[[], Terminal]) -> None:
    stream = terminal()
    table(COLUMNS, [("/a/very/long/path/without/any/space/in/it/that/goes/on.jpg", 1)])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert max(len(line) for line in lines) <= 40
    assert len(lines) >= 3


def test_styles_are_drawn_on_a_terminal_alone(terminal: Callable[[], Terminal]) -> None:
    stream = terminal()
    facts([("state", Cell("bad", "bold red"))])
    assert "\x1b[1;31mbad" in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_no_colour_where_it_is_not_wanted(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stream = terminal()
    facts([("state", Cell("bad", "red"))])
    assert "\x1b[31" not in stream.getvalue()
    assert "bad" in stream.getvalue()


def test_a_dumb_terminal_gets_no_control_codes(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal()
    assert is_drawn()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_drawn()
    heading("x")
    assert stream.getvalue() == "\nx\n"

"""What people read on stdout: headings, tables, lists and sentences.

On a terminal as wide as it is; elsewhere plain text in which no line is wrapped or cut.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestor.cli.common import out
from ingestor.observe.cleaning import clean_text

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console, RenderableType
    from rich.table import Table

_PIPE_COLUMNS = 10_000

Pairs = Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Column:
    """`right` is for numbers; the one that `grows` is wrapped where the terminal is narrow."""

    title: str
    right: bool = False
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that stands out. `style` as rich has it."""

    value: object
    style: str


def heading(line: str, *, gap: bool = True) -> None:
    """What the lines below it are about, after an empty line (the `gap`)."""
    from rich.text import Text

    if gap:
        blank()
    _print(Text(clean_text(line), style="bold"))


def blank() -> None:
    out("")


def text(line: str, *, style: str = "", indent: int = 0) -> None:
    """A sentence."""
    from rich.padding import Padding
    from rich.text import Text

    _print(Padding(Text(clean_text(line), style=style), (0, 0, 0, indent), expand=False))


def facts(pairs: Pairs, *, indent: int = 0) -> None:
    """Names, and what they stand for, one a line."""
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(overflow="fold")
    _fill(drawn, pairs, indent)


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], *, indent: int = 0, titles: bool = True) -> None:
    """Rows below titles, without lines around them."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), show_header=titles)
    for column in columns:
        drawn.add_column(
            column.title, justify="right" if column.right else "left", overflow="fold", no_wrap=not column.grows
        )
    _fill(drawn, rows, indent)


def _fill(drawn: Table, rows: Sequence[Sequence[object]], indent: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for row in rows:
        cells = [cell if isinstance(cell, Cell) else Cell(cell, "") for cell in row]
        drawn.add_row(*(Text(clean_text(str(cell.value)), style=cell.style) for cell in cells))
    _print(Padding(drawn, (0, 0, 0, indent), expand=False))


def is_drawn() -> bool:
    """Whether stdout takes control codes."""
    from ingestor.observe.logs import is_plain, is_terminal

    return is_terminal(sys.stdout) and not is_plain()


def _print(what: RenderableType) -> None:
    if is_drawn():
        _console(sys.stdout, None).print(what)
        return
    drawn = io.StringIO()
    _console(drawn, None if sys.stdout.isatty() else _PIPE_COLUMNS).print(what)
    for line in drawn.getvalue().splitlines():
        out(line.rstrip())


def _console(stream: TextIO, columns: int | None) -> Console:
    """Honours NO_COLOR; takes nothing in a text for its own mark-up."""
    from rich.console import Console

    return Console(file=stream, width=columns, markup=False, emoji=False, highlight=False)

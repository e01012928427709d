"""What people read on stdout: headings, tables and lists. On a terminal as wide as it is, elsewhere plain text."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ingestor.cli.common import out
from ingestor.runtime.tally import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPE_COLUMNS = 10_000
"""Nothing is cut or wrapped for a reader that is a program."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `right` for numbers, `grows` for the one that is wrapped where the terminal is narrow."""

    title: str
    right: bool = False
    grows: bool = False


def shown(text: object) -> str:
    """Text that is safe on a terminal: bytes that are not UTF-8 and control characters become `\\xNN`."""
    plain = printable(str(text))
    if plain.isprintable():
        return plain
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("utf-8", "backslashreplace").decode("latin-1")
        if not letter.isascii() and letter.isspace()
        else f"\\x{ord(letter):02x}"
        for letter in plain
    )


def heading(text: str) -> None:
    """A line above what follows."""
    from rich.text import Text

    _print(Text(text, style="bold"))


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], *, indent: int = 2) -> None:
    """Rows below titles, without lines around them."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.grows,
            ratio=None,
        )
    for row in rows:
        drawn.add_row(*(Text(shown(cell)) for cell in row))
    _print(Padding(drawn, (0, 0, 0, indent)))


def facts(pairs: Sequence[tuple[str, object]], *, indent: int = 0) -> None:
    """Names and what they stand for, one a line."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, Text(shown(value)))
    _print(Padding(drawn, (0, 0, 0, indent)))


def text(line: str, *, style: str = "", indent: int = 0) -> None:
    """A sentence, wrapped on a terminal."""
    from rich.padding import Padding
    from rich.text import Text

    _print(Padding(Text(shown(line), style=style), (0, 0, 0, indent)))


def console(stream: TextIO) -> Console:
    """As the terminal is; NO_COLOR and TERM=dumb are honoured. Wide where there is no terminal."""
    from rich.console import Console

    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


def _print(what: RenderableType) -> None:
    if sys.stdout.isatty():
        console(sys.stdout).print(what)
        return
    drawn = io.StringIO()
    console(drawn).print(what)
    for line in drawn.getvalue().splitlines():
        out(line.rstrip())

"""What the benchmarks have printed, as a page with a plot: tests/benchmarks/report.md and report.svg."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from operator import attrgetter
from pathlib import Path

PAGE = Path(__file__).with_name("report.md")
PLOT = PAGE.with_suffix(".svg")

_RATIOS = ("ratio", "against find", "makespan / optimum", "time / ")
"""Beginnings of the names of columns that hold one figure against another of the same run."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ROW_PX, _NAME_PX, _WIDTH_PX, _FULL = 18, 430, 760, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a table, as far as it is a ratio."""

    part: str
    what: str
    ratio: float


def bars(text: str) -> Iterator[Bar]:
    """Every row of a Markdown table that has a ratio, with the heading above it."""
    part, heads = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
            continue
        column = next((place for place, head in enumerate(heads) if head.startswith(_RATIOS)), None)
        found = _NUMBER.fullmatch(cells[column]) if column is not None and column < len(cells) else None
        if found:
            yield Bar(part=part, what=cells[0].replace("`", ""), ratio=float(found[0]))


def plot(shown: list[Bar]) -> str:
    """Bars below their parts, with a line at 1, where the peer is; what is longer than the plot is cut off there."""
    parts = {part: list(of) for part, of in groupby(shown, key=attrgetter("part"))}
    height = _ROW_PX * (len(shown) + len(parts) + 1)
    scale = (_WIDTH_PX - _NAME_PX - 60) / _FULL
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_PX}" height="{height}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    y = 6
    for part, of in parts.items():
        drawn.append(f'<text x="6" y="{y + 10}" font-weight="bold">{escape(part)}</text>')
        y += _ROW_PX
        for bar in of:
            length = min(bar.ratio, _FULL) * scale
            drawn.append(
                f'<text x="{_NAME_PX - 6}" y="{y + 10}" text-anchor="end">{escape(bar.what)}</text>'
                f'<rect x="{_NAME_PX}" y="{y}" width="{length:.0f}" height="12" fill="#4878a8"/>'
                f'<text x="{_NAME_PX + length + 4:.0f}" y="{y + 10}">{bar.ratio:.2f}</text>'
            )
            y += _ROW_PX
    one = _NAME_PX + scale
    drawn.append(f'<line x1="{one:.0f}" y1="0" x2="{one:.0f}" y2="{height}" stroke="#b03030"/></svg>\n')
    return "\n".join(drawn)


def write(text: str) -> None:
    PLOT.write_text(plot(list(bars(text))))
    head, _, rest = text.partition("\n## ")
    PAGE.write_text(f"{head}\n![Ours against the peer of the same run; the line is at 1]({PLOT.name})\n\n## {rest}")

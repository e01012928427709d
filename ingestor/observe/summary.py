"""What came of a run, printed at its end: totals that add up, and every reason with its files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ingestor.observe.cleaning import clean_text
from ingestor.observe.logs import is_plain, is_terminal
from ingestor.observe.wording import in_words, size

FILES_SHOWN = 3
"""Of each reason; how many more there are is told."""

_TOTALS = {
    "discovered": "found",
    "uploaded": "uploaded",
    "replayed": "replayed",
    "already_live": "already live",
    "duplicates": "duplicates",
    "skipped": "skipped",
    "deferred": "deferred",
    "quarantined": "quarantined",
}
_STYLES = {"quarantined": "bold red", "deferred": "yellow"}


def summary_table(
    counts: Mapping[str, Any], problems: Sequence[Mapping[str, Any]], stream: TextIO | None = None
) -> None:
    """Print the end of a run to `stream` (standard error).

    `counts` has the names of the object that `backfill --json` prints; `problems` is its list: `path`, `reason`,
    `message`, `request_id`.
    """
    target = stream if stream is not None else sys.stderr
    # A terminal that knows no control codes gets what a file would get.
    is_drawn = is_terminal(target) and not is_plain()
    console = Console(
        file=target, markup=False, emoji=False, highlight=False, force_terminal=None if is_drawn else False
    )
    parts: list[Table] = [_totals(counts)]
    if problems:
        parts.append(_reasons(problems))
    console.print(Group(*parts))


def _totals(counts: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for name, words in _TOTALS.items():
        value = int(counts.get(name) or 0)
        if value or name in ("discovered", "uploaded"):
            indent = "" if name == "discovered" else "  "
            style = _STYLES.get(name, "") if value else ""
            table.add_row(Text(indent + words, style=style), Text(f"{value:,}", style=style))
    table.add_row("read", size(float(counts.get("bytes_read") or 0)))
    table.add_row("sent", size(float(counts.get("bytes_sent") or 0)))
    table.add_row("took", in_words(float(counts.get("seconds") or 0.0)))
    return table


def _reasons(problems: Sequence[Mapping[str, Any]]) -> Table:
    """The most frequent reason first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for problem in problems:
        groups.setdefault(clean_text(str(problem.get("reason") or "unknown")), []).append(problem)
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("reason", style="bold")
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("which, and why")
    for reason, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        table.add_row(Text(reason), f"{len(group):,}", _files(group))
    return table


def _files(group: Sequence[Mapping[str, Any]]) -> Text:
    """The first files of a reason, each with its message where that is not the one before."""
    lines = Text()
    said = None
    for problem in group[:FILES_SHOWN]:
        message = clean_text(str(problem.get("message") or ""))
        lines.append(clean_text(str(problem.get("path") or "")) + "\n", style="cyan")
        if message and message != said:
            request = problem.get("request_id")
            lines.append(f"  {message}{f' ({clean_text(str(request))})' if request else ''}\n")
        said = message
    if len(group) > FILES_SHOWN:
        lines.append(f"and {len(group) - FILES_SHOWN:,} more\n", style="dim")
    lines.right_crop(1)
    return lines

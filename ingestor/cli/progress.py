"""How far a plan is, on a terminal's stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestor.runtime.planning import Planner


@contextlib.contextmanager
def showing(planner: Planner) -> Iterator[None]:
    """While inside, one line tells of the files found and looked at; it goes away at the end."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    class Line:
        def __rich__(self) -> Text:
            return Text(f"{planner.listed:,} files found, {planner.looked_at:,} images looked at")

    with Live(Line(), console=Console(stderr=True), refresh_per_second=5, transient=True):
        yield

"""Where log lines go: one stream, in whole lines, which may fail without hurting anybody."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Sink:
    """Writes whole lines to a stream. A stream that fails loses lines, is tried again, and is told how many."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._detour: Callable[[str], None] | None = None
        self.lost = 0
        """Lines that could not be written since the last one that could."""

    @property
    def stream(self) -> TextIO:
        """The one that was given, else what is standard error now."""
        return self._stream if self._stream is not None else sys.stderr

    def msg(self, line: str) -> None:
        """Write a line; the name is what structlog calls."""
        detour = self._detour
        if detour is not None:
            detour(line)
            return
        with self._lock:
            try:
                if self.lost:
                    self._put(f"({self.lost} log lines before this one could not be written)")
                    self.lost = 0
                self._put(line)
            except (OSError, ValueError):  # a full disk, a pipe or terminal that is gone, a closed stream
                self.lost += 1

    debug = info = warning = error = critical = log = msg

    def __call__(self, *_: object) -> Sink:
        """As structlog's logger factory: itself."""
        return self

    @contextmanager
    def through(self, detour: Callable[[str], None]) -> Iterator[None]:
        """Meanwhile lines go there: a display has the terminal, and prints them above itself."""
        before, self._detour = self._detour, detour
        try:
            yield
        finally:
            self._detour = before

    def _put(self, line: str) -> None:
        stream = self.stream
        try:
            stream.write(line + "\n")
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()

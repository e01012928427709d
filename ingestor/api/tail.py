"""A file that grows, and that may be replaced by another one under its name: its whole lines, each once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A line, where it begins in its file, and which file that is, counted from 1."""

    data: bytes
    offset: int
    file_number: int


class Tail:
    """Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file_number = 0
        """How many files there have been under the name."""
        self._file: int | None = None
        self._reached = 0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()

    def twin(self) -> Tail:
        """Another one that has come as far as this one."""
        other = Tail(self.path)
        other.file_number, other._reached = self.file_number, self._reached
        other._file = None if self._file is None else os.dup(self._file)
        return other

    def lines(self) -> Iterator[Found]:
        """All that was added since the last call. A file that has taken the name is read from its beginning.

        What had been written into the old one before that comes first, so that nothing is passed over.
        """
        yield from self._rest()
        while self._has_changed():
            yield from self._rest()
            if not self._switch():
                return
            yield from self._rest()

    def at(self, offset: int) -> bytes:
        """The line that begins there; empty where none does any more."""
        if self._file is None:
            return b""
        size = 4096
        while True:
            data = os.pread(self._file, size, offset)
            line, newline, _ = data.partition(b"\n")
            if newline:
                return line + newline
            if len(data) < size:
                return b""
            size *= 4

    def _rest(self) -> Iterator[Found]:
        """The whole lines from where we are: whoever writes a line may be in the middle of it."""
        if self._file is None:
            return
        held = b""
        while data := os.pread(self._file, _READ_BYTES, self._reached + len(held)):
            *whole, held = (held + data).split(b"\n")
            for line in whole:
                offset, self._reached = self._reached, self._reached + len(line) + 1
                yield Found(line + b"\n", offset, self.file_number)

    def _has_changed(self) -> bool:
        """Whether the name stands for another file, or the file was emptied."""
        try:
            present = os.stat(self.path)
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        ours = os.fstat(self._file)
        return not os.path.samestat(present, ours) or present.st_size < self._reached

    def _switch(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            fresh = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self.close()
            self._file, self._reached = fresh, 0
            self.file_number += 1
            return True
        return False

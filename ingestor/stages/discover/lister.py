"""List directories piece by piece: by a call, or as a program of its own, a piece ahead of whoever asks.

The program is `python -I -S lister.py`, there in 20 milliseconds: nothing of ours is imported here. It reads frames
from its input, each after its length: first the rules, then directories. It writes what `packed` makes of each part.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import IO, NamedTuple

Mark = tuple[int, int, int, int, int]
MARK = struct.Struct("<QQqqq")
mark_of = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")

ANSWER = struct.Struct("<B4I")
"""What it is; the lengths of the plain names, of their marks, of the other names, and of what these are."""
PIECE, LAST, ERROR = range(3)
"""An error's number stands in place of the first length."""
LENGTH = struct.Struct("<I")
BETWEEN = "\0"
"""Names: no name has it."""


class Listed(NamedTuple):
    """A part of a directory."""

    plain: dict[str, Mark]
    """Regular files whose names are plain."""
    others: list[tuple[str, bool]]
    """All else: names, and whether it is a directory."""
    is_last: bool


def listed(directory: str, *, follow: bool, suffixes: tuple[str, ...], odd: str, most: int) -> Iterator[Listed]:
    """A directory, in parts of up to `most` entries. Raises `OSError`.

    A name is plain if it ends with one of `suffixes` and does not begin with a letter of `odd`. A directory that is a
    symlink is an error unless `follow`.
    """
    # By its descriptor: files are looked at from there, not by a path from the root down each time.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        with os.scandir(descriptor) as entries:
            ahead = next(entries, None)
            while True:
                found = _looked(chain([ahead] if ahead else [], islice(entries, most - 1)), suffixes, odd)
                ahead = next(entries, None)
                yield Listed(*found, is_last=ahead is None)
                if ahead is None:
                    return
    finally:
        os.close(descriptor)


def _looked(
    entries: Iterator[os.DirEntry[str]], suffixes: tuple[str, ...], odd: str
) -> tuple[dict[str, Mark], list[tuple[str, bool]]]:
    """Look at each entry once, and keep none: what they remember of a look is many times what is wanted of it."""
    plain: dict[str, Mark] = {}
    others: list[tuple[str, bool]] = []
    # A million files pass here: what would read better as a call of its own costs a tenth of a second each.
    for entry in entries:
        name = entry.name
        try:
            if name.endswith(suffixes) and name[0] not in odd and entry.is_file(follow_symlinks=False):
                plain[name] = mark_of(entry.stat(follow_symlinks=False))
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
        except OSError:
            is_directory = False  # who looks at it again is told why
        others.append((name, is_directory))
    return plain, others


def packed(part: Listed) -> bytes:
    """The answer that `unpacked` reads."""
    plain, others = os.fsencode(BETWEEN.join(part.plain)), os.fsencode(BETWEEN.join(name for name, _ in part.others))
    marks = b"".join([MARK.pack(*mark) for mark in part.plain.values()])
    kinds = bytes(is_directory for _, is_directory in part.others)
    what = LAST if part.is_last else PIECE
    return ANSWER.pack(what, len(plain), len(marks), len(others), len(kinds)) + plain + marks + others + kinds


def unpacked(from_: IO[bytes]) -> Listed:
    """The next answer. Raises `EOFError` where none comes any more, `OSError` where the directory cannot be read."""
    what, *lengths = ANSWER.unpack(exactly(from_, ANSWER.size))
    if what == ERROR:
        raise OSError(lengths[0], os.strerror(lengths[0]))
    plain, marks, others, kinds = (exactly(from_, length) for length in lengths)
    return Listed(
        plain=dict(zip(_names(plain), MARK.iter_unpack(marks), strict=False)) if marks else {},
        others=list(zip(_names(others), map(bool, kinds), strict=False)) if kinds else [],
        is_last=what == LAST,
    )


def _names(joined: bytes) -> list[str]:
    return os.fsdecode(joined).split(BETWEEN)


def exactly(from_: IO[bytes], length: int) -> bytes:
    """Raises `EOFError` where fewer bytes come."""
    data = from_.read(length)
    if len(data) < length:
        raise EOFError
    return data


def framed(data: bytes) -> bytes:
    """As the program reads it."""
    return LENGTH.pack(len(data)) + data


def main() -> None:
    """Answer until nobody asks any more."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer

    def frame() -> bytes:
        return exactly(asked, *LENGTH.unpack(exactly(asked, LENGTH.size)))

    try:
        most, odd, *suffixes = os.fsdecode(frame()).split(BETWEEN)
        while True:
            request = frame()
            try:
                for part in listed(
                    os.fsdecode(request[1:]),
                    follow=request[:1] == b"1",
                    suffixes=tuple(suffixes),
                    odd=odd,
                    most=int(most),
                ):
                    answers.write(packed(part))
                    answers.flush()
            except OSError as error:
                answers.write(ANSWER.pack(ERROR, error.errno or 0, 0, 0, 0))
                answers.flush()
    except (EOFError, BrokenPipeError):
        # Who asked is gone. What is left in the buffer has nobody to go to.
        os._exit(0)


if __name__ == "__main__":
    main()

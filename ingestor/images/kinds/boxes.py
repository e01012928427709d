"""The boxes that HEIF, AVIF and JPEG 2000 files consist of, one after the other. ISO/IEC 14496-12; ITU-T T.800, I.4."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

_HEAD_BYTES = 8

At = Callable[[int, int], bytes]
"""Up to so many bytes from an offset on: `Source.at`."""


class Box(NamedTuple):
    kind: bytes
    begin: int
    """Of what is in it: its head stands before."""
    end: int
    """By its own account, which may be beyond the file, or the box around it."""


def of(read: At, at: int, end: int) -> Iterator[Box]:
    """Those from `at` to `end`.

    Raises `ValueError` for one that is shorter than its own head, `struct.error` where that is cut off.
    """
    while at + _HEAD_BYTES <= end:
        length, kind = struct.unpack(">I4s", read(at, 8))
        begin = at + _HEAD_BYTES
        if length == 1:
            (length,) = struct.unpack(">Q", read(begin, 8))
            begin += 8
        stop = at + length if length else end
        if stop < begin:
            raise ValueError(f"box {kind!r} is shorter than its own head")
        yield Box(kind, begin, stop)
        at = stop

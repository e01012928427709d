"""AVIF with what its clean aperture cuts off, which Pillow shows: the crop of editors that do not code anew."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from PIL import AvifImagePlugin

from ingestor.images.kinds import boxes
from ingestor.images.kinds.boxes import Box

_Edges = tuple[int, int, int, int]
"""Left, top, right, bottom."""


class AvifFile(AvifImagePlugin.AvifImageFile):
    """Pillow's AVIF, whose size is that of the picture that is meant."""

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        self.fp.seek(0)
        super()._open()
        self._coded_size = self._size
        self._edges = None if self.is_animated else clean_aperture(data, self._size)
        if self._edges is not None:
            self._size = _size(self._edges)

    def load(self) -> Any:
        if self.tile and self._edges is not None:
            self._size = self._coded_size
            self.tile = [self.tile[0]._replace(extents=(0, 0, *self._coded_size))]
            super().load()
            self.im = self.im.crop(self._edges)
            self._size = self.im.size
        return super().load()


def clean_aperture(data: bytes, size: tuple[int, int]) -> _Edges | None:
    """What is to be shown of the primary picture, of `size`; None for all of it, and for edges that cannot be.

    ISO/IEC 14496-12, 12.1.4; 23008-12, 6.5.9.
    """

    def at(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    def inside(box: Box | None, skipped: int = 0) -> list[Box]:
        return [] if box is None else list(boxes.of(at, box.begin + skipped, min(box.end, len(data))))

    def first(found: list[Box], kind: bytes) -> Box | None:
        return next((box for box in found if box.kind == kind), None)

    try:
        parts = inside(first(list(boxes.of(at, 0, len(data))), b"meta"), 4)
        primary, properties = first(parts, b"pitm"), inside(first(parts, b"iprp"))
        stored, told = inside(first(properties, b"ipco")), first(properties, b"ipma")
        if primary is None or told is None:
            return None
        (item,) = struct.unpack_from(">I" if data[primary.begin] else ">H", data, primary.begin + 4)
        for number in _properties(data, told, item):
            if 0 < number <= len(stored) and stored[number - 1].kind == b"clap":
                return _edges(struct.unpack_from(">4I i I i I", data, stored[number - 1].begin), size)
    except (struct.error, ValueError, IndexError):
        pass  # the decoder has the last word on what is broken
    return None


def _properties(data: bytes, told: Box, item: int) -> Iterator[int]:
    """The numbers of the properties of an item, from 1 on (23008-12, 9.3.2)."""
    has_long_items, has_long_numbers = data[told.begin] > 0, data[told.begin + 3] & 1
    (count,) = struct.unpack_from(">I", data, told.begin + 4)
    at = told.begin + 8
    for _ in range(count):
        its, number = struct.unpack_from(">IB" if has_long_items else ">HB", data, at)
        at += 5 if has_long_items else 3
        width = 2 if has_long_numbers else 1
        if its == item:
            for place in range(at, at + width * number, width):
                yield int.from_bytes(data[place : place + width]) & (0x7FFF if has_long_numbers else 0x7F)
            return
        at += width * number


def _edges(told: tuple[int, ...], size: tuple[int, int]) -> _Edges | None:
    """From width, height, and how far the middle is right of and below the picture's, each a fraction."""
    if 0 in told[1::2]:
        return None
    width, height, right, down = (Fraction(*told[at : at + 2]) for at in range(0, 8, 2))
    left = (size[0] - width) / 2 + right
    top = (size[1] - height) / 2 + down
    edges = (left, top, left + width, top + height)
    is_whole = all(edge.denominator == 1 for edge in edges)
    if not is_whole or not (0 <= left < edges[2] <= size[0] and 0 <= top < edges[3] <= size[1]):
        return None
    return int(left), int(top), int(edges[2]), int(edges[3])


def _size(edges: _Edges) -> tuple[int, int]:
    return edges[2] - edges[0], edges[3] - edges[1]

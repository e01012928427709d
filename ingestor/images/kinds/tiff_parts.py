"""The strips and tiles of a TIFF: where each lies in the file, and in the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

_MOST_PARTS = 200_000
"""Walked through one by one: a picture of 300 MP has 18,000 tiles of 128x128, or as many strips of one row."""
_SPARE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """A strip, or a tile, which may go beyond the picture; `box` is what is seen of it."""

    box: tuple[int, int, int, int]
    is_seen_whole: bool
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Parts:
    """All of them, as far as tags tell."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    is_tiled: bool
    channels: int
    """Of each part."""
    bits: int
    planes: int
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def across(self) -> int:
        return math.ceil(self.width / self.tile_width)

    @property
    def count(self) -> int:
        return self.across * math.ceil(self.height / self.tile_height) * self.planes

    @property
    def unpacked_bytes(self) -> int:
        """Of a whole one."""
        return self.tile_height * math.ceil(self.tile_width * self.channels * self.bits / 8)

    def __iter__(self) -> Iterator[Part]:
        each = self.count // self.planes
        for place in range(self.count):
            row, column = divmod(place % each, self.across)
            left, top = column * self.tile_width, row * self.tile_height
            right, bottom = min(left + self.tile_width, self.width), min(top + self.tile_height, self.height)
            # The last strip holds only the rows that there are; a tile is always whole.
            is_whole = not self.is_tiled or (right - left, bottom - top) == (self.tile_width, self.tile_height)
            yield Part((left, top, right, bottom), is_whole, self.offsets[place], self.lengths[place])

    def packed(self, file: IO[bytes], part: Part) -> bytes:
        """Its bytes in the file; nothing that is packed grows by more than half, and what goes beyond is left out."""
        file.seek(part.offset)
        return file.read(max(0, min(part.length, 2 * self.unpacked_bytes + _SPARE_BYTES)))


def of(tags: Any) -> Parts | None:
    """None where tags tell too few of them, or more than are walked through."""

    def several(tag: int, *usual: int) -> tuple[int, ...]:
        told = tags.get(tag, usual)
        told = told if isinstance(told, tuple) else (told,)
        return told if all(isinstance(one, int) for one in told) else ()

    def one(tag: int, usual: int) -> int:
        return (several(tag, usual) or (0,))[0]

    width, height, channels, is_tiled = one(256, 0), one(257, 0), one(277, 1), 324 in tags
    has_planes = one(284, 1) == 2
    parts = Parts(
        width=width,
        height=height,
        tile_width=one(322, 0) if is_tiled else width,
        tile_height=one(323, 0) if is_tiled else min(height, one(278, height)),
        is_tiled=is_tiled,
        channels=1 if has_planes else channels,
        bits=max(several(258, 1), default=0),
        planes=channels if has_planes else 1,
        offsets=several(324 if is_tiled else 273),
        lengths=several(325 if is_tiled else 279),
    )
    if min(width, height, parts.tile_width, parts.tile_height, channels, parts.bits) < 1:
        return None
    return parts if parts.count <= min(len(parts.offsets), len(parts.lengths), _MOST_PARTS) else None

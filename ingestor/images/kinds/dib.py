"""The header of a Windows bitmap: what stands behind the file's own in a BMP, and begins a DIB."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 14 + 124 + 16
"""Of a BMP, as far as its headers and masks may go."""
RAW, RUNS_OF_8, RUNS_OF_4, MASKS, MASKS_AND_ALPHA = 0, 1, 2, 3, 6
"""Of the compression."""

_FILE_HEADER = b"BM"
_FILE_HEADER_BYTES = 14
_FIRST = struct.Struct("<I2i2H6I")
_WITH_MASKS_BYTES = frozenset({52, 56, 108, 124})
"""Headers of later versions, with masks in them; those of 52 bytes have none for alpha."""
_OF_DIBS_BYTES = frozenset({40, 108, 124})
_BITS = {RAW: {1, 4, 8, 16, 24, 32}, RUNS_OF_8: {8}, RUNS_OF_4: {4}, MASKS: {16, 32}}
_MOST_COLOURS = 256
_ROUNDING_BYTES = 4
"""By which a file may be longer than its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dib:
    header_bytes: int
    width: int
    height: int
    top_first: bool
    planes: int
    bits: int
    compression: int
    packed_bytes: int
    colours: int
    masks: tuple[int, int, int, int]
    """Of red, green, blue and alpha; zeros for what has none."""
    pixels_at: int
    """Counted from the header, where nothing stands between."""

    @property
    def row_bytes(self) -> int:
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def end(self) -> int:
        """Of a file without a header of its own."""
        packed = self.compression in (RUNS_OF_8, RUNS_OF_4)
        return self.pixels_at + (self.packed_bytes if packed else self.row_bytes * self.height)


def of(head: bytes) -> Dib | None:
    """What a file begins with, with a header of its own or without; None for versions of OS/2, and where it ends."""
    start = start_of(head)
    if len(head) < start + _FIRST.size:
        return None
    size, width, height, planes, bits, compression, packed_bytes, _, _, colours, _ = _FIRST.unpack_from(head, start)
    if size not in (_FIRST.size, *_WITH_MASKS_BYTES):
        return None
    behind = {MASKS: 3, MASKS_AND_ALPHA: 4}.get(compression, 0) if size == _FIRST.size else 0
    count = behind or (0 if size == _FIRST.size else min(4, (size - _FIRST.size) // 4))
    masks = (0, 0, 0, 0)
    if compression in (MASKS, MASKS_AND_ALPHA):
        told = struct.unpack_from(f"<{count}I", head.ljust(HEAD_BYTES, b"\0"), start + _FIRST.size)
        masks = (*told[:3], told[3] if count == 4 else 0)
    palette = colours or (1 << bits if bits <= 8 else 0)
    return Dib(
        header_bytes=size,
        width=width,
        height=abs(height),
        top_first=height < 0,
        planes=planes,
        bits=bits,
        compression=compression,
        packed_bytes=packed_bytes,
        colours=palette,
        masks=masks,
        pixels_at=size + 4 * behind + 4 * palette,
    )


def start_of(head: bytes) -> int:
    """Where the header of the bitmap begins."""
    return _FILE_HEADER_BYTES if head.startswith(_FILE_HEADER) else 0


def is_whole(head: bytes, size_bytes: int) -> bool:
    """Whether a file is a DIB and has the length that its header tells."""
    told = of(head)
    return told is not None and is_plausible(head) and 0 <= size_bytes - told.end < _ROUNDING_BYTES


def is_plausible(head: bytes) -> bool:
    """Whether a file without a mark may be a DIB, of whatever length."""
    told = None if head.startswith(_FILE_HEADER) else of(head)
    if told is None or told.header_bytes not in _OF_DIBS_BYTES or told.planes != 1:
        return False
    if told.bits not in _BITS.get(told.compression, ()) or told.width < 1 or told.height < 1:
        return False
    return told.colours <= (1 << told.bits if told.bits <= 8 else _MOST_COLOURS)

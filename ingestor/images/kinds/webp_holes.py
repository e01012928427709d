"""A WebP of whose picture data a part was never written: there is no checksum, and decoders show what zeros mean."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from ingestor.images.kinds import chunks
from ingestor.images.kinds.chunks import Chunk

_LOSSY_HOLE = bytes(128)
"""What an arithmetic coder writes looks like noise."""
_LOSSLESS_HOLE = re.compile(rb"\0{1024,}")
_BLANK_PIXELS_A_BYTE = 4
"""From here on there may be so many zeros: of blank paper each bit stands for many pixels, by fast encoders anyway."""
_BLOCK_BYTES, _BESIDE_BYTES = 512, 3
"""What disks and copies lose are whole blocks; a few bytes beside them may be zero by themselves."""

_FRAME_HEAD_BYTES = 16
"""Of an ANMF chunk, before its own chunks."""
_COMPRESSED = 1
"""Of the first byte of an ALPH chunk."""


def has_hole(data: bytes) -> bool:
    """Whether picture data, of any frame and of transparency too, have a part that was never written.

    Raises `SyntaxError` for a chunk beyond the end.
    """
    return any(_has_hole(data, chunk, size) for chunk, size in _picture_chunks(data, chunks.of_webp(data), (0, 0)))


def _has_hole(data: bytes, chunk: Chunk, size: tuple[int, int]) -> bool:
    kind, begin, end = chunk
    if kind == b"VP8 ":
        return data.find(_LOSSY_HOLE, begin, end) >= 0
    if kind == b"ALPH" and data[begin] & 3 != _COMPRESSED:
        return False
    if kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, begin + 1)
        size = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    may_be_blank = (end - begin) * _BLANK_PIXELS_A_BYTE < size[0] * size[1]
    return any(
        not may_be_blank or _is_of_blocks(data, *hole.span()) for hole in _LOSSLESS_HOLE.finditer(data, begin, end)
    )


def _is_of_blocks(data: bytes, begin: int, end: int) -> bool:
    """Whether it is that many whole blocks of the file, or all blocks up to its end."""
    ends_so = end % _BLOCK_BYTES <= _BESIDE_BYTES or end + _BESIDE_BYTES >= len(data)
    return -begin % _BLOCK_BYTES <= _BESIDE_BYTES and ends_so


def _picture_chunks(
    data: bytes, found: Iterable[Chunk], size: tuple[int, int]
) -> Iterator[tuple[Chunk, tuple[int, int]]]:
    """Those that hold pixels, of an animation's frames too, with width and height where a chunk before tells them."""
    for chunk in found:
        if chunk.end > len(data):
            raise SyntaxError(f"chunk {chunk.kind!r} goes beyond the end")
        match chunk.kind:
            case b"VP8X":
                size = _size(data, chunk.begin + 4)
            case b"ANMF":
                inner = chunks.of_webp(data, chunk.begin + _FRAME_HEAD_BYTES, chunk.end)
                yield from _picture_chunks(data, inner, _size(data, chunk.begin + 6))
            case b"VP8 " | b"VP8L" | b"ALPH":
                yield chunk, size


def _size(data: bytes, at: int) -> tuple[int, int]:
    width, height = (int.from_bytes(data[place : place + 3], "little") + 1 for place in (at, at + 3))
    return width, height

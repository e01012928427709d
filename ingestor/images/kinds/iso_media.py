"""Where the coded pictures of a HEIF or AVIF file are. ISO/IEC 14496-12 (boxes) and 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ingestor.images.kinds import boxes
from ingestor.images.kinds.boxes import At, Box
from ingestor.images.source import Source

_CODED = frozenset({b"hvc1", b"av01", b"avc1"})
"""Kinds of items whose coders never write many zeros in a row: HEVC, AV1, H.264."""
_MOST_DESCRIBED_BYTES = 1_000_000


def coded_extents(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each part of a coded picture: tiles, transparency and thumbnails too, metadata not.

    Raises `struct.error` and `ValueError` for what is broken.
    """
    meta = next((box for box in boxes.of(_reader(data), 0, len(data)) if box.kind == b"meta"), None)
    if meta is None:
        return
    parts = {box.kind: box for box in boxes.of(_reader(data), meta.begin + 4, min(meta.end, len(data)))}
    if not {b"iinf", b"iloc"} <= parts.keys():
        return
    coded = set(_coded_items(data, parts[b"iinf"]))
    own_data = parts.get(b"idat")
    for item, method, begin, length in _extents(data, parts[b"iloc"]):
        if item in coded and method == 0:
            yield begin, begin + length if length else len(data)
        elif item in coded and method == 1 and own_data is not None:
            begin += own_data.begin
            yield begin, begin + length if length else own_data.end


def described(source: Source) -> bytes:
    """What the file tells of its pictures, wherever that stands: some phones put the pictures first."""
    try:
        for box in boxes.of(source.at, 0, source.size_bytes):
            if box.kind in (b"meta", b"moov"):
                return source.at(box.begin, min(box.end - box.begin, _MOST_DESCRIBED_BYTES))
    except (struct.error, ValueError):
        pass  # what is broken tells nothing
    return b""


def _reader(data: bytes) -> At:
    return lambda offset, count: data[offset : offset + count]


def _coded_items(data: bytes, iinf: Box) -> Iterator[int]:
    """The numbers of the items that are coded pictures (14496-12, 8.11.6)."""
    for box in boxes.of(_reader(data), iinf.begin + (8 if data[iinf.begin] else 6), iinf.end):
        if box.kind == b"infe" and (version := data[box.begin]) in (2, 3):
            item, kind = struct.unpack_from(">H2x4s" if version == 2 else ">I2x4s", data, box.begin + 4)
            if kind in _CODED:
                yield item


def _extents(data: bytes, iloc: Box) -> Iterator[tuple[int, int, int, int]]:
    """Item, construction method, begin and length of each extent (14496-12, 8.11.3)."""
    version, sizes = data[iloc.begin], struct.unpack_from(">H", data, iloc.begin + 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = iloc.begin + 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > min(iloc.end, len(data)):
            raise struct.error("the places of its items end too early")
        return int.from_bytes(data[at - size : at])

    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)  # which file: always this one
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size if version else 0)
            begin, length = base + number(offset_size), number(length_size)
            yield item, method, begin, length

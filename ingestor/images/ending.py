"""Whether the end of a file is missing, by what its format says about where it ends."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ingestor.images.jpeg_markers import end_of_picture
from ingestor.images.source import Source
from ingestor.policy.formats import Format

_TAIL_BYTES = 65536
_MOST_PAGES = 100
_MOST_STRIPS = 100_000
_PNG_END = b"IEND\xae\x42\x60\x82"


CERTAIN = frozenset({"GIF", "TIFF", "AVIF", "HEIF", "QOI"})
"""Formats whose decoders may be content with a file that is cut off behind the first picture."""

DEFINITE = CERTAIN | {"JPEG", "PNG", "WEBP"}
"""Formats of which `is_cut_off` is always right, whatever a decoder calls its error."""


def is_cut_off(source: Source, row: Format) -> bool:
    """True only where the format tells its length or its end, and the file falls short of it."""
    ends = _ENDS.get(row.name)
    try:
        return ends is not None and ends(source)
    except (struct.error, IndexError):
        # What tells the length is itself beyond the end.
        return True


def _jpeg(source: Source) -> bool:
    # Phones append what they like behind the end marker, and thumbnails have one too.
    return end_of_picture(source.whole()) is None and not source.tail(64).rstrip(b"\0").endswith(b"\xff\xd9")


def _png(source: Source) -> bool:
    at = 8
    while len(chunk := source.at(at, 8)) == 8:
        length, kind = struct.unpack(">I4s", chunk)
        if kind == b"IEND":
            return at + 12 > source.size_bytes
        if not kind.isalpha():
            break
        at += 12 + length
    # The chain of chunks is broken or leads beyond the end: then the end itself decides.
    return _PNG_END not in source.tail(_TAIL_BYTES)


def _riff(source: Source) -> bool:
    (length,) = struct.unpack("<I", source.head[4:8])
    return source.size_bytes < 8 + int(length)


def _gif(source: Source) -> bool:
    """Whether the file ends within a block. Between two blocks it may: some writers forget the trailer."""
    data = source.whole()
    at = 13 + _palette_bytes(data[10])
    while at < len(data):
        if data[at] == 0x3B:
            return False
        if data[at] == 0x2C:
            at += 10 + _palette_bytes(data[at + 9]) + 1
        elif data[at] == 0x21:
            at += 2
        else:
            # What stands behind the last block is no block.
            return False
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at > len(data)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp(source: Source) -> bool:
    (length,) = struct.unpack("<I", source.head[2:6])
    return bool(source.size_bytes < length)


def _iso_media(source: Source) -> bool:
    at = 0
    while at < source.size_bytes:
        length, _ = struct.unpack(">I4s", source.at(at, 8))
        if length == 1:
            (length,) = struct.unpack(">Q", source.at(at + 8, 8))
        if length == 0:
            return False
        if length < 8:
            return False
        at += length
    return at > source.size_bytes


def _tiff(source: Source) -> bool:
    """Whether a page's directory, or one of its strips or tiles, lies beyond the end."""
    head = source.head
    order = "<" if head.startswith(b"II") else ">"
    if head[2:4] in (b"+\0", b"\0+"):
        (first,) = struct.unpack(order + "Q", head[8:16])
        return bool(first >= source.size_bytes)
    (at,) = struct.unpack(order + "I", head[4:8])
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        (count,) = struct.unpack(order + "H", source.at(at, 2))
        directory = source.at(at + 2, 12 * count)
        if len(directory) < 12 * count or _tiff_page_is_cut_off(source, order, directory):
            return True
        (at,) = struct.unpack(order + "I", source.at(at + 2 + 12 * count, 4))
    return False


def _tiff_page_is_cut_off(source: Source, order: str, directory: bytes) -> bool:
    values: dict[int, tuple[int, ...]] = {}
    for at in range(0, len(directory), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", directory, at)
        if tag in (273, 279, 324, 325) and kind in (3, 4) and number <= _MOST_STRIPS:
            letter, width = ("H", 2) if kind == 3 else ("I", 4)
            where = directory[at + 8 : at + 12]
            if number * width > 4:
                (offset,) = struct.unpack(order + "I", where)
                where = source.at(offset, number * width)
            values[tag] = struct.unpack_from(f"{order}{number}{letter}", where)
    return any(
        offset + length > source.size_bytes
        for offsets, lengths in ((273, 279), (324, 325))
        for offset, length in zip(values.get(offsets, ()), values.get(lengths, ()), strict=False)
    )


def _jpeg2000(source: Source) -> bool:
    if source.head.startswith(b"\xff\x4f"):
        return not source.tail(64).rstrip(b"\0").endswith(b"\xff\xd9")
    return _iso_media(source) or b"\xff\xd9" not in source.tail(_TAIL_BYTES)


def _qoi(source: Source) -> bool:
    return not source.tail(64).rstrip(b"\0\n").endswith(b"\x01") and not source.tail(8).endswith(b"\x01")


_ENDS: Mapping[str, Callable[[Source], bool]] = MappingProxyType(
    {
        "JPEG": _jpeg,
        "PNG": _png,
        "WEBP": _riff,
        "GIF": _gif,
        "BMP": _bmp,
        "AVIF": _iso_media,
        "HEIF": _iso_media,
        "TIFF": _tiff,
        "JPEG2000": _jpeg2000,
        "QOI": _qoi,
    }
)

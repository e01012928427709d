"""Whether the end of a file is missing, by what its format says about where it ends."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ingestor.images.kinds import boxes, chunks, dib, iso_media
from ingestor.images.kinds.boxes import Box
from ingestor.images.kinds.jpeg_markers import APP2, MPF, Walk, end_of_picture
from ingestor.images.kinds.tiff_directories import Layout, layout_of, number
from ingestor.images.source import Source
from ingestor.policy.formats import Format

_TAIL_BYTES = 65536
_MOST_PAGES = 100
_MOST_ENTRIES = 4096
_MOST_VALUES = 1_000_000

_TIFF_NEEDED = frozenset({256, 257, 258, 259, 273, 277, 278, 279, 284, 320, 322, 323, 324, 325, 347})
"""ImageWidth, ImageLength, BitsPerSample, Compression, StripOffsets, SamplesPerPixel, RowsPerStrip, StripByteCounts,
PlanarConfiguration, ColorMap, TileWidth, TileLength, TileOffsets, TileByteCounts, JPEGTables."""
_TIFF_KINDS = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}
_PNG_END = b"IEND\xae\x42\x60\x82"
_SAMSUNG_END = b"SEFT"
_QOI_END, _QOI_HEAD_BYTES = bytes(7) + b"\1", 14
"""No pixels look like it: never do more than five zeros follow each other there."""


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


def appended(source: Source, row: Format) -> list[str]:
    """A warning where bytes follow the end of a whole picture, other than what phones are known to append."""
    find = _BEHIND.get(row.name)
    end = find(source) if find else None
    if end is None or end >= source.size_bytes:
        return []
    return [f"{source.size_bytes - end:,} B behind its end are no part of the picture"]


def _behind_jpeg(source: Source) -> int | None:
    data, walk = source.whole(), source.once(Walk)
    end = end_of_picture(walk)
    if end is None or end == len(data) or data[end + 4 : end + 8] == b"ftyp" or data.endswith(_SAMSUNG_END):
        return None
    indexed = any(part.marker == APP2 and part.body.startswith(MPF) for part in walk)
    return None if indexed else end


def _behind_png(source: Source) -> int | None:
    end = next((chunk.end for chunk in chunks.of_png_file(source) if chunk.kind == b"IEND"), None)
    return None if end is None else end + chunks.PNG_CHECKSUM_BYTES


def _behind_riff(source: Source) -> int | None:
    (length,) = struct.unpack("<I", source.head[4:8])
    return 8 + int(length)


def _behind_heif(source: Source) -> int | None:
    """Where the chain of boxes ends, unless a part of a picture is behind that."""
    end = _end_of_boxes(source)
    if end is None or end == source.size_bytes or source.tail(len(_SAMSUNG_END)) == _SAMSUNG_END:
        return None
    try:
        needed = max((end for _, end in iso_media.coded_extents(source.whole())), default=source.size_bytes)
    except (struct.error, ValueError, IndexError):
        return None
    return end if needed <= end else None


def _end_of_boxes(source: Source) -> int | None:
    """Of the last one that is whole; None where there is none."""
    end = None
    try:
        for box in boxes.of(source.at, 0, source.size_bytes):
            if not _is_named(box) or box.end > source.size_bytes:
                break
            end = box.end
    except (struct.error, ValueError):
        pass  # it is no box, and so behind them
    return end


def _is_named(box: Box) -> bool:
    return box.kind.replace(b" ", b"").isalnum()


def _behind_qoi(source: Source) -> int | None:
    at = source.whole().find(_QOI_END, _QOI_HEAD_BYTES)
    return None if at < 0 else at + len(_QOI_END)


_BEHIND: Mapping[str, Callable[[Source], int | None]] = MappingProxyType(
    {
        "JPEG": _behind_jpeg,
        "PNG": _behind_png,
        "WEBP": _behind_riff,
        "AVIF": _behind_heif,
        "HEIF": _behind_heif,
        "QOI": _behind_qoi,
    }
)


def _jpeg(source: Source) -> bool:
    # Phones append what they like behind the end marker, and thumbnails have one too.
    return end_of_picture(source.once(Walk)) is None and not source.tail(64).rstrip(b"\0").endswith(b"\xff\xd9")


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
    at = 13 + chunks.gif_palette_bytes(data[10])
    while at < len(data):
        if data[at] == 0x3B:
            return False
        if data[at] == 0x2C:
            at += 10 + chunks.gif_palette_bytes(data[at + 9]) + 1
        elif data[at] == 0x21:
            at += 2
        else:
            # What stands behind the last block is no block.
            return False
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at > len(data)


def _bmp(source: Source) -> bool:
    if not dib.start_of(source.head):
        told = dib.of(source.head)
        return told is None or source.size_bytes < told.end
    (length,) = struct.unpack("<I", source.head[2:6])
    return bool(source.size_bytes < length)


def _iso_media(source: Source) -> bool:
    end = 0
    try:
        for box in boxes.of(source.at, 0, source.size_bytes):
            if not _is_named(box):
                return False  # no box, but what phones append behind the last one
            end = box.end
    except ValueError:
        return False  # what is broken tells nothing
    # Within a head, or within what is behind it.
    return end != source.size_bytes


def _heif(source: Source) -> bool:
    """Whether a part of a picture is missing; phones append what they like behind the boxes."""
    if not _iso_media(source):
        return False
    data = source.whole()
    try:
        ends = [end for _, end in iso_media.coded_extents(data)]
        # What moves has more pictures than the items that are told of.
        moves = any(box.kind == b"moov" for box in boxes.of(source.at, 0, len(data)))
    except (struct.error, ValueError, IndexError):
        return True
    return moves or not ends or max(ends) > len(data)


def _tiff(source: Source) -> bool:
    """Whether a page's directory, or anything of it that decoding needs, lies beyond the end."""
    return any(
        part.offset + _tiff_part_bytes(values, part) > source.size_bytes
        for values in _tiff_pages(source)
        for part in _tiff_parts_beyond(source, values)
    )


def overlong(source: Source, row: Format) -> list[str]:
    """A warning where a TIFF says of pixels that are all there that they go on beyond the end of the file."""
    if row.name != "TIFF":
        return []
    try:
        found = next((part for values in _tiff_pages(source) for part in _tiff_parts_beyond(source, values)), None)
    except (struct.error, IndexError):
        return []  # cut off, which is told elsewhere
    return [] if found is None else ["a strip or tile claims more bytes than the file has"]


def _tiff_pages(source: Source) -> Iterator[dict[int, tuple[int, ...]]]:
    """What each tells of where its pixels are, and how many. Raises `struct.error` where that is beyond the end."""
    layout = layout_of(source)
    at = number(source, layout.offset, layout.first_at)
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        count = number(source, layout.count, at)
        directory = source.at(at + layout.count.size, layout.entry_bytes * min(count, _MOST_ENTRIES))
        if len(directory) < layout.entry_bytes * count:
            raise struct.error("the directory goes beyond the end")
        yield _tiff_values(source, layout, directory)
        at = number(source, layout.offset, at + layout.count.size + layout.entry_bytes * count)


def _tiff_values(source: Source, layout: Layout, directory: bytes) -> dict[int, tuple[int, ...]]:
    values: dict[int, tuple[int, ...]] = {}
    for at in range(0, len(directory), layout.entry_bytes):
        tag, kind, count = layout.entry.unpack_from(directory, at)
        letter = _TIFF_KINDS.get(kind)
        if tag not in _TIFF_NEEDED or letter is None or count > _MOST_VALUES:
            continue
        length = count * struct.calcsize("=" + letter)
        where = directory[at + layout.entry.size :][: layout.offset.size]
        if length > layout.offset.size:
            where = source.at(layout.offset.unpack(where)[0], length)
        values[tag] = struct.unpack_from(f"{layout.order}{count}{letter}", where)
    return values


class _TiffPart(NamedTuple):
    """A strip or tile."""

    place: int
    offset: int
    length: int


def _tiff_parts_beyond(source: Source, values: dict[int, tuple[int, ...]]) -> Iterator[_TiffPart]:
    """Those that end beyond the end of the file, by the length that is told of them."""
    for offsets, lengths in ((273, 279), (324, 325)):
        told = zip(values.get(offsets, ()), values.get(lengths, ()), strict=False)
        for place, (offset, length) in enumerate(told):
            if offset + length > source.size_bytes:
                yield _TiffPart(place, offset, length)


def _tiff_part_bytes(values: dict[int, tuple[int, ...]], part: _TiffPart) -> int:
    """Of one that is not packed what its pixels need; else all that is told."""

    def one(tag: int, usual: int = 0) -> int:
        return (values.get(tag) or (usual,))[0]

    width, height, channels, bits = one(256), one(257), max(1, one(277, 1)), values.get(258) or (1,)
    if one(259, 1) != 1 or not width or not height:
        return part.length
    rows = one(323) if 324 in values else min(one(278, height) or height, height)
    row_bits = (one(322) if 324 in values else width) * (sum(bits) if len(bits) == channels else bits[0] * channels)
    if one(284, 1) == 2:
        row_bits //= channels
    if 324 not in values:
        # The last strip holds only the rows that there are.
        rows = min(rows, height - part.place % -(-height // rows) * rows)
    return min(part.length, rows * -(-row_bits // 8))


def _jpeg2000(source: Source) -> bool:
    if source.head.startswith(b"\xff\x4f"):
        return not source.tail(64).rstrip(b"\0").endswith(b"\xff\xd9")
    return _iso_media(source) or b"\xff\xd9" not in source.tail(_TAIL_BYTES)


def _qoi(source: Source) -> bool:
    return _behind_qoi(source) is None


_ENDS: Mapping[str, Callable[[Source], bool]] = MappingProxyType(
    {
        "JPEG": _jpeg,
        "PNG": _png,
        "WEBP": _riff,
        "GIF": _gif,
        "BMP": _bmp,
        "AVIF": _heif,
        "HEIF": _heif,
        "TIFF": _tiff,
        "JPEG2000": _jpeg2000,
        "QOI": _qoi,
    }
)

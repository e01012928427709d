"""JPEGs that are the strips and tiles of a TIFF: whatever libjpeg warns of in there, libtiff tells nobody."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image

from ingestor.images.kinds import jpeg, jpeg_markers, tiff_parts
from ingestor.images.kinds.deflate import NOT_CHECKED
from ingestor.images.kinds.jpeg_markers import Segment, Walk
from ingestor.images.kinds.tiff_parts import Part, Parts
from ingestor.images.pixels.samples import Samples
from ingestor.policy.sizing import Size

JPEG = 7
"""Of Compression."""
_KINDS = {(1, "L", "L"): "Gray", (2, "RGB", "RGB"): "RGB", (6, "RGB", "RGB"): "YCbCr"}
"""By PhotometricInterpretation, Pillow's mode and how pixels come from libtiff: what their markers have to say too."""
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_MOST_PARTS = 20_000
"""Of 300 MP there are as many of 128x128."""
_MOST_SCANS = 100
"""As of libtiff itself."""
_NO_END = "a strip or tile has no end marker"


def read(file: IO[bytes], tags: Any, pixels: Any, mode: str, raw_mode: str) -> list[str] | None:
    """Fill `pixels`, of Pillow's core: what is odd but harmless; None for what is better left to libtiff.

    The same library decodes them to the same pixels, but once. Raises `ValueError` for damage.
    """
    kind, parts = _KINDS.get((tags.get(262), mode, raw_mode)), tiff_parts.of(tags)
    if kind is None or parts is None or parts.planes > 1 or parts.bits != 8 or parts.count > _MOST_PARTS:
        return None
    odd: dict[str, None] = {}
    for part, tile, size in _jpegs(file, tags, parts, odd):
        rows = part.box[3] - part.box[1]
        whole = Size(parts.tile_width, parts.tile_height if parts.is_tiled else rows)
        try:
            if size != whole or jpeg.kind(tile) != kind:
                return None
            picture, told = jpeg.samples(tile, whole, strict=True)
        except jpeg.NotReadHere:
            return None
        if not isinstance(picture, Samples) or picture.mode != mode:
            return None
        odd.update(dict.fromkeys(told))
        decoder = Image._getdecoder(mode, "raw", (mode, whole.width * len(mode), 1))
        decoder.setimage(pixels, part.box)
        decoder.decode(picture.rows(0, rows))
    return list(odd)


def check(file: IO[bytes], tags: Any, parts: Parts) -> list[str]:
    """What is odd but harmless in a picture that libtiff has decoded. Raises `ValueError` for damage."""
    if parts.count > _MOST_PARTS:
        return [NOT_CHECKED]
    odd: dict[str, None] = {}
    for _, tile, size in _jpegs(file, tags, parts, odd):
        try:
            told = jpeg.check(tile) if size else [NOT_CHECKED]
        except jpeg.NotReadHere:
            told = [NOT_CHECKED]
        odd.update(dict.fromkeys(told))
    return list(odd)


def _jpegs(file: IO[bytes], tags: Any, parts: Parts, odd: dict[str, None]) -> Iterator[tuple[Part, Walk, Size | None]]:
    """Each made whole, with the tables that all have in common (Technical Note 2 to TIFF 6, JPEGTables), and its size.

    No size where it is larger than its place, or has more markers or scans than are walked through in no time.
    """
    tables, most = tags.get(347), max(100, jpeg.MOST_SEGMENTS // parts.count)
    if not isinstance(tables, bytes) or not tables.startswith(_SOI):
        tables = _SOI
    head = tables[: tables.rfind(_EOI)] if _EOI in tables else tables
    for part in parts:
        data = parts.packed(file, part)
        if data.startswith(_SOI):
            data = head + data[len(_SOI) :]
        walk = Walk(data)
        found = list(itertools.islice(walk, most))
        if len(found) < most and (not found or found[-1].marker != jpeg_markers.EOI):
            walk = Walk(data + _EOI)
            odd[_NO_END] = None
        scans = sum(segment.marker == jpeg_markers.SOS for segment in found)
        size = _size(found) if len(found) < most and scans <= _MOST_SCANS else None
        fits = size is not None and size.width <= parts.tile_width and size.height <= parts.tile_height
        yield part, walk, size if fits else None


def _size(found: list[Segment]) -> Size | None:
    for segment in found:
        if segment.marker in jpeg_markers.FRAMES and len(segment.body) >= 5:
            height, width = struct.unpack_from(">xHH", segment.body)
            return Size(width, height)
    return None

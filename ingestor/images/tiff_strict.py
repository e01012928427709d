"""Damage inside the strips and tiles of a TIFF, over which libtiff passes silently.

It inflates just as many bytes as it needs, and never comes to the checksum behind them; and what libjpeg warns of is
heard by nobody.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, Any

import numpy as np
from PIL import Image

from ingestor.images import jpeg, jpeg_markers, tiff_parts
from ingestor.images.deflate import NOT_CHECKED, Ends, Inflating
from ingestor.images.tiff_parts import Parts
from ingestor.images.tiff_samples import DEFLATE

_JPEG = 7
"""Of Compression."""
_DIFFERENCES = 2
"""Of Predictor."""
_KEPT = {"L": "u1", "P": "u1", "LA": "u1", "RGB": "u1", "RGBA": "u1", "CMYK": "u1", "I;16": "<u2", "I;16B": ">u2"}
"""Modes in which Pillow keeps samples as they are in the file, and NumPy's kind of these."""
_BAND_BYTES = 1 << 20

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_MOST_JPEGS = 20_000
"""Of 300 MP there are as many of 128x128."""
_NO_END = "a strip or tile has no end marker"


def check(file: IO[bytes], tags: Any, pixels: Any, mode: str, raw_mode: str) -> list[str]:
    """What is odd but harmless. Raises `ValueError` and `zlib.error` for damage.

    `pixels` are those that libtiff has decoded, as Pillow's core keeps them, not yet turned; `raw_mode` is how they
    came from it.
    """
    compression = tags.get(259)
    if compression not in (*DEFLATE, _JPEG):
        return []
    if (parts := tiff_parts.of(tags)) is None:
        return [NOT_CHECKED]
    if compression == _JPEG:
        return _check_jpegs(file, tags.get(347), parts)
    is_kept = mode in _KEPT and raw_mode in (mode, "I;16N") and parts.planes == 1
    is_kept = is_kept and parts.bits == 8 * np.dtype(_KEPT[mode]).itemsize and tags.get(317, 1) in (1, _DIFFERENCES)
    ends = Ends(parts.count * parts.unpacked_bytes * 2)
    for part in parts:
        # Where it can be told from pixels that the checksum is right, nothing is inflated a second time.
        if is_kept and part.is_seen_whole and part.length > 4:
            file.seek(part.offset + part.length - 4)
            checksum = _checksum(pixels, mode, parts.channels, part.box, differ=tags.get(317, 1) == _DIFFERENCES)
            if file.read(4) == struct.pack(">I", checksum):
                continue
        ends.check(Inflating(parts.packed(file, part)))
    return ends.odd


def _checksum(pixels: Any, mode: str, channels: int, box: tuple[int, int, int, int], *, differ: bool) -> int:
    """Of what was packed: the samples, or the difference of each to the one on its left."""
    left, top, right, bottom = box
    row_bytes = (right - left) * channels * np.dtype(_KEPT[mode]).itemsize
    step = max(1, _BAND_BYTES // row_bytes)
    found = zlib.adler32(b"")
    for first in range(top, bottom, step):
        last = min(first + step, bottom)
        # `tobytes` does the same in small pieces, ten times as slowly.
        encoder = Image._getencoder(mode, "raw", (mode, 0, 1))
        encoder.setimage(pixels, (left, first, right, last))
        data = encoder.encode((last - first) * row_bytes)[2]
        if differ:
            samples = np.frombuffer(data, _KEPT[mode]).reshape(last - first, right - left, channels)
            differences = samples.copy()
            differences[:, 1:] -= samples[:, :-1]
            found = zlib.adler32(differences.data, found)
        else:
            found = zlib.adler32(data, found)
    return found


# -- JPEG ------------------------------------------------------------------------------------------


def _check_jpegs(file: IO[bytes], tables: Any, parts: Parts) -> list[str]:
    if parts.count > _MOST_JPEGS:
        return [NOT_CHECKED]
    odd: dict[str, None] = {}
    for part in parts:
        data = _whole_jpeg(tables, parts.packed(file, part))
        if jpeg_markers.end_of_picture(data) is None:
            data += _EOI
            odd[_NO_END] = None
        if not _is_ordinary(data, parts):
            odd[NOT_CHECKED] = None
            continue
        try:
            odd.update(dict.fromkeys(jpeg.check(data)))
        except jpeg.NotReadHere:
            odd[NOT_CHECKED] = None
    return list(odd)


def _whole_jpeg(tables: Any, data: bytes) -> bytes:
    """With the tables that all strips have in common. Technical Note 2 to TIFF 6, JPEGTables."""
    if not isinstance(tables, bytes) or not tables.startswith(_SOI) or not data.startswith(_SOI):
        return data
    end = tables.rfind(_EOI)
    return tables[: end if end > 0 else len(tables)] + data[len(_SOI) :]


def _is_ordinary(data: bytes, parts: Parts) -> bool:
    """Whether it is no larger than its place, and has no more markers than are walked through in no time."""
    if jpeg_markers.has_more_segments(data, max(100, jpeg.MOST_SEGMENTS // parts.count)):
        return False
    for segment in jpeg_markers.segments(data):
        if segment.marker in jpeg_markers.FRAMES and len(segment.body) >= 5:
            height, width = struct.unpack_from(">xHH", segment.body)
            return bool(width <= parts.tile_width and height <= parts.tile_height)
    return False

"""Damage inside the strips and tiles of a TIFF, over which libtiff passes silently.

It inflates just as many bytes as it needs, and never comes to the checksum behind them. Of JPEG see `tiff_jpeg`.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, Any

import numpy as np
from PIL import Image

from ingestor.images.kinds import tiff_jpeg, tiff_parts
from ingestor.images.kinds.deflate import NOT_CHECKED, Ends, Inflating
from ingestor.images.kinds.tiff_samples import DEFLATE

_DIFFERENCES = 2
"""Of Predictor."""
_KEPT = {"L": "u1", "P": "u1", "LA": "u1", "RGB": "u1", "RGBA": "u1", "CMYK": "u1", "I;16": "<u2", "I;16B": ">u2"}
"""Modes in which Pillow keeps samples as they are in the file, and NumPy's kind of these."""
_BAND_BYTES = 1 << 20


def check(file: IO[bytes], tags: Any, pixels: Any, mode: str, raw_mode: str) -> list[str]:
    """What is odd but harmless. Raises `ValueError` and `zlib.error` for damage.

    `pixels` are those that libtiff has decoded, as Pillow's core keeps them, not yet turned; `raw_mode` is how they
    came from it.
    """
    compression = tags.get(259)
    if compression not in (*DEFLATE, tiff_jpeg.JPEG):
        return []
    if (parts := tiff_parts.of(tags)) is None:
        return [NOT_CHECKED]
    if compression == tiff_jpeg.JPEG:
        return tiff_jpeg.check(file, tags, parts)
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

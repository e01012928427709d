"""JPEG 2000 in colour of more than 8 bits a channel, which Pillow rounds so that white becomes black."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from ingestor.images.damage import KindNotRead
from ingestor.images.source import Source

_SIZE_MARKER = b"\xff\x4f\xff\x51"
"""Begin of a codestream, and of the segment that tells its size (ITU-T T.800, A.5.1)."""
_COMPONENTS_AT = 40
_SIGNED = 0x80
_MODES = {2: "LA", 3: "RGB", 4: "RGBA"}
_BAND_SAMPLES = 2_000_000


def deep(source: Source, picture: Image.Image) -> Image.Image | None:
    """The pixels with 8 bits a channel; None for what Pillow reads well. `picture` is Pillow's, not decoded yet.

    Raises `KindNotRead` for channels that differ from each other or have a sign, `RuntimeError` for damage.
    """
    told = _components(source.whole())
    depths = [(component & ~_SIGNED) + 1 for component in told]
    if picture.mode not in _MODES.values() or max(depths, default=8) <= 8:
        return None
    if len(set(told)) != 1 or told[0] & _SIGNED or len(told) not in _MODES:
        raise KindNotRead("channels of different depths, or with a sign,")
    from openjpeg.utils import decode  # late: few workers ever need it

    samples = decode(source.whole())
    height, width, channels = samples.shape
    white = (1 << depths[0]) - 1
    pixels = np.empty(samples.shape, np.uint8)
    rows = max(1, _BAND_SAMPLES // (width * channels))
    for top in range(0, height, rows):
        band = samples[top : top + rows].astype(np.uint32)
        pixels[top : top + rows] = (band * 255 + white // 2) // white
    return Image.fromarray(pixels, _MODES[channels])


def _components(data: bytes) -> bytes:
    """Of each component its bits, less one, with a bit for the sign; empty where the header tells of none."""
    begin = data.find(_SIZE_MARKER)
    if begin < 0 or begin + _COMPONENTS_AT + 2 > len(data):
        return b""
    (count,) = struct.unpack_from(">H", data, begin + _COMPONENTS_AT)
    return data[begin + _COMPONENTS_AT + 2 :][: 3 * count : 3]

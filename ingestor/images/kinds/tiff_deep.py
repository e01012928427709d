"""Deflated colours of 16 bits in a TIFF, read as libtiff and Pillow do, but up to the checksum of each strip.

Of what Pillow keeps of them, their upper eight bits, no checksum can be had any more.
"""

from __future__ import annotations

import itertools
from typing import IO, Any

import numpy as np
from PIL import Image

from ingestor.images.kinds import KindNotRead, tiff_parts, tiff_samples
from ingestor.images.kinds.deflate import Ends
from ingestor.images.kinds.tiff_samples import DEFLATE, Layout

_BAND_SAMPLES = 1_000_000


def layout_of(tags: Any, raw_mode: str) -> Layout | None:
    """None for what is better left to libtiff."""
    if not raw_mode.endswith(";16N") or raw_mode == "I;16N" or tags.get(259) not in DEFLATE:
        return None
    try:
        layout = tiff_samples.layout_of(tags)
    except (KindNotRead, ValueError):
        return None
    return None if layout.planes or tiff_parts.of(tags) is None else layout


def read(file: IO[bytes], layout: Layout, pixels: Any, mode: str, raw_mode: str) -> list[str]:
    """Fill `pixels`, of Pillow's core: what is odd but harmless. Raises `ValueError` and `zlib.error` for damage."""
    ends = Ends(layout.across * layout.tile_width * layout.height * layout.channels * layout.kind.itemsize)
    places = itertools.product(range(layout.down), range(layout.across))
    for place, (row, column) in enumerate(places):
        top, left = row * layout.tile_height, column * layout.tile_width
        bottom, right = min(top + layout.tile_height, layout.height), min(left + layout.tile_width, layout.width)
        shape = (bottom - top, layout.tile_width, layout.channels)
        take = tiff_samples.reader(file, layout, place, shape, ends)
        step = max(1, _BAND_SAMPLES // (layout.tile_width * layout.channels))
        for first in range(top, bottom, step):
            last = min(first + step, bottom)
            values = take(last - first)[:, : right - left]
            native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
            decoder = Image._getdecoder(mode, "raw", (raw_mode, 0, 1))
            decoder.setimage(pixels, (left, first, right, last))
            decoder.decode(native)
    return ends.odd

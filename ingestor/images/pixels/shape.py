"""Turning and resizing."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ingestor.images.pixels import resample
from ingestor.images.pixels.samples import Picture, Samples
from ingestor.policy.sizing import Size

_WIDEST = 4.5
"""Averages whole pixels first where more of them would become one: libvips' weights of 8 bits add up exactly to 5."""
_WIDEST_IN_LIGHT = 64.0
"""In light nothing is averaged first as it is stored, but where it would take too long."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def resized(
    picture: Picture, box: Size, shown: tuple[float, float] | None = None, *, light: str = "encoded"
) -> Image.Image:
    """The picture at exactly `box`, by Lanczos. Alpha is premultiplied meanwhile, so that no fringe appears.

    `light`: `linear` averages the light of grey and RGB; inks, and all with `encoded`, as they are stored.
    `shown`: the width and height that count, where the last column and row stand for less than a whole pixel.
    `Samples` are used up.
    """
    width, height = shown or picture.size
    if isinstance(picture, Image.Image) and picture.size == (box.width, box.height) == (width, height):
        return picture
    widest = _WIDEST if light == "encoded" else _WIDEST_IN_LIGHT
    factors = (math.ceil(width / box.width / widest), math.ceil(height / box.height / widest))
    if factors != (1, 1):
        picture = (picture.image() if isinstance(picture, Samples) else picture).reduce(factors)
    return resample.resampled(_source(picture, (width / factors[0], height / factors[1])), box, light)


def _source(picture: Picture, shown: tuple[float, float]) -> resample.Source:
    mode = "RGB" if picture.mode == "RGBX" else picture.mode
    size = Size(*picture.size)
    if isinstance(picture, Samples):
        return resample.Source(rows=picture.rows, mode=mode, size=size, shown=shown, let_go=picture.let_go)

    def rows(first: int, last: int) -> bytes | np.ndarray:
        part = picture.crop((0, first, size.width, last))
        if mode == "LAB":
            # Channel by channel, as Pillow counts with them: as a whole it gives a and b out signed.
            return np.stack([np.asarray(channel) for channel in part.split()], axis=-1)
        return part.tobytes("raw", mode)

    return resample.Source(rows=rows, mode=mode, size=size, shown=shown)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright. Done after resizing to the turned box, which gives the same pixels for less work."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image

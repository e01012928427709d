"""Turning and resizing."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ingestor.images import resample
from ingestor.policy.sizing import Size

REDUCING_GAP = 3.0
"""Averages whole pixels first where more than three times too many remain for Lanczos: no difference is seen."""

LINEAR_REDUCING_GAP = 64.0
"""In light nothing is averaged first as it is stored, but where buffers would become too large."""

_LANCZOS_SUPPORT = 3
_BAND_PIXELS = 2_000_000
"""Of the result. Working in bands keeps what lies between the two passes of the filter small, and both cores busy."""
_THREADS = 2

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
    image: Image.Image, box: Size, shown: tuple[float, float] | None = None, *, light: str = "encoded"
) -> Image.Image:
    """The picture at exactly `box`, by Lanczos. Alpha is premultiplied meanwhile, so that no fringe appears.

    `light`: `linear` averages the light of grey and RGB; inks, and all with `encoded`, as they are stored.

    `shown`: the width and height that count, where the last column and row stand for less than a whole pixel.
    The bands do not depend on the machine, and so neither do the pixels.
    """
    width, height = shown or image.size
    if image.size == (box.width, box.height) == (width, height):
        return image
    gap = REDUCING_GAP if light == "encoded" else LINEAR_REDUCING_GAP
    factors = (max(1, int(width / box.width / gap)), max(1, int(height / box.height / gap)))
    if factors != (1, 1):
        image = image.reduce(factors)
    if light == "linear" and image.mode in ("RGBX", *resample.CHANNELS):
        return _resized_in_light(image, box, (width / factors[0], height / factors[1]))
    source = _Source(image=image, width=width / factors[0], height=height / factors[1], box=box)
    result = Image.new(image.mode, (box.width, box.height))
    rows = max(1, _BAND_PIXELS // box.width)
    tops = range(0, box.height, rows)
    if len(tops) == 1:
        return source.band(0, box.height)
    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(lambda top: result.paste(source.band(top, rows), (0, top)), top) for top in tops]:
            done.result()
    return result


def _resized_in_light(image: Image.Image, box: Size, shown: tuple[float, float]) -> Image.Image:
    mode = "RGB" if image.mode == "RGBX" else image.mode

    def rows(first: int, last: int) -> np.ndarray:
        part = image.crop((0, first, image.width, last)).convert(mode)
        return np.asarray(part).reshape(last - first, -1)

    return resample.resampled(resample.Source(rows=rows, mode=mode, size=Size(*image.size), shown=shown), box)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    image: Image.Image
    width: float
    """Of what is shown; after averaging, the last pixel may stand for less than a whole one."""
    height: float
    box: Size

    def band(self, top: int, rows: int) -> Image.Image:
        """Rows `top` and following of the result."""
        rows = min(rows, self.box.height - top)
        scale = self.height / self.box.height
        first, last = top * scale, min(self.height, (top + rows) * scale)
        # Whole rows with all that the filter reaches for; where alpha is premultiplied, only those are copied.
        reach = math.ceil(_LANCZOS_SUPPORT * max(1.0, scale)) + 2
        above = max(0, math.floor(first) - reach)
        below = min(self.image.height, math.ceil(last) + reach)
        part = self.image
        if part.mode == "RGBA" and (above, below) != (0, part.height):
            part = part.crop((0, above, part.width, below))
        else:
            above = 0
        edges = (0.0, first - above, self.width, last - above)
        return part.resize((self.box.width, rows), Image.Resampling.LANCZOS, edges)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright. Done after resizing to the turned box, which gives the same pixels for less work."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image

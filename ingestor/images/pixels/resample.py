"""Lanczos by libvips, in a quarter of the time that Pillow takes.

What is averaged are the values as they are stored, in whole numbers, or the light that they stand for and what alpha
weighs, in floats: how many a processor adds at once changes no pixel, as the idempotency key has to promise.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyvips
from PIL import Image

from ingestor.images.pixels import srgb
from ingestor.policy.sizing import Size

VERSION = ".".join(str(pyvips.version(part)) for part in range(3))
"""Of libvips."""

AS_LIGHT = frozenset({"L", "RGB", "RGBA"})
"""The modes whose values can be taken as light, encoded as in sRGB."""

Rows = Callable[[int, int], bytes | np.ndarray]
"""Rows from, and before, these numbers: row by row, pixel by pixel, a byte for each channel."""

_SUPPORT = 3
_BAND_PIXELS = 500_000
"""Of the result, before what it was made of is given back."""
_STEP_VALUES = 250_000
"""What stands between the two passes at a time: more would not stay in the caches. Of floats it is a megabyte: rows
are turned into them anew for each step that they reach into, and fewer of them at a time took half as long again."""
_LEAST_STEP_ROWS = 8
_FINEST_PART = 64
"""Of a pixel, by which a last column or row can be less than a whole one."""
_FULL = 65535
_HAIR = 1 / 1024
"""A sum of floats that ends in a half is a last bit above it on one processor, and below it on another: with this, all
round it up."""

# Nothing is asked for twice, and what is kept would keep pixels.
pyvips.cache_set_max(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture to be resampled."""

    rows: Rows
    mode: str
    """L, RGB, RGBA (premultiplied meanwhile), CMYK, LAB, YCbCr or HSV."""
    size: Size
    shown: tuple[float, float]
    """Width and height that count, where the last column and row stand for less than a whole pixel."""
    let_go: Callable[[int], None] = lambda first: None
    """Told from which row on none is asked for any more."""

    @property
    def channels(self) -> int:
        return Image.getmodebands(self.mode)


def resampled(source: Source, box: Size, light: str) -> Image.Image:
    """The picture at exactly `box`, no larger in any direction; with `light` `linear` the light is averaged, else the
    values.

    It is made from below, so that of the source and the result there is never more than needed (`Source.let_go`).
    Raises `MemoryError`.
    """
    work = _Work(
        source=source,
        width=box.width,
        across=_Axis.of(source.shown[0], box.width),
        down=_Axis.of(source.shown[1], box.height),
        is_light=light == "linear" and source.mode in AS_LIGHT,
    )
    result = Image.new(source.mode, (box.width, box.height), None)
    rows_each = work.step_rows * max(1, _BAND_PIXELS // (work.step_rows * box.width))
    try:
        for first in reversed(range(0, box.height, rows_each)):
            for at, image in work.band(first, min(box.height, first + rows_each)):
                result.paste(image, (0, at))
            source.let_go(work.rows_for(first, first)[1] if first else 0)
    except pyvips.Error as error:
        # Nothing that libvips could find fault with comes from the file.
        raise MemoryError(str(error)) from error
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """How many pixels of the source become one, and how many the source is taken to have.

    libvips lays the result out from the middle, and what the last pixel lacks would move all others. So the source is
    taken to go on until it, and the result, are whole: of that no pixel is ever made.
    """

    shrink: float
    length: int

    @classmethod
    def of(cls, shown: float, wanted: int) -> _Axis:
        exact = Fraction(shown).limit_denominator(_FINEST_PART)
        return cls(shrink=float(exact / wanted), length=exact.numerator)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """How bands of the result are made."""

    source: Source
    width: int
    across: _Axis
    down: _Axis
    is_light: bool

    @property
    def is_float(self) -> bool:
        return self.is_light or self.source.mode == "RGBA"

    @property
    def step_rows(self) -> int:
        """How many rows of the result are made at once."""
        return max(_LEAST_STEP_ROWS, _STEP_VALUES // (self.source.size.width * self.source.channels))

    def rows_for(self, first: int, last: int) -> tuple[int, int]:
        """From, and before, which rows of the source these of the result are made."""
        reach = math.ceil(_SUPPORT * self.down.shrink) + 2
        begin, end = math.floor(first * self.down.shrink) - reach, math.ceil(last * self.down.shrink) + reach
        return max(0, begin), min(self.source.size.height, end)

    def band(self, first: int, last: int) -> Iterator[tuple[int, Image.Image]]:
        """These rows of the result, some at a time, each with the number of its first."""
        begin, end = self.rows_for(first, last)
        rows = self.source.rows(begin, end)
        read = pyvips.Image.new_from_memory(rows, self.source.size.width, end - begin, self.source.channels, "uchar")
        placed = read.embed(0, begin, self.across.length, self.down.length, extend="copy")
        region = pyvips.Region.new(self._small(placed))
        for at in range(first, last, self.step_rows):
            count = min(self.step_rows, last - at)
            yield at, self._as_image(region.fetch(0, at, self.width, count), count)

    def _small(self, image: pyvips.Image) -> pyvips.Image:
        if not self.is_float:
            return self._reduced(image)
        light = _Light.of(self.source.mode) if self.is_light else None
        image = image.maplut(light.of_values) if light else image
        if self.source.mode == "RGBA":
            small = self._reduced(image.premultiply(max_alpha=255)).unpremultiply(max_alpha=255)
        else:
            small = self._reduced(image)
        whole = (small + _HAIR).rint()
        return whole.cast("ushort").maplut(light.to_values) if light else whole.cast("uchar")

    def _reduced(self, image: pyvips.Image) -> pyvips.Image:
        down = image.reducev(self.down.shrink, kernel="lanczos3")
        return down.reduceh(self.across.shrink, kernel="lanczos3")

    def _as_image(self, pixels: bytes, count: int) -> Image.Image:
        mode, size = self.source.mode, (self.width, count)
        if mode == "LAB":
            # Channel by channel, as Pillow counts with them: as a whole it takes a and b for signed.
            planes = np.frombuffer(pixels, np.uint8).reshape(count, self.width, 3)
            return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(planes[..., k]), "L") for k in range(3)])
        return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


# -- light -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Light:
    """Tables for each channel from values to light and back. Alpha stays what it is."""

    of_values: pyvips.Image
    to_values: pyvips.Image

    @classmethod
    @functools.cache
    def of(cls, mode: str) -> _Light:
        values, lights = np.arange(256), np.arange(_FULL + 1)
        of_values = [np.rint(srgb.light_of(values / 255) * _FULL)] * len(mode)
        to_values = [np.rint(srgb.value_of(lights / _FULL) * 255)] * len(mode)
        if mode == "RGBA":
            of_values[3], to_values[3] = values, np.minimum(lights, 255)
        return cls(
            of_values=pyvips.Image.new_from_array(np.stack(of_values, axis=-1).astype(np.float32)[None]),
            to_values=pyvips.Image.new_from_array(np.stack(to_values, axis=-1).astype(np.uint8)[None]),
        )

"""Which size and quality to try next until a picture is as large as allowed. Numbers in, numbers out.

All that may be tried lies on one line of places: at 0 the picture has all of its pixels and the lowest quality, above
it is better, below it is smaller. One step along is meant to multiply the bytes by e.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ingestor.policy.sizing import LEAST_SHARE, LOWEST_QUALITY, Size

AIMED_SHARE = (LEAST_SHARE + 1) / 2
"""Of the room: as far from too little as from too much."""
_PER_QUALITY = 0.03
"""Places to a step of quality, of which each costs 3 % of the bytes of a usual photograph."""
_FINEST = 0.3 * _PER_QUALITY
_LEAST_SLOPE, _LARGEST_SLOPE = 0.2, 4.0
_USUAL_SLOPE = 1.0
_LEAST_STEP = 0.05
_HALVING_FROM = 5
"""Results after which what is known is no longer relied on alone: what remains is halved now and then."""
_NEARLY_ALL = -0.1
"""A place so near to all pixels that all are tried first."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a picture can be encoded as."""

    size: Size
    quality: float


@dataclass(frozen=True, slots=True)
class Result:
    """How many bytes came out at a place."""

    place: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """The places of one picture."""

    full: Size
    ceiling: float
    """The best quality there may be."""

    @property
    def lowest(self) -> float:
        """The quality that all smaller sizes have."""
        return min(LOWEST_QUALITY, self.ceiling)

    @property
    def top(self) -> float:
        """All pixels at the best quality."""
        return (self.ceiling - self.lowest) * _PER_QUALITY

    @property
    def bottom(self) -> float:
        """A single pixel."""
        return -math.log(self.full.pixels)

    def place_of(self, form: Form) -> float:
        return math.log(form.size.pixels / self.full.pixels) + (form.quality - self.lowest) * _PER_QUALITY

    def form_at(self, place: float) -> Form:
        """The largest size that is not beyond the place; what is missing for want of part pixels goes into quality."""
        size = _with_pixels(self.full, self.full.pixels * math.exp(min(0.0, place)))
        left = max(0.0, place - math.log(size.pixels / self.full.pixels))
        return Form(size, min(self.ceiling, round(self.lowest + left / _PER_QUALITY, 2)))


def _with_pixels(full: Size, pixels: float) -> Size:
    """The same shape with at most so many pixels, but no side under 1."""
    if pixels >= full.pixels:
        return full
    scale = math.sqrt(pixels / full.pixels)
    short = max(1, math.floor(min(full.width, full.height) * scale))
    # A side that cannot become smaller leaves all of the work to the other one.
    long = math.floor(full.longest * scale) if short > 1 else min(full.longest, math.floor(pixels))
    long = max(1, long)
    return Size(long, short) if full.width >= full.height else Size(short, long)


def next_place(results: list[Result], room_bytes: float, line: Line, slope: float) -> float | None:
    """Where to try next in search of `room_bytes`; None where nothing better is left to be tried.

    `slope` tells how fast the bytes are expected to grow with the quality, until two results tell it better.
    """
    fitting = [result for result in results if result.size_bytes <= room_bytes]
    low = max(fitting, key=lambda result: result.place, default=None)
    misfits = [result for result in results if result.size_bytes > room_bytes]
    high = min(
        (result for result in misfits if low is None or result.place > low.place),
        key=lambda result: result.place,
        default=None,
    )
    aimed = max(1.0, AIMED_SHARE * room_bytes)
    if high is None:
        return _above(low, fitting, aimed, line, slope) if low else None
    if low is None:
        return _below(high, misfits, aimed, line, slope)
    return _between(low, high, aimed, halve=len(results) >= _HALVING_FROM and len(results) % 2 == 1)


def _between(low: Result, high: Result, aimed: float, *, halve: bool) -> float | None:
    if high.place - low.place < _FINEST:
        return None
    if low.place < 0 < high.place:
        return 0.0  # where the line bends
    share = math.log(aimed / max(1, low.size_bytes)) / math.log(high.size_bytes / max(1, low.size_bytes))
    # Now and then the middle, or a bent curve would be crept along from one end.
    return low.place + (high.place - low.place) * (0.5 if halve else min(0.9, max(0.1, share)))


def _below(high: Result, misfits: list[Result], aimed: float, line: Line, slope: float) -> float | None:
    """Less quality first; fewer pixels only where all of them were too many at the lowest quality."""
    if high.place <= line.bottom:
        return None
    slope = _slope(high, misfits, slope, in_quality=high.place > 0)
    least = _LEAST_STEP if len(misfits) < _HALVING_FROM else math.log(2)
    place = high.place - max(least, math.log(high.size_bytes / aimed) / slope)
    if high.place > 0:
        return max(0.0, place) if len(misfits) == 1 else 0.0
    return max(line.bottom, place)


def _above(low: Result, fitting: list[Result], aimed: float, line: Line, slope: float) -> float | None:
    if low.place >= line.top:
        return None
    slope = _slope(low, fitting, slope, in_quality=low.place >= 0)
    place = low.place + max(_FINEST, math.log(aimed / max(1, low.size_bytes)) / slope)
    if low.place < 0:
        return place if place < _NEARLY_ALL else 0.0
    return min(line.top, place)


def _slope(near: Result, results: list[Result], of_quality: float, *, in_quality: bool) -> float:
    """How fast the bytes grow from `near` on, as between it and the next result on its side of the bend."""
    side = [one for one in results if one.place != near.place and (one.place >= 0 if in_quality else one.place <= 0)]
    if side:
        slope = slope_between(near, min(side, key=lambda one: abs(one.place - near.place)))
    else:
        slope = of_quality if in_quality else _USUAL_SLOPE
    return min(_LARGEST_SLOPE, max(_LEAST_SLOPE, slope))


def slope_between(one: Result, other: Result) -> float:
    """How many times e the bytes grow by, a place."""
    return math.log(max(1, one.size_bytes) / max(1, other.size_bytes)) / (one.place - other.place)

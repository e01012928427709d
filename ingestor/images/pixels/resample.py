"""Lanczos by matrix products, which take half the time of a filter that goes from pixel to pixel.

What is averaged are the values as they are stored, or the light that they stand for. All sums are of whole numbers
below 2^24, or of such times a power of two, which floats hold exactly: whatever order a processor adds them in, the
pixels are the same, as the idempotency key has to promise.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ingestor.images.pixels import srgb
from ingestor.policy.sizing import Size

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "LAB": 3, "YCbCr": 3, "HSV": 3}
"""The modes that are resampled. RGBA is premultiplied meanwhile."""
AS_LIGHT = frozenset({"L", "RGB", "RGBA"})
"""The modes whose values can be taken as light, encoded as in sRGB."""

Rows = Callable[[int, int], np.ndarray]
"""Rows from, and before, these numbers, as bytes: rows, columns, and the mode's channels, or one more of no meaning."""

_BY_LINES = frozenset({"L", "RGB", "RGBA"})
"""Modes that Pillow takes line by line, each with one channel after the other."""
_SUPPORT = 3
_ONE = 1 << 10
"""A weight of 1. Rounded Lanczos weights add up to 1.6 at most, signs aside."""
_STEPS = 32
_FULL = 255 * _STEPS
"""White: fine enough that the darkest values of 8 bits stay apart, and that rounding twice is not seen."""

_BLOCK_ROWS = 16
_BLOCK_COLUMNS = 48
"""Of the result, made by one multiplication: more would multiply by more zeros, less would be too many calls."""
_GROUP_BLOCKS = 2
"""Blocks of rows that go through the second pass as one, unless what the first makes of them outgrows the caches."""
_CACHED_BYTES = 1_800_000
"""What a core was seen to keep at hand between the two passes."""
_BUFFER_SAMPLES = 1_000_000
"""Of a pass, at most, where it takes one row at a time or more."""
_FLOAT_BYTES = 4
_BAND_PIXELS = 1_000_000
"""Of the result, made by one thread at a time."""
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture to be resampled."""

    rows: Rows
    mode: str
    size: Size
    shown: tuple[float, float]
    """Width and height that count, where the last column and row stand for less than a whole pixel."""
    let_go: Callable[[int], None] = lambda first: None
    """Told from which row on none is asked for any more."""


def resampled(source: Source, box: Size, light: str) -> Image.Image:
    """The picture at exactly `box`; with `light` `linear` the light is averaged, else the values.

    It is made from below, so that of the source and the result there is never more than needed (`Source.let_go`).
    """
    channels = CHANNELS[source.mode]
    row_samples = max(source.size.width, box.width) * channels
    rows = max(1, min(_BLOCK_ROWS, _BUFFER_SAMPLES // (_GROUP_BLOCKS * row_samples)))
    is_light = light == "linear" and source.mode in AS_LIGHT
    is_fine = is_light or source.mode == "RGBA"
    # What the sums have to be multiplied by is in the weights already: as a power of two it changes no bit of them.
    down = _blocks(source.shown[1], source.size.height, box.height, rows, one=1 if is_fine else _STEPS)
    across = _blocks(source.shown[0], source.size.width, box.width, _BLOCK_COLUMNS, one=1 if is_fine else 1 / _STEPS)
    group = 1 if _GROUP_BLOCKS * rows * row_samples * _FLOAT_BYTES > _CACHED_BYTES else _GROUP_BLOCKS
    work = _Work(source=source, across=across, width=box.width, group=group, is_light=is_light, is_fine=is_fine)
    result = Image.new(source.mode, (box.width, box.height), None)
    blocks_each = _GROUP_BLOCKS * max(1, _BAND_PIXELS // (_GROUP_BLOCKS * box.width * rows))
    bands = [down[at : at + blocks_each] for at in range(0, len(down), blocks_each)]

    def make(band: list[_Block]) -> None:
        result.paste(_as_image(work.band(band), source.mode), (0, band[0].at))

    with ThreadPoolExecutor(_THREADS) as threads:
        while bands:
            bands, some = bands[:-_THREADS], bands[-_THREADS:]
            for done in [threads.submit(make, band) for band in some]:
                done.result()
            # Between two batches, when nobody looks at the rows.
            source.let_go(bands[-1][-1].last if bands else 0)
    return result


def _as_image(lines: np.ndarray, mode: str) -> Image.Image:
    rows, channels, width = lines.shape
    if mode in _BY_LINES:
        raw = mode if channels == 1 else f"{mode};L"
        return Image.frombuffer(mode, (width, rows), lines, "raw", raw, 0, 1)
    planes = [Image.fromarray(np.ascontiguousarray(lines[:, channel]), "L") for channel in range(channels)]
    return Image.merge(mode, planes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """How bands of the result are made."""

    source: Source
    across: list[_Block]
    width: int
    group: int
    """Blocks of rows at a time."""
    is_light: bool
    is_fine: bool
    """Whether values are read, and come out of the second pass, as multiples of `_STEPS`; if not, they are so between
    the two."""

    def band(self, down: list[_Block]) -> np.ndarray:
        """Some rows of the result: row by row, in each channel by channel."""
        channels, row_samples = CHANNELS[self.source.mode], self.source.size.width * CHANNELS[self.source.mode]
        groups = [down[at : at + self.group] for at in range(0, len(down), self.group)]
        most = sum(block.count for block in groups[0])
        at_once = max(1, min(_BUFFER_SAMPLES // row_samples, max(group[-1].last - group[0].first for group in groups)))
        read = np.empty((at_once, row_samples), np.float32)
        # Both passes write what they make turned on its side: then the other direction is contiguous for the next
        # one, and the second ends with whole lines, without a copy in between.
        lower, narrower = np.empty(row_samples * most, np.float32), np.empty(self.width * channels * most, np.float32)
        made = np.empty((down[-1].at + down[-1].count - down[0].at, channels, self.width), np.uint8)
        for group in groups:
            count = sum(block.count for block in group)
            one = lower[: row_samples * count].reshape(row_samples, count)
            other = narrower[: self.width * channels * count].reshape(channels * count, self.width)
            self._down(group, read, one)
            self._across(one.reshape(self.source.size.width, channels * count), other)
            lines = made[group[0].at - down[0].at :][:count]
            self._write(other.reshape(channels, count, self.width), lines.transpose(1, 0, 2))
        return made

    def _down(self, group: list[_Block], read: np.ndarray, into: np.ndarray) -> None:
        """The first pass: by sample and row of the result."""
        at_once = len(read)
        for first in range(group[0].first, group[-1].last, at_once):
            last = min(group[-1].last, first + at_once)
            self._read(self.source.rows(first, last), read[: last - first])
            for block in group:
                part = into[:, block.at - group[0].at :][:, : block.count]
                begin, end = max(first, block.first), min(last, block.last)
                rows, weights = read[begin - first : end - first].T, block.weights[begin - block.first :][: end - begin]
                if begin < end and begin == block.first:
                    np.matmul(rows, weights, out=part)
                elif begin < end:
                    part += rows @ weights
        np.rint(into, out=into)
        # As Pillow does; and beyond white the next sums might leave the whole numbers that floats hold.
        np.clip(into, 0, _FULL, out=into)

    def _across(self, columns: np.ndarray, into: np.ndarray) -> None:
        for block in self.across:
            part = columns[block.first : block.last].T
            np.matmul(part, block.weights, out=into[:, block.at : block.at + block.count])

    # -- samples -------------------------------------------------------------------------------

    @property
    def _has_alpha(self) -> bool:
        return self.source.mode == "RGBA"

    def _read(self, samples: np.ndarray, into: np.ndarray) -> None:
        channels = CHANNELS[self.source.mode]
        pixels = into.reshape(*samples.shape[:2], channels)
        # One of three channels at a time is far faster than three out of four.
        parts = [...] if samples.shape[2] == channels else [(..., channel) for channel in range(channels)]
        for part in parts:
            if self.is_light:
                np.take(_TO_LIGHT, samples[part], out=pixels[part], mode="clip")
            else:
                np.copyto(pixels[part], samples[part])
        if self._has_alpha:
            alpha = samples[..., 3:].astype(np.float32)
            pixels[..., :3] *= alpha * ((1 if self.is_light else _STEPS) / 255)
            pixels[..., 3:] = alpha * _STEPS
            np.rint(pixels, out=pixels)

    def _write(self, sums: np.ndarray, into: np.ndarray) -> None:
        """What the second pass has summed up, as values; by channel, row and column. `sums` are spoilt."""
        if self._has_alpha:
            np.clip(sums[3], 0, _FULL, out=sums[3])
            sums[:3] *= _FULL / np.maximum(sums[3], 1)
        if self.is_light:
            np.rint(sums, out=sums)
            np.clip(sums, 0, _FULL, out=sums)
            for channel, plane in enumerate(sums):
                into[channel] = _FROM_LIGHT[plane.astype(np.uint16)] if channel < 3 else np.rint(plane / _STEPS)
            return
        if self.is_fine:
            np.multiply(sums, 1 / _STEPS, out=sums)
        np.add(sums, 0.5, out=sums)
        np.clip(sums, 0, 255.5, out=sums)
        np.copyto(into, sums, casting="unsafe")


# -- weights ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Some neighbours in the result: from which of the source (`first` to before `last`) and how they are made."""

    first: int
    last: int
    at: int
    weights: np.ndarray
    """Source by result."""

    @property
    def count(self) -> int:
        return int(self.weights.shape[1])


def _blocks(shown: float, size: int, wanted: int, count: int, *, one: float) -> list[_Block]:
    """`count` of the `wanted` at a time; equal values come out `one` times as large."""
    scale = shown / wanted
    stretch = max(1.0, scale)
    centres = (np.arange(wanted) + 0.5) * scale
    first = np.maximum(0, np.floor(centres - _SUPPORT * stretch + 0.5)).astype(int)
    last = np.minimum(size, np.floor(centres + _SUPPORT * stretch + 0.5)).astype(int)
    taken = first[:, None] + np.arange(int((last - first).max()))
    places = (taken + 0.5 - centres[:, None]) / stretch
    is_near = (taken < last[:, None]) & (np.abs(places) < _SUPPORT)
    weights = _whole_numbers(np.where(is_near, np.sinc(places) * np.sinc(places / _SUPPORT), 0.0))
    blocks = []
    for at in range(0, wanted, count):
        some = slice(at, min(wanted, at + count))
        begin, end = int(first[at]), int(last[some].max())
        dense = np.zeros((max(end, int(taken[some].max()) + 1) - begin, some.stop - at), np.float32)
        dense[taken[some] - begin, np.arange(some.stop - at)[:, None]] = weights[some] * (one / _ONE)
        blocks.append(_Block(first=begin, last=end, at=at, weights=np.ascontiguousarray(dense[: end - begin])))
    return blocks


def _whole_numbers(weights: np.ndarray) -> np.ndarray:
    """The weights of each row times `_ONE`, rounded so that they add up to exactly that: flat colours stay flat."""
    exact = weights / weights.sum(axis=1, keepdims=True) * _ONE
    # What is rounded away of the sum so far goes to the next one: however many there are, none is lost.
    sums = np.rint(np.cumsum(exact, axis=1))
    whole: np.ndarray = np.diff(sums, axis=1, prepend=0.0).astype(np.float32)
    return whole


# -- light -----------------------------------------------------------------------------------------

_TO_LIGHT = np.rint(srgb.light_of(np.arange(256) / 255) * _FULL).astype(np.float32)
_FROM_LIGHT = np.rint(srgb.value_of(np.arange(_FULL + 1) / _FULL) * 255).astype(np.uint8)

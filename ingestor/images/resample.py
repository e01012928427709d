"""Lanczos in light: what is averaged is the light that pixels stand for, not the values that they are stored as.

All sums are of whole numbers below 2^24, which floats hold exactly: whatever order a processor adds them in, the pixels
are the same, as the idempotency key has to promise.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ingestor.policy.sizing import Size

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
"""The modes whose values are light, encoded as in sRGB. RGBA is premultiplied meanwhile."""

Rows = Callable[[int, int], np.ndarray]
"""Rows from, and before, these numbers; each is a row of all its samples."""

_SUPPORT = 3
_ONE = 1 << 10
"""A weight of 1. Rounded Lanczos weights add up to 1.6 at most, signs aside."""
_STEPS = 32
_FULL = 255 * _STEPS
"""White: fine enough that the darkest values of 8 bits stay apart."""

_BLOCK_ROWS = 32
_BLOCK_SAMPLES = 48
"""Of the result, made by one multiplication: more would multiply by more zeros, less would be too many calls."""
_BUFFER_SAMPLES = 1_000_000
"""Of a pass, at most, where it takes one row at a time or more."""
_BAND_PIXELS = 2_000_000
"""Of the result, made by one thread."""
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture to be resampled."""

    rows: Rows
    mode: str
    size: Size
    shown: tuple[float, float]
    """Width and height that count, where the last column and row stand for less than a whole pixel."""


def resampled(source: Source, box: Size) -> Image.Image:
    """The picture at exactly `box`."""
    channels = CHANNELS[source.mode]
    row_samples = max(source.size.width, box.width) * channels
    rows = max(1, min(_BLOCK_ROWS, _BUFFER_SAMPLES // row_samples))
    down = _blocks(source.shown[1], source.size.height, box.height, rows)
    across = [
        _Block(first=block.first, last=block.last, at=block.at, weights=_interleaved(block.weights, channels))
        for block in _blocks(source.shown[0], source.size.width, box.width, _BLOCK_SAMPLES // channels)
    ]
    result = Image.new(source.mode, (box.width, box.height))
    blocks_each = max(1, _BAND_PIXELS // (box.width * rows))
    bands = [down[at : at + blocks_each] for at in range(0, len(down), blocks_each)]

    def make(band: list[_Block]) -> None:
        made = _band(source, band, across, box.width)
        part = Image.frombuffer(source.mode, (box.width, len(made)), made, "raw", source.mode, 0, 1)
        result.paste(part, (0, band[0].at))

    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(make, band) for band in bands]:
            done.result()
    return result


def _band(source: Source, down: list[_Block], across: list[_Block], width: int) -> np.ndarray:
    """Some rows of the result."""
    channels, has_alpha = CHANNELS[source.mode], source.mode == "RGBA"
    row_samples = source.size.width * channels
    most = max(len(block.weights) for block in down)
    at_once = max(1, min(_BUFFER_SAMPLES // row_samples, max(block.last - block.first for block in down)))
    read = np.empty((at_once, row_samples), np.float32)
    lower, narrower = np.empty((most, row_samples), np.float32), np.empty((most, width * channels), np.float32)
    made = np.empty((down[-1].at + len(down[-1].weights) - down[0].at, width * channels), np.uint8)
    for block in down:
        count = len(block.weights)
        one, other = lower[:count], narrower[:count]
        for first in range(block.first, block.last, at_once):
            last = min(block.last, first + at_once)
            _read(source.rows(first, last), read[: last - first], has_alpha=has_alpha)
            weights = block.weights[:, first - block.first : last - block.first]
            if first == block.first:
                np.matmul(weights, read[: last - first], out=one)
            else:
                one += weights @ read[: last - first]
        np.multiply(one, 1 / _ONE, out=one)
        np.rint(one, out=one)
        # As Pillow does; and beyond white the next sums might leave the whole numbers that floats hold.
        np.clip(one, 0, _FULL, out=one)
        for part in across:
            columns = slice(part.at * channels, part.at * channels + part.weights.shape[1])
            np.matmul(one[:, part.first * channels : part.last * channels], part.weights, out=other[:, columns])
        np.multiply(other, 1 / _ONE, out=other)
        start = block.at - down[0].at
        _write(other, made[start : start + count], has_alpha=has_alpha)
    return made


# -- weights ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Some neighbours in the result: from which of the source (`first` to before `last`) and how they are made."""

    first: int
    last: int
    at: int
    weights: np.ndarray
    """Down: result by source; across, interleaved: source by result."""


def _blocks(shown: float, size: int, wanted: int, count: int) -> list[_Block]:
    scale = shown / wanted
    stretch = max(1.0, scale)
    centres = (np.arange(wanted) + 0.5) * scale
    first = np.maximum(0, np.floor(centres - _SUPPORT * stretch + 0.5)).astype(int)
    last = np.minimum(size, np.floor(centres + _SUPPORT * stretch + 0.5)).astype(int)
    blocks = []
    for at in range(0, wanted, count):
        begin, end = int(first[at]), int(last[min(wanted, at + count) - 1])
        places = (np.arange(begin, end) + 0.5 - centres[at : at + count, None]) / stretch
        inside = (np.arange(begin, end) >= first[at : at + count, None]) & (
            np.arange(begin, end) < last[at : at + count, None]
        )
        weights = np.where(inside & (np.abs(places) < _SUPPORT), np.sinc(places) * np.sinc(places / _SUPPORT), 0.0)
        blocks.append(_Block(first=begin, last=end, at=at, weights=_whole_numbers(weights)))
    return blocks


def _whole_numbers(weights: np.ndarray) -> np.ndarray:
    """The weights of each row times `_ONE`, rounded so that they add up to exactly that: flat colours stay flat."""
    exact = weights / weights.sum(axis=1, keepdims=True) * _ONE
    # What is rounded away of the sum so far goes to the next one: however many there are, none is lost.
    sums = np.rint(np.cumsum(exact, axis=1))
    whole: np.ndarray = np.diff(sums, axis=1, prepend=0.0).astype(np.float32)
    return whole


def _interleaved(weights: np.ndarray, channels: int) -> np.ndarray:
    """The matrix for samples whose channels stand side by side."""
    return np.ascontiguousarray(np.kron(weights.T, np.eye(channels, dtype=np.float32)))


# -- samples ---------------------------------------------------------------------------------------


def _light_of(values: np.ndarray) -> np.ndarray:
    """What sRGB values from 0 to 1 stand for. IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _value_of(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


_TO_LIGHT = np.rint(_light_of(np.arange(256) / 255) * _FULL).astype(np.float32)
_FROM_LIGHT = np.rint(_value_of(np.arange(_FULL + 1) / _FULL) * 255).astype(np.uint8)


def _read(samples: np.ndarray, into: np.ndarray, *, has_alpha: bool) -> None:
    np.take(_TO_LIGHT, samples, out=into, mode="clip")
    if has_alpha:
        pixels, alpha = into.reshape(-1, 4), samples.reshape(-1, 4)[:, 3:].astype(np.float32)
        pixels[:, :3] *= alpha / 255
        pixels[:, 3:] = alpha * _STEPS
        np.rint(pixels, out=pixels)


def _write(light: np.ndarray, into: np.ndarray, *, has_alpha: bool) -> None:
    """Light as values; `light` is spoilt."""
    if has_alpha:
        pixels = light.reshape(-1, 4)
        np.clip(pixels[:, 3:], 0, _FULL, out=pixels[:, 3:])
        pixels[:, :3] *= _FULL / np.maximum(pixels[:, 3:], 1)
    np.rint(light, out=light)
    np.clip(light, 0, _FULL, out=light)
    into[:] = _FROM_LIGHT[light.astype(np.uint16)]
    if has_alpha:
        into.reshape(-1, 4)[:, 3] = np.rint(light.reshape(-1, 4)[:, 3] / _STEPS)

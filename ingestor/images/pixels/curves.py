"""Steep curves, those of linear light above all, made that of sRGB while a picture still has more than 8 bits.

Of what is linear, a tenth of all shades stand in the lowest hundredth of the values: brought to 8 bits first, they are
a few steps.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass, replace

import numpy as np

from ingestor.images.header import Header
from ingestor.images.pixels import code_points, srgb
from ingestor.images.pixels import icc as icc_file

STEPS_MAY_SHOW = "its colours are stored by a steep curve, of which only 8 bits could be read: shadows may show steps"

_STEEP_GAMMA = 1.5
"""Below it a curve has fewer steps in the shadows than the eye sees."""
_USUAL_GAMMA = (0.44, 0.47)
"""Of a PNG: 1/2.2 as everybody writes it, which means sRGB."""
_PARAMETERS = (1, 3, 4, 5, 7)
"""Of a parametric curve, by its type (ICC.1:2010, 10.15)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """`tables`: of each colour its 65,536 values by the curve of sRGB, one for grey; `icc` is for what they make."""

    tables: tuple[np.ndarray, ...]
    icc: bytes | None

    def fit(self, colours: int) -> bool:
        """Whether they are for so many: those of red, green and blue are for grey too, where they are the same."""
        return colours == len(self.tables) or (colours == 1 and all((t == self.tables[0]).all() for t in self.tables))

    def left(self, header: Header) -> Header:
        """What is still to be done with the colours of what came out."""
        return replace(header, gamma=None, code_points=None, attached=replace(header.attached, icc=self.icc))

    def shown(self, values: np.ndarray, channel: int) -> np.ndarray:
        """Values from 0 to 1 of one channel, by the curve of sRGB."""
        table = self.tables[channel]
        shown: np.ndarray = table[(values * 65535 + 0.5).astype(np.uint16)] / 65535.0
        return shown


def of(header: Header) -> Curves | None:
    """Those that a header tells; None where they are not steep, or are not known."""
    icc = header.attached.icc
    if not icc and header.code_points is not None and not code_points.are_usual(*header.code_points):
        icc = code_points.profile(*header.code_points)
        if icc is None:
            return None  # which is told of where colours are converted
    if icc:
        return of_profile(icc)
    gamma = own_gamma(header)
    return None if gamma is None else Curves(tables=(_table(_values() ** (1.0 / gamma)),) * 3, icc=None)


def own_gamma(header: Header) -> float | None:
    """The gamma that a PNG tells, where it does not mean sRGB."""
    if header.gamma is None or _USUAL_GAMMA[0] <= header.gamma <= _USUAL_GAMMA[1]:
        return None
    return header.gamma


@functools.lru_cache(maxsize=2)
def of_profile(icc: bytes) -> Curves | None:
    """Those of a profile of primaries, or of grey. One by tables of colours is left to the colour library."""
    try:
        icc_file.check_primaries(icc)
        tags = icc_file.tags(icc)
        names = {b"RGB ": (b"r", b"g", b"b"), b"GRAY": (b"k",)}.get(icc[16:20])
        if names is None or icc[20:24] != b"XYZ " or any(name.startswith(b"A2B") for name in tags):
            return None
        light = [_light(tags[name + b"TRC"]) for name in names]
        colours = [tags[name + b"XYZ"] for name in names] if len(names) == 3 else []
    except (struct.error, LookupError, ValueError, ArithmeticError):
        return None  # what is wrong with it is said where colours are converted
    if not all(np.isfinite(one).all() and _is_steep(one) for one in light):
        return None
    return Curves(
        tables=tuple(_table(one) for one in light),
        icc=code_points.by_curve_of_srgb(colours) if colours else None,
    )


def _table(light: np.ndarray) -> np.ndarray:
    return (srgb.value_of(light.clip(0.0, 1.0)).clip(0.0, 1.0) * 65535 + 0.5).astype(np.uint16)


def _is_steep(light: np.ndarray) -> bool:
    half = float(light[32768])
    return 0.0 < half < 1.0 and bool(np.log(half) / np.log(0.5) < _STEEP_GAMMA)


@functools.cache
def _values() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """All of 16 bits, from 0 to 1."""
    return np.arange(65536) / 65535.0


# -- ICC.1:2010, 10 --------------------------------------------------------------------------------


def _light(curve: bytes) -> np.ndarray:
    """What a curve makes of the values from 0 to 1."""
    if curve[:4] == b"para":
        return _parametric(curve)
    if curve[:4] != b"curv":
        raise ValueError("it is no curve")
    (count,) = struct.unpack_from(">I", curve, 8)
    if count == 0:
        return _values()
    points = np.frombuffer(curve, ">u2", count, 12)
    if count == 1:
        gamma: np.ndarray = _values() ** (int(points[0]) / 256.0)
        return gamma
    return np.interp(_values(), np.linspace(0.0, 1.0, count), points / 65535.0)


def _parametric(curve: bytes) -> np.ndarray:
    (kind,) = struct.unpack_from(">H", curve, 8)
    told = [value / 65536.0 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", curve, 12)]
    g, a, b, c, d, e, f = told + [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(told) :]
    match kind:
        case 1 | 2:  # c is added, from where the power begins
            d, e, f, c = -b / a, c, c, 0.0
        case 3:
            e = f = 0.0
    values = _values()
    powered = np.maximum(a * values + b, 0.0) ** g + e
    light: np.ndarray = np.where(d <= values, powered, c * values + f)
    return light

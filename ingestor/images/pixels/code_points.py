"""Colour profiles for colours that are told by numbers alone (cICP of PNG, nclx of AVIF and HEIC; ITU-T H.273)."""

from __future__ import annotations

import functools
import struct

import numpy as np

from ingestor.images.pixels import srgb

_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), (0.3127, 0.3290)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3140, 0.3510)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
}
"""Red, green, blue and white of BT.709, BT.2020, DCI P3 and Display P3 (table 2)."""
_USUAL_PRIMARIES = frozenset({1, 2, 5, 6})
_USUAL_TRANSFERS = frozenset({1, 2, 4, 5, 6, 13, 14, 15})
"""Meant for a display, as sRGB is."""
_LINEAR = 8
_CURVE_STEPS = 1024
_ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), (0.3127, 0.3290))
_GAMMA_OF_ADOBE_RGB = 563
"""256ths. Both from Adobe RGB (1998) Color Image Encoding, 4.3.1."""
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def are_usual(primaries: int, transfer: int) -> bool:
    """Whether they mean what sRGB looks like: those of BT.709 and BT.601, or none at all."""
    return primaries in _USUAL_PRIMARIES and transfer in _USUAL_TRANSFERS


@functools.cache
def profile(primaries: int, transfer: int) -> bytes | None:
    """The ICC profile (version 2, by primaries and a curve) of such colours; None for HDR and what is unknown."""
    known = _PRIMARIES.get(1 if primaries in _USUAL_PRIMARIES else primaries)
    if known is None or transfer not in _USUAL_TRANSFERS | {_LINEAR}:
        return None
    curve = _curve() if transfer == _LINEAR else _curve_of_srgb()
    return _by_primaries(f"H.273 {primaries} {transfer}", [_xyz(column) for column in _to_d50(known).T], curve)


@functools.cache
def adobe_rgb() -> bytes:
    """The ICC profile of colours that a camera says to be those of Adobe RGB (1998)."""
    colours = [_xyz(column) for column in _to_d50(_ADOBE_RGB).T]
    return _by_primaries("compatible with Adobe RGB (1998)", colours, _curve(_GAMMA_OF_ADOBE_RGB))


def by_curve_of_srgb(colours: list[bytes]) -> bytes:
    """The ICC profile of red, green and blue as another profile has them (XYZ tags), with the curve of sRGB."""
    return _by_primaries("the curve of sRGB", colours, _curve_of_srgb())


def _curve_of_srgb() -> bytes:
    light = srgb.light_of(np.linspace(0.0, 1.0, _CURVE_STEPS))
    return _curve(*(light * 65535 + 0.5).astype(int).tolist())


def _by_primaries(name: str, colours: list[bytes], curve: bytes) -> bytes:
    text = name.encode() + b"\0"
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0\0",
        b"wtpt": _xyz(_D50),
    }
    for letter, colour in zip((b"r", b"g", b"b"), colours, strict=True):
        tags |= {letter + b"XYZ": colour, letter + b"TRC": curve}
    return _icc(tags)


def _to_d50(known: tuple[tuple[float, float], ...]) -> np.ndarray:
    """From linear RGB to XYZ as seen under D50, (3, 3). ICC.1:2001-04, annex A."""
    *colours, white = (np.array([x / y, 1.0, (1.0 - x - y) / y]) for x, y in known)
    matrix = np.stack(colours, axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    adapted = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    seen: np.ndarray = np.linalg.inv(_BRADFORD) @ adapted @ _BRADFORD @ matrix
    return seen


# -- ICC.1:2001-04, 6.1 to 6.5 -------------------------------------------------------------------------


def _xyz(values: np.ndarray) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(value) * 65536) for value in values))


def _curve(*steps: int) -> bytes:
    """By the light of each step; one alone is a gamma, in 256ths, and none the curve of linear light."""
    return struct.pack(f">4s4xI{len(steps)}H", b"curv", len(steps), *steps)


def _icc(tags: dict[bytes, bytes]) -> bytes:
    table, content = struct.pack(">I", len(tags)), b""
    begin = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", begin + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4xI4s4s4s", begin + len(content), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + table + content

"""What stands in an ICC profile, and whether its colours can be meant. ICC.1:2010, 7 and 10."""

from __future__ import annotations

import struct

import numpy as np

_MOST_TAGS = 100
_PRIMARIES = (b"rXYZ", b"gXYZ", b"bXYZ")
_D50 = (0.9642, 1.0, 0.8249)
_MOST_OFF = 4.0
"""Times white: profiles that forget to adapt it to D50 are off by a third."""
_LEAST_APART = 1e-3
"""The volume that red, green and blue span, of what they would at right angles: half and more, for those in use."""


def tags(icc: bytes) -> dict[bytes, bytes]:
    """Raises `struct.error` and `ValueError`."""
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > _MOST_TAGS:
        raise ValueError("more tags than there are")
    told = (struct.unpack_from(">4s2I", icc, 132 + 12 * place) for place in range(count))
    return {name: icc[at : at + size] for name, at, size in told}


def check_primaries(icc: bytes) -> None:
    """Raises `ValueError` for a profile whose red, green and blue cannot be meant, which colour libraries go by all
    the same: they lie in a plane, or together are nothing like white.

    One by tables of colours has none to go by; of one that is broken the colour library says so.
    """
    try:
        told = tags(icc)
        colours = np.array([struct.unpack_from(">3i", told[name], 8) for name in _PRIMARIES]) / 65536.0
    except (struct.error, LookupError, ValueError):
        return
    if any(name[:3] in (b"A2B", b"D2B") for name in told):
        return
    longest = float(np.prod(np.linalg.norm(colours, axis=1)))
    if abs(float(np.linalg.det(colours))) <= _LEAST_APART * longest:
        raise ValueError("its red, green and blue are not three colours")
    white = colours.sum(axis=0) / _D50
    if white.min() * _MOST_OFF < 1.0 or white.max() > _MOST_OFF:
        raise ValueError("its red, green and blue do not make white")

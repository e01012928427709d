"""The little of EXIF that decides how a picture looks, read and patched in place.

Patched rather than parsed and written anew: makers' notes hold offsets into the whole block, which survive only
where nothing moves. Odd EXIF never raises: what cannot be understood says nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_MOST_ENTRIES = 1000
_XMP_ORIENTATION = b"tiff:Orientation"


@dataclass(frozen=True, slots=True)
class _Places:
    order: str
    value: int
    """Offset of the two bytes of the orientation."""
    orientation: int
    next_directory: int
    """Offset of the pointer to the thumbnail's directory."""


def orientation_of(exif: bytes | None) -> int:
    """1 to 8 as TIFF defines them; 1 where none is told, or a number that means nothing."""
    places = _places(exif) if exif else None
    return places.orientation if places and 1 <= places.orientation <= 8 else 1


def upright(exif: bytes) -> bytes:
    """The same EXIF for a picture that has been turned: orientation 1, and no thumbnail, which was not turned."""
    places = _places(exif)
    if places is None:
        return exif
    patched = bytearray(exif)
    if places.value:
        patched[places.value : places.value + 2] = struct.pack(places.order + "H", 1)
    if places.next_directory + 4 <= len(patched):
        patched[places.next_directory : places.next_directory + 4] = bytes(4)
    return bytes(patched)


def orientation_only(orientation: int) -> bytes:
    """The smallest EXIF that tells an orientation, with its prefix."""
    entry = struct.pack(">HHIHxx", _ORIENTATION, 3, 1, orientation)
    return PREFIX + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def upright_xmp(xmp: bytes) -> bytes:
    """The same XMP, saying that the picture is upright."""
    at = xmp.find(_XMP_ORIENTATION)
    if at < 0:
        return xmp
    for place in range(at + len(_XMP_ORIENTATION), min(at + len(_XMP_ORIENTATION) + 16, len(xmp))):
        if xmp[place : place + 1].isdigit():
            return xmp[:place] + b"1" + xmp[place + 1 :]
    return xmp


def _places(exif: bytes) -> _Places | None:
    base = len(PREFIX) if exif.startswith(PREFIX) else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[base : base + 2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", exif, base + 4)
        (count,) = struct.unpack_from(order + "H", exif, base + first)
        entries = base + first + 2
        value, orientation = 0, 1
        for entry in range(entries, entries + 12 * min(count, _MOST_ENTRIES), 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == _ORIENTATION and kind in (3, 4):
                # As a LONG in big-endian order, the low half is the second one.
                value = entry + 8 + (2 if kind == 4 and order == ">" else 0)
                (orientation,) = struct.unpack_from(order + "H", exif, value)
                break
        return _Places(order, value, orientation, entries + 12 * count)
    except struct.error:
        return None

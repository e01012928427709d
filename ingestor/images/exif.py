"""The little of EXIF that decides how a picture looks, read and patched in place.

Patched rather than parsed and written anew: makers' notes hold offsets into the whole block, which survive only
where nothing moves. Odd EXIF never raises: what cannot be understood says nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_MOST_ENTRIES = 1000
_XMP_ORIENTATION = b"tiff:Orientation"
_EXIF_DIRECTORY, _COLOUR_SPACE, _INTEROPERABILITY_DIRECTORY, _INTEROPERABILITY_INDEX = 0x8769, 0xA001, 0xA005, 0x0001
_SRGB, _NEITHER_STANDARD = 1, frozenset({2, 65535})
"""Of ColorSpace: what Exif has no number for is "uncalibrated", and 2 to some programs."""
_OF_ADOBE_RGB, _OF_SRGB = b"R03\0", b"R98\0"
"""Of InteroperabilityIndex (DCF 2.0): the optional colour space, which is Adobe RGB, and the usual one."""


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


def is_adobe_rgb(exif: bytes | None) -> bool:
    """Whether colours are those of Adobe RGB, told in the way of cameras, which write no profile."""
    told = _colour_space(exif) if exif else None
    return told is not None and told.number in _NEITHER_STANDARD


def in_srgb(exif: bytes) -> bytes:
    """The same EXIF for a picture that is in sRGB now, where it was told to be in Adobe RGB."""
    told = _colour_space(exif)
    if told is None:
        return exif
    patched = bytearray(exif)
    patched[told.number_at : told.number_at + 2] = struct.pack(told.order + "H", _SRGB)
    patched[told.index_at : told.index_at + 4] = _OF_SRGB
    return bytes(patched)


def smallest(orientation: int, *, adobe_rgb: bool = False) -> bytes:
    """The smallest EXIF that tells how a picture looks, with its prefix; none where that is upright and in sRGB."""
    entries = [struct.pack(">HHIHxx", _ORIENTATION, 3, 1, orientation)] if orientation != 1 else []
    behind = b""
    if adobe_rgb:
        at = 8 + 2 + 12 * (len(entries) + 1) + 4
        entries.append(struct.pack(">HHII", _EXIF_DIRECTORY, 4, 1, at))
        space = struct.pack(">HHIHxx", _COLOUR_SPACE, 3, 1, 65535)
        link = struct.pack(">HHII", _INTEROPERABILITY_DIRECTORY, 4, 1, at + 2 + 2 * 12 + 4)
        index = struct.pack(">HHI4s", _INTEROPERABILITY_INDEX, 2, 4, _OF_ADOBE_RGB)
        behind = struct.pack(">H", 2) + space + link + bytes(4) + struct.pack(">H", 1) + index + bytes(4)
    if not entries:
        return b""
    return PREFIX + b"MM\0*" + struct.pack(">IH", 8, len(entries)) + b"".join(entries) + bytes(4) + behind


def upright_xmp(xmp: bytes) -> bytes:
    """The same XMP, saying that the picture is upright."""
    at = xmp.find(_XMP_ORIENTATION)
    if at < 0:
        return xmp
    for place in range(at + len(_XMP_ORIENTATION), min(at + len(_XMP_ORIENTATION) + 16, len(xmp))):
        if xmp[place : place + 1].isdigit():
            return xmp[:place] + b"1" + xmp[place + 1 :]
    return xmp


class _ColourSpace(NamedTuple):
    order: str
    number: int
    number_at: int
    index_at: int


def _colour_space(exif: bytes) -> _ColourSpace | None:
    """What is told of it, where the index says that it is Adobe RGB; None for all else."""
    base, order = _begin(exif)
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", exif, base + 4)
        (inner,) = struct.unpack_from(order + "I", exif, _value(exif, order, base + first, _EXIF_DIRECTORY))
        number_at = _value(exif, order, base + inner, _COLOUR_SPACE)
        (number,) = struct.unpack_from(order + "H", exif, number_at)
        links_at = _value(exif, order, base + inner, _INTEROPERABILITY_DIRECTORY)
        (links,) = struct.unpack_from(order + "I", exif, links_at)
        index_at = _value(exif, order, base + links, _INTEROPERABILITY_INDEX)
    except (struct.error, LookupError):
        return None
    is_adobe_rgb = exif[index_at : index_at + 4] == _OF_ADOBE_RGB
    return _ColourSpace(order, number, number_at, index_at) if is_adobe_rgb else None


def _value(exif: bytes, order: str, directory: int, wanted: int) -> int:
    """Where the value of an entry is, which fits into it. Raises `LookupError` where there is none."""
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, directory + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        (tag,) = struct.unpack_from(order + "H", exif, entry)
        if tag == wanted:
            return entry + 8
    raise LookupError(f"no entry {wanted}")


def _begin(exif: bytes) -> tuple[int, str | None]:
    """Where offsets count from, and the order of bytes; None for what is no EXIF."""
    base = len(PREFIX) if exif.startswith(PREFIX) else 0
    return base, {b"II": "<", b"MM": ">"}.get(exif[base : base + 2])


def _places(exif: bytes) -> _Places | None:
    base, order = _begin(exif)
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

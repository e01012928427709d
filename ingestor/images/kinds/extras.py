"""What a PNG has beside its picture: viewers leave out what is damaged of that, where Pillow refuses the file."""

from __future__ import annotations

import zlib

from ingestor.images.kinds import chunks
from ingestor.images.kinds.chunks import Chunk

_PICTURE = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"})
_COLOURS = frozenset({b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_LEAST_BYTES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_PACKED = frozenset({b"iCCP", b"zTXt"})
"""A name, a zero, the method of compression, which is 0, and what is compressed (PNG, third edition, 11.3)."""
_SECOND_PROFILE = "it has more than one iCCP: all but the first were left out"
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_BROKEN_ANIMATION = "its animation is damaged, and was left out"
_ANCILLARY = 0x20
"""In the first letter of a kind: the picture can be shown without it (5.4)."""


def without_damaged_extras(data: bytes) -> tuple[bytes, list[str]]:
    """A PNG without those chunks beside its picture that are damaged, or follow the one that there may be; and a
    warning for each kind of them.
    """
    has_profile = False
    moves_as_told = _moves_as_told(data)

    def fault(chunk: Chunk) -> str | None:
        nonlocal has_profile
        warning = _damage(data, chunk)
        if warning is None and chunk.kind == b"iCCP":
            # Viewers go by the first, Pillow by the last.
            warning, has_profile = (_SECOND_PROFILE if has_profile else None), True
        return warning if moves_as_told or chunk.kind not in _ANIMATION else _BROKEN_ANIMATION

    return chunks.png_without(data, fault)


def _moves_as_told(data: bytes) -> bool:
    """Whether no frame of an animation comes before it is said where it belongs: then viewers show the picture that
    stands beside it, and Pillow nothing at all.
    """
    first = next((chunk.kind for chunk in chunks.of_png(data) if chunk.kind in (b"fcTL", b"fdAT", b"IEND")), b"IEND")
    return first != b"fdAT"


def _damage(data: bytes, chunk: Chunk) -> str | None:
    if (fault := _fault(data, chunk)) is None:
        return None
    colours = "; its colours may look different" if chunk.kind in _COLOURS else ""
    return f"its {chunk.kind.decode()} {fault}, and was left out{colours}"


def _fault(data: bytes, chunk: Chunk) -> str | None:
    """What is wrong with a chunk that the picture can do without; None for all others."""
    kind = chunk.kind
    if not kind.isalpha() or not kind[0] & _ANCILLARY or kind in _PICTURE:
        return None
    if not chunks.png_checksum_is_right(data, chunk):
        return None if _is_of_the_picture(data, chunk) else "has a wrong checksum"
    if chunk.end - chunk.begin < _LEAST_BYTES.get(kind, 0):
        return "is too short"
    if kind in _PACKED and not _is_packed_as_known(data, chunk):
        return "is of no known kind"
    return None


def _is_of_the_picture(data: bytes, chunk: Chunk) -> bool:
    """Whether the checksum is that of another kind: its name alone is damaged, and the picture needs it."""
    body = data[chunk.begin : chunk.end]
    checksum = int.from_bytes(data[chunk.end : chunk.end + chunks.PNG_CHECKSUM_BYTES])
    return any(zlib.crc32(body, zlib.crc32(kind)) == checksum for kind in _PICTURE)


def _is_packed_as_known(data: bytes, chunk: Chunk) -> bool:
    end_of_name = data.find(b"\0", chunk.begin, chunk.end)
    if chunk.kind == b"zTXt" and (end_of_name < 0 or end_of_name + 1 == chunk.end):
        return True  # a text without a text
    return 0 <= end_of_name < chunk.end - 1 and data[end_of_name + 1] == 0

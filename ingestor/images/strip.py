"""Metadata taken out of JPEG, PNG and WebP without touching a pixel.

What says how the picture looks stays: colour profiles and their like, and, where it is not to be baked, the
orientation. Gone are EXIF, XMP, IPTC, comments, thumbnails, whatever is unknown, and what is appended.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from ingestor.images import chunks, exif, jpeg_markers
from ingestor.images.jpeg_markers import Segment

RECIPE = 2
"""Counts up whenever other bytes would come out."""

_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"}
    | {b"sBIT", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT"}
)
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_WEBP_FRAME_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_WEBP_FIELDS = {b"VP8X": 10, b"ANIM": 6}
"""Bytes that these chunks have fields for; what is behind them nobody reads."""
_WEBP_FRAME_HEAD_BYTES = 16
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
"""Of their segments without a thumbnail, and without what some program has put behind the fields."""


def stripped(data: bytes, name: str, orientation: int) -> bytes:
    """The same picture without metadata; the very same bytes where it has none.

    `orientation` other than 1 is told in the smallest EXIF there is. Raises `ValueError` for a broken structure.
    """
    told = exif.orientation_only(orientation) if orientation != 1 else b""
    match name:
        case "JPEG":
            return _jpeg(data, told)
        case "PNG":
            return _png(data, told)
        case _:
            return _webp(data, told)


def trimmed(data: bytes) -> bytes:
    """A JPEG without what is appended to its first picture: more pictures, a gain map, a film."""
    parts, at = [], 0
    for segment in jpeg_markers.segments(data):
        if segment.marker == jpeg_markers.APP2 and segment.body.startswith(jpeg_markers.MPF):
            parts.append(data[at : segment.start])
            at = segment.end
        if segment.marker == jpeg_markers.EOI:
            return b"".join([*parts, data[at : segment.end]])
    raise ValueError("there is no end marker")


def _jpeg(data: bytes, told: bytes) -> bytes:
    parts = [data[:2]]
    if told:
        parts.append(struct.pack(">BBH", 0xFF, jpeg_markers.APP1, len(told) + 2) + told)
    for segment in jpeg_markers.segments(data):
        if segment.marker == jpeg_markers.EOI:
            return b"".join([*parts, b"\xff\xd9"])
        if (fields := _fields(segment)) is not None:
            parts.append(struct.pack(">BBH", 0xFF, segment.marker, len(fields) + 2) + fields)
        elif _says_how_it_looks(segment):
            parts.append(data[segment.start : segment.data_end])
    raise ValueError("there is no end marker")


def _fields(segment: Segment) -> bytes | None:
    """Of the segments of JFIF and Adobe what decoders read; None for all others."""
    match segment.marker:
        case jpeg_markers.APP0 if segment.body.startswith(jpeg_markers.JFIF):
            fields = segment.body[:_JFIF_BYTES]
            return fields[:-2] + b"\0\0" if len(fields) == _JFIF_BYTES else fields  # a thumbnail of 0 x 0
        case jpeg_markers.APP14 if segment.body.startswith(jpeg_markers.ADOBE):
            return segment.body[:_ADOBE_BYTES]
        case _:
            return None


def _says_how_it_looks(segment: Segment) -> bool:
    match segment.marker:
        case jpeg_markers.APP2:
            return segment.body.startswith(jpeg_markers.ICC)
        case jpeg_markers.COM:
            return False
        case marker:
            return not 0xE0 <= marker <= 0xEF


def _png(data: bytes, told: bytes) -> bytes:
    parts = [data[:8]]
    for kind, begin, end in chunks.of_png(data):
        if kind in _PNG_KEPT:
            parts.append(data[begin - chunks.HEAD_BYTES : end + chunks.PNG_CHECKSUM_BYTES])
        if kind == b"IHDR" and told:
            chunk = b"eXIf" + told.removeprefix(exif.PREFIX)
            parts.append(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)))
        if kind == b"IEND":
            return b"".join(parts)
    raise ValueError("there is no end chunk")


def _webp(data: bytes, told: bytes) -> bytes:
    kept = _webp_kept(data, chunks.of_webp(data), chunks.riff_end(data), _WEBP_KEPT)
    if told and kept[0][0] == b"VP8X":
        kept.append((b"EXIF", told.removeprefix(exif.PREFIX)))
    body = b"".join(_webp_chunk(kind, content, has_exif=bool(told)) for kind, content in kept)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_kept(
    data: bytes, found: Iterable[chunks.Chunk], stop: int, kinds: frozenset[bytes]
) -> list[tuple[bytes, bytes]]:
    kept = []
    for kind, begin, end in found:
        if end > stop:
            raise ValueError(f"chunk {kind!r} goes beyond the end")
        if kind in kinds:
            kept.append((kind, data[begin:end]))
    return kept


def _webp_chunk(kind: bytes, content: bytes, *, has_exif: bool) -> bytes:
    content = content[: _WEBP_FIELDS.get(kind)]
    match kind:
        case b"VP8X":
            flags = content[0] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if has_exif else 0)
            content = bytes([flags]) + content[1:]
        case b"ANMF":
            frame = chunks.of_webp(content, _WEBP_FRAME_HEAD_BYTES, len(content))
            kept = _webp_kept(content, frame, len(content), _WEBP_FRAME_KEPT)
            content = content[:_WEBP_FRAME_HEAD_BYTES] + b"".join(_padded(part, inner) for part, inner in kept)
    return _padded(kind, content)


def _padded(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)

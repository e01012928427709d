"""Metadata taken out of JPEG, PNG and WebP without touching a pixel.

What says how the picture looks stays: colour profiles and their like, and, where it is not to be baked, the
orientation. Gone are EXIF, XMP, IPTC, comments, thumbnails, whatever is unknown, and what is appended.
"""

from __future__ import annotations

import struct
import zlib

from ingestor.images import chunks, exif, jpeg_markers
from ingestor.images.jpeg_markers import Segment

RECIPE = 1
"""Counts up whenever other bytes would come out."""

_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"}
    | {b"sBIT", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT"}
)
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04


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
        if segment.marker == jpeg_markers.APP0 and segment.body.startswith(jpeg_markers.JFIF):
            parts.append(_without_thumbnail(data, segment))
        elif _says_how_it_looks(segment):
            parts.append(data[segment.start : segment.data_end])
    raise ValueError("there is no end marker")


def _says_how_it_looks(segment: Segment) -> bool:
    match segment.marker:
        case jpeg_markers.APP2:
            return segment.body.startswith(jpeg_markers.ICC)
        case jpeg_markers.APP14:
            return segment.body.startswith(jpeg_markers.ADOBE)
        case jpeg_markers.COM:
            return False
        case marker:
            return not 0xE0 <= marker <= 0xEF


def _without_thumbnail(data: bytes, segment: Segment) -> bytes:
    if segment.body[12:14] in (b"\0\0", b""):
        return data[segment.start : segment.end]
    body = segment.body[:12] + b"\0\0"
    return struct.pack(">BBH", 0xFF, jpeg_markers.APP0, len(body) + 2) + body


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
    kept = []
    for kind, begin, end in chunks.of_webp(data):
        if end > chunks.riff_end(data):
            raise ValueError(f"chunk {kind!r} goes beyond the end")
        if kind in _WEBP_KEPT:
            kept.append((kind, data[begin:end]))
    if told and kept[0][0] == b"VP8X":
        kept.append((b"EXIF", told.removeprefix(exif.PREFIX)))
    body = b"".join(_webp_chunk(kind, content, has_exif=bool(told)) for kind, content in kept)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_chunk(kind: bytes, content: bytes, *, has_exif: bool) -> bytes:
    if kind == b"VP8X":
        flags = content[0] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if has_exif else 0)
        content = bytes([flags]) + content[1:]
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)

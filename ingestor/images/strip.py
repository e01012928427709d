"""Metadata taken out of JPEG, PNG and WebP without touching a pixel.

What says how the picture looks stays: colour profiles and their like, and, where it is not to be baked, the
orientation; and that colours are those of Adobe RGB, where EXIF alone say so. Gone are EXIF, XMP, IPTC, comments,
thumbnails, whatever is unknown, and what is appended.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from ingestor.images import exif
from ingestor.images.kinds import chunks, jpeg_markers
from ingestor.images.kinds.jpeg_markers import Segment

RECIPE = 3
"""Counts up whenever other bytes would come out."""

_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"}
    | {b"sBIT", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT"}
)
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_PNG_FIELDS = {b"pHYs": 9, b"mDCV": 24, b"cLLI": 8, b"PLTE": 3 * 256}
"""The most bytes that these chunks have fields for; what is behind them nobody reads."""
_PNG_CHANNELS = {0: (1, 2), 2: (3, 6), 3: (3, 1), 4: (2, 2), 6: (4, 6)}
"""The same of sBIT and bKGD, by the type of colour."""
_PNG_COLOUR_TYPE_AT = 25
_WEBP_FRAME_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_WEBP_FIELDS = {b"VP8X": 10, b"ANIM": 6}
"""The same for these."""
_WEBP_FRAME_HEAD_BYTES = 16
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04
_PROFILE_HEAD_BYTES, _LEAST_PROFILE_BYTES = 14, 132
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
"""Of their segments without a thumbnail, and without what some program has put behind the fields."""


def stripped(data: bytes, name: str, orientation: int, *, adobe_rgb: bool = False) -> bytes:
    """The same picture without metadata; the very same bytes where it has none.

    `orientation` other than 1 and `adobe_rgb` are told in the smallest EXIF there is. Raises `ValueError` for a broken
    structure.
    """
    told = exif.smallest(orientation, adobe_rgb=adobe_rgb)
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
    kept = _profile_parts(data)
    for segment in jpeg_markers.segments(data):
        if segment.marker == jpeg_markers.EOI:
            return b"".join([*parts, b"\xff\xd9"])
        fields = kept.get(segment.start) if _is_of_profile(segment) else _fields(segment)
        if fields is not None:
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


def _is_of_profile(segment: Segment) -> bool:
    return segment.marker == jpeg_markers.APP2 and segment.body.startswith(jpeg_markers.ICC)


def _profile_parts(data: bytes) -> dict[int, bytes]:
    """What is to stand in the segments of the colour profile, by where they begin: none where they make no profile.

    ICC.1:2010, B.4: each tells its number and how many there are. What is behind the length that the profile tells of
    itself is none of it.
    """
    found = sorted(
        (tuple(part.body[12:14]), part.start, part.body) for part in jpeg_markers.segments(data) if _is_of_profile(part)
    )
    if [told for told, _, _ in found] != [(number, len(found)) for number in range(1, len(found) + 1)]:
        return {}
    whole = b"".join(body[_PROFILE_HEAD_BYTES:] for _, _, body in found)
    length = int.from_bytes(whole[:4])
    if whole[36:40] != b"acsp" or length < _LEAST_PROFILE_BYTES:
        return {}
    kept, left = {}, length  # which may be more than there is: some read such a one
    for _, start, body in found:
        kept[start] = body[: _PROFILE_HEAD_BYTES + left]
        left = max(0, left - len(body) + _PROFILE_HEAD_BYTES)
    return kept


def _says_how_it_looks(segment: Segment) -> bool:
    return segment.marker != jpeg_markers.COM and not 0xE0 <= segment.marker <= 0xEF


def _png(data: bytes, told: bytes) -> bytes:
    parts = [data[:8]]
    fields = _PNG_FIELDS | dict(zip((b"sBIT", b"bKGD"), _PNG_CHANNELS[data[_PNG_COLOUR_TYPE_AT]], strict=True))
    for kind, begin, end in chunks.of_png(data):
        if end - begin > fields.get(kind, end):
            parts.append(_png_chunk(kind, data[begin : begin + fields[kind]]))
        elif kind in _PNG_KEPT:
            parts.append(data[begin - chunks.HEAD_BYTES : end + chunks.PNG_CHECKSUM_BYTES])
        if kind == b"IHDR" and told:
            parts.append(_png_chunk(b"eXIf", told.removeprefix(exif.PREFIX)))
        if kind == b"IEND":
            return b"".join(parts)
    raise ValueError("there is no end chunk")


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


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

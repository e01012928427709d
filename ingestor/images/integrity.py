"""Whether an image that is sent as it was found is whole, as far as `normalise.integrity` asks.

`header` trusts what the header says, `decode` decodes all of it, `strict` also finds what decoders pass silently.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ingestor.images import damage, jpeg, png
from ingestor.images.headers import Header, Undecoded
from ingestor.images.source import Source

_HOLES = {b"VP8 ": bytes(128), b"VP8L": bytes(1024)}
_FRAME_HEAD_BYTES = 16
"""Of an ANMF chunk, before its own chunks."""


def check(source: Source, header: Header, undecoded: Undecoded, level: str) -> list[str]:
    """Warnings of what is odd but harmless. Raises `ImageRejected` (`corrupt`), `SourceNotReady` (`truncated`)."""
    if level == "header":
        return []
    with damage.told(source, header.format):
        if level == "strict" and header.format.name == "JPEG":
            try:
                return jpeg.check(source.whole())
            except jpeg.NotReadHere:
                undecoded.take().load()
                return ["this kind of JPEG could not be checked strictly"]
        if level == "strict":
            check_container(source, header)
        picture = undecoded.take()
        if png.samples(source, header, picture) is None:
            picture.load()
            if level == "strict" and header.format.name == "PNG":
                png.check_rows(source, picture)
            if level == "strict":
                for number in range(1, getattr(picture, "n_frames", 1)):
                    picture.seek(number)
                    picture.load()
    return []


def check_container(source: Source, header: Header) -> None:
    """What the container of a PNG or WebP tells of damage. Raises `SyntaxError` and `SourceNotReady`."""
    match header.format.name:
        case "PNG":
            check_png_chunks(source)
        case "WEBP":
            check_webp_chunks(source)


def check_webp_chunks(source: Source) -> None:
    """Raises `SyntaxError` for a chunk beyond the end, and for a hole in picture data, which has no checksum;
    `SourceNotReady` where the hole is the end.

    What an arithmetic coder writes looks like noise: so many zeros in a row are a part that was never written. Of
    lossless data it takes more of them: one bit each may stand for many pixels.
    """
    data = source.whole()
    for kind, begin, end in _webp_chunks(data, 12, min(8 + struct.unpack_from("<I", data, 4)[0], len(data))):
        hole = _HOLES.get(kind)
        if hole is not None and data.find(hole, begin, end) >= 0:
            if data.endswith(_HOLES[b"VP8 "]):
                raise damage.truncated(source)
            raise SyntaxError("a part of its data is nothing but zeros")


def _webp_chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of what is in each chunk, those of an animation's frames too. Raises `SyntaxError`."""
    while at + 8 <= end:
        kind, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if at + 8 + length > len(data):
            raise SyntaxError(f"chunk {kind!r} goes beyond the end")
        if kind == b"ANMF":
            yield from _webp_chunks(data, at + 8 + _FRAME_HEAD_BYTES, at + 8 + length)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def check_png_chunks(source: Source) -> None:
    """Raises `SyntaxError` for a chunk whose checksum is wrong: Pillow reads some without looking."""
    data = memoryview(source.whole())
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = bytes(data[at + 4 : at + 8])
        if at + 12 + length > len(data):
            raise SyntaxError(f"chunk {kind!r} goes beyond the end")
        (told,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != told:
            raise SyntaxError(f"the checksum of chunk {kind!r} is wrong")
        if kind == b"IEND":
            return
        at += 12 + length
    raise SyntaxError("there is no IEND chunk")

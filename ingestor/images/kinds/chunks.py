"""The chunks that a PNG and a WebP consist of, and the blocks of a GIF, one after the other.

Nothing is checked but that each has a head.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingestor.images.source import Source

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD_BYTES = 8
"""Before what is in a chunk."""
PNG_CHECKSUM_BYTES = 4
"""Behind it."""
_RIFF_HEAD_BYTES = 12
_FRAME_HEAD_BYTES = 16
"""Of an ANMF chunk, before its own chunks."""
_GIF_HEAD_BYTES, _GIF_PICTURE_BYTES = 13, 10
_GIF_PICTURE, _GIF_EXTENSION, _GIF_END = b",", b"!", b";"


class Chunk(NamedTuple):
    kind: bytes
    begin: int
    """Of what is in it: its head stands before."""
    end: int
    """By its own account, which may be beyond the file."""


def of_png(data: bytes) -> Iterator[Chunk]:
    """PNG, third edition, 5.3."""
    at = len(PNG_SIGNATURE)
    while at + HEAD_BYTES + PNG_CHECKSUM_BYTES <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield Chunk(kind, at + HEAD_BYTES, at + HEAD_BYTES + length)
        at += HEAD_BYTES + length + PNG_CHECKSUM_BYTES


def of_png_file(source: Source) -> Iterator[Chunk]:
    """The same of a file that need not be in memory: heads alone are read."""
    at = len(PNG_SIGNATURE)
    while at + HEAD_BYTES + PNG_CHECKSUM_BYTES <= source.size_bytes:
        if len(head := source.at(at, HEAD_BYTES)) < HEAD_BYTES:
            return  # somebody cuts it off meanwhile
        length, kind = struct.unpack(">I4s", head)
        yield Chunk(kind, at + HEAD_BYTES, at + HEAD_BYTES + length)
        at += HEAD_BYTES + length + PNG_CHECKSUM_BYTES


def png_checksum_is_right(data: bytes | memoryview, chunk: Chunk) -> bool:
    """Never for a chunk that is not there as a whole."""
    checksum = data[chunk.end : chunk.end + PNG_CHECKSUM_BYTES]
    return zlib.crc32(data[chunk.begin - len(chunk.kind) : chunk.end]) == int.from_bytes(checksum)


def png_without(data: bytes, fault: Callable[[Chunk], str | None]) -> tuple[bytes, list[str]]:
    """A PNG without those chunks of which `fault` has something to say, and all of that, each but once."""
    parts: list[bytes] = []
    odd: dict[str, None] = {}
    at = 0
    for chunk in of_png(data):
        if chunk.end + PNG_CHECKSUM_BYTES > len(data):
            break
        if (warning := fault(chunk)) is not None:
            parts.append(data[at : chunk.begin - HEAD_BYTES])
            at = chunk.end + PNG_CHECKSUM_BYTES
            odd[warning] = None
        if chunk.kind == b"IEND":
            break
    return (b"".join([*parts, data[at:]]), list(odd)) if odd else (data, [])


def of_webp(data: bytes, at: int = _RIFF_HEAD_BYTES, end: int | None = None) -> Iterator[Chunk]:
    """Those of the file, or of the part of it from `at` to `end`. RFC 9649, 2.3."""
    end = riff_end(data) if end is None else end
    while at + HEAD_BYTES <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        yield Chunk(kind, at + HEAD_BYTES, at + HEAD_BYTES + length)
        at += HEAD_BYTES + length + (length & 1)


def of_webp_file(source: Source, at: int = _RIFF_HEAD_BYTES, end: int | None = None) -> Iterator[Chunk]:
    """The same of a file that need not be in memory, and what is in the frames of an animation."""
    end = source.size_bytes if end is None else end
    while at + HEAD_BYTES <= end and len(head := source.at(at, HEAD_BYTES)) == HEAD_BYTES:
        kind, length = struct.unpack("<4sI", head)
        chunk = Chunk(kind, at + HEAD_BYTES, at + HEAD_BYTES + length)
        yield chunk
        if kind == b"ANMF":
            yield from of_webp_file(source, chunk.begin + _FRAME_HEAD_BYTES, min(chunk.end, end))
        at = chunk.end + (length & 1)


def blocks_of_gif(data: bytes) -> Iterator[Chunk]:
    """Up to 255 bytes each, of pictures and of what stands beside them. GIF89a, 15.

    Bytes that belong to nothing come one by one, as Pillow passes them. Raises `IndexError` where a head is cut off.
    """
    at = _GIF_HEAD_BYTES + gif_palette_bytes(data[10])
    while at < len(data) and (kind := data[at : at + 1]) != _GIF_END:
        if kind == _GIF_PICTURE:
            at += _GIF_PICTURE_BYTES + gif_palette_bytes(data[at + _GIF_PICTURE_BYTES - 1]) + 1
        elif kind == _GIF_EXTENSION:
            at += 2
        else:
            yield Chunk(kind, at, at + 1)
            at += 1
            continue
        while at < len(data) and (length := data[at]):
            yield Chunk(kind, at + 1, at + 1 + length)
            at += 1 + length
        at += 1


def gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def webp_padded(data: bytes) -> bytes:
    """The same WebP with the byte of padding that its last chunk lacks; the very same where none is missing.

    Nothing of the picture is in it, and some writers leave it out, but most readers refuse the file then.
    """
    end = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if end % 2 == 0 or end > len(data) or [chunk.end for chunk in of_webp(data)][-1:] != [end]:
        return data
    return data[:4] + struct.pack("<I", end + 1 - 8) + data[8:end] + b"\0" + data[end:]


def riff_end(data: bytes) -> int:
    """Where a WebP ends by its own account, at most at the file's end."""
    return int(min(len(data), 8 + struct.unpack_from("<I", data, 4)[0]))

"""Parts of a file that cost a decoder more than they say: counted before one opens it.

Pillow's plugins walk through them in Python, one by one, and keep many of them: a file of 50 MB that is nothing but
empty comments takes minutes.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from ingestor.errors import ImageRejected
from ingestor.images.kinds import boxes, chunks, tiff_directories
from ingestor.images.kinds.boxes import Box
from ingestor.images.source import Source
from ingestor.policy.formats import Format

_MOST_BOXES = 100_000
"""A HEIC or AVIF of 300 million pixels has a thousand tiles, with a handful of boxes for each."""
_MOST_CHUNKS = 100_000
"""Of a WebP: one for each frame, and two or three in it."""
_BOXES_IN = MappingProxyType({b"jp2h": 0, b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6})
"""Boxes that consist of boxes which are walked through here or by Pillow, and what stands before these."""

_MOST_BLOCKS, _BYTES_PER_BLOCK = 300_000, 128
"""Of a GIF: so many, and one more for each so many bytes. All but the last of a picture or a text hold 255."""

_LONGEST_HEADER_BYTES = 1 << 20
_MOST_COMMENTS = 10_000
"""Pillow's reader of pixels in decimals copies what it has read, up to a megabyte, for each of them."""
_PIECE_BYTES = 1 << 20
_PPM_COMMENT = re.compile(rb"#[^\r\n]*(?:[\r\n]|\Z)")
_PPM_HEADER = re.compile(rb"\S+(?:\s+\S+){3}\s")
_PPM_HEADER_OF_BITS = re.compile(rb"\S+(?:\s+\S+){2}\s")
"""What it is, width, height; and of all others the largest sample."""
_OF_BITS = (b"P1", b"P4")
_IN_DECIMALS = (b"P1", b"P2", b"P3")


def refuse(source: Source, row: Format) -> None:
    """Raises `ImageRejected` for more parts than any file of this format has."""
    crowd = _CROWDS.get(row.name, _none)(source)
    if crowd is not None:
        raise ImageRejected("decompression_bomb", f"{source.name}: has {crowd}; no camera or program writes so many")


def _none(source: Source) -> str | None:
    del source
    return None


def _ppm(source: Source) -> str | None:
    head = source.at(0, _LONGEST_HEADER_BYTES)
    header = _PPM_HEADER_OF_BITS if head.startswith(_OF_BITS) else _PPM_HEADER
    if len(head) == _LONGEST_HEADER_BYTES and header.match(_PPM_COMMENT.sub(b"", head)) is None:
        return f"more than {_LONGEST_HEADER_BYTES:,} bytes before its pixels"
    if head.startswith(_IN_DECIMALS):
        pieces = range(0, source.size_bytes, _PIECE_BYTES)
        if sum(source.at(begin, _PIECE_BYTES).count(b"#") for begin in pieces) > _MOST_COMMENTS:
            return f"more than {_MOST_COMMENTS:,} comments"
    return None


def _gif(source: Source) -> str | None:
    most = _MOST_BLOCKS + source.size_bytes // _BYTES_PER_BLOCK
    with contextlib.suppress(IndexError):  # it is cut off
        if _has_more(chunks.blocks_of_gif(source.whole()), most):
            return f"more than {most:,} blocks of data"
    return None


def _webp(source: Source) -> str | None:
    return f"more than {_MOST_CHUNKS:,} chunks" if _has_more(chunks.of_webp_file(source), _MOST_CHUNKS) else None


def _boxes(source: Source) -> str | None:
    return f"more than {_MOST_BOXES:,} boxes" if _has_more(_all_boxes(source), _MOST_BOXES) else None


def _has_more(found: Iterator[object], most: int) -> bool:
    return next(islice(found, most, None), None) is not None


def _all_boxes(source: Source) -> Iterator[Box]:
    """Those of the file, and those in them; where one is broken, none of what is beside it."""
    waiting = [(0, source.size_bytes)]
    while waiting:
        begin, end = waiting.pop()
        with contextlib.suppress(struct.error, ValueError):  # the decoder says what is wrong
            for box in boxes.of(source.at, begin, end):
                yield box
                if box.kind in _BOXES_IN:
                    waiting.append((box.begin + _head_bytes(source, box), min(box.end, end)))


def _head_bytes(source: Source, box: Box) -> int:
    """Of a box of boxes, what stands before these (14496-12, 8.11)."""
    if box.kind == b"iinf" and source.at(box.begin, 1) != b"\0":
        return _BOXES_IN[box.kind] + 2
    return _BOXES_IN[box.kind]


_CROWDS: Mapping[str, Callable[[Source], str | None]] = MappingProxyType(
    {
        "PPM": _ppm,
        "GIF": _gif,
        "WEBP": _webp,
        "JPEG2000": _boxes,
        "AVIF": _boxes,
        "HEIF": _boxes,
        "TIFF": tiff_directories.crowd,
    }
)

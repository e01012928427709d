"""Texts of a PNG that unpack to so much that other readers refuse the file for them.

Pillow unpacks 1 MB of a text or profile and 64 MB of all texts, unless told otherwise, and fails at more than that: so
do the services that are built on it.
"""

from __future__ import annotations

import zlib

from ingestor.images.kinds import chunks
from ingestor.images.kinds.chunks import Chunk
from ingestor.images.source import Source

MOST_BYTES = 1 << 20
"""That every reader unpacks of one text or profile."""
MOST_BYTES_OF_ALL = 64 << 20
_ITXT_HEAD_BYTES = 2
"""Whether it is packed, and how, between its name and its language (PNG, third edition, 11.3.3.4)."""
_LOOKED_AT = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
"""A large profile before the pixels is seen to already; behind them it is of no use, but Pillow unpacks it too."""


def without_large(data: bytes) -> tuple[bytes, list[str]]:
    """A PNG without the texts that are too large, and a warning for each kind of them."""
    room = _Room()

    def fault(chunk: Chunk) -> str | None:
        return room.fault(chunk.kind, data[chunk.begin : chunk.end]) if chunk.kind in _LOOKED_AT else None

    return chunks.png_without(data, fault)


def has_large(source: Source) -> bool:
    """Whether a PNG has such texts before its pixels; no more of it is read."""
    room = _Room()
    for chunk in chunks.of_png_file(source):
        if chunk.kind == b"IDAT":
            return False
        if chunk.kind in _LOOKED_AT and room.fault(chunk.kind, source.at(chunk.begin, chunk.end - chunk.begin)):
            return True
    return False


class _Room:
    """What is left for the texts of one file."""

    def __init__(self) -> None:
        self._left_bytes = MOST_BYTES_OF_ALL

    def fault(self, kind: bytes, body: bytes) -> str | None:
        """Why a text is left out. What is too large takes room as well, so that never more than all is unpacked."""
        if self._left_bytes >= 0:
            packed = _packed(kind, body)
            size = len(body) if packed is None else _unpacked_bytes(packed)
            self._left_bytes -= MOST_BYTES if size is None else size
            if size is None:
                return f"its {kind.decode()} unpacks to more than {MOST_BYTES:,} bytes, and was left out"
        if self._left_bytes >= 0:
            return None
        return f"its texts are more than {MOST_BYTES_OF_ALL:,} bytes, and the last were left out"


def _packed(kind: bytes, body: bytes) -> bytes | None:
    """What is packed in a text or profile, without what stands before; None where nothing is."""
    _, _, rest = body.partition(b"\0")
    if kind in (b"zTXt", b"iCCP"):
        return rest[1:]
    if kind == b"iTXt" and rest[:1] not in (b"", b"\0") and rest[1:2] == b"\0":
        _, _, words = rest[_ITXT_HEAD_BYTES:].partition(b"\0")
        _, _, packed = words.partition(b"\0")
        return packed
    return None


def _unpacked_bytes(packed: bytes) -> int | None:
    """None: more than anybody unpacks. What cannot be unpacked is read as empty."""
    inflater = zlib.decompressobj()
    try:
        unpacked = len(inflater.decompress(packed, MOST_BYTES))
    except zlib.error:
        return 0
    return None if inflater.unconsumed_tail else unpacked

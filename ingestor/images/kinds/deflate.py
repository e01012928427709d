"""Deflate streams that are read piece by piece, up to the checksum at their end, which decoders may never reach."""

from __future__ import annotations

import zlib

_PIECE_BYTES = 1 << 16
"""Fed at once: what is left of it is copied for each piece that comes out."""
_SPARE_BYTES = 4_000_000

_FLUSHED = b"\0\0\xff\xff"
"""What a writer leaves that has flushed a stream, and never ended it."""

NOT_CHECKED = "a part of it could not be checked strictly"
_NO_CHECKSUM = "a checksum of its data is missing"


class Inflating:
    """A stream in the zlib format (RFC 1950). Raises `zlib.error` for damage, as far as it is read."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at = memoryview(packed), 0
        self._inflater = zlib.decompressobj()

    def read(self, count: int, /) -> bytes:
        """The next bytes, fewer where the stream ends or breaks off."""
        parts = []
        while count and not self.has_ended:
            piece: bytes | memoryview = self._inflater.unconsumed_tail
            if not piece:
                piece = self._packed[self._at : self._at + _PIECE_BYTES]
                self._at += len(piece)
            data = self._inflater.decompress(piece, count)
            if not data and not piece:
                break
            parts.append(data)
            count -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def has_ended(self) -> bool:
        """With the checksum that belongs to its bytes."""
        return self._inflater.eof

    def lacks_checksum_alone(self) -> bool:
        """Whether all of its packed bytes were whole, up to where it breaks off."""
        if self._packed[-len(_FLUSHED) :] == _FLUSHED:
            return True
        try:
            self._inflater.copy().decompress(bytes(4))
        except zlib.error as error:
            # It was waiting for nothing but that.
            return "data check" in str(error)
        return False


class Ends:
    """Checks the ends of all streams of a picture. `odd` tells what is harmless.

    What a stream holds beyond the picture is inflated too, as damage may be all that made it longer; of all streams
    together not more than the picture has bytes, and some spare.
    """

    def __init__(self, picture_bytes: int) -> None:
        self._left = picture_bytes + _SPARE_BYTES
        self._odd: dict[str, None] = {}

    @property
    def odd(self) -> list[str]:
        return list(self._odd)

    def check(self, stream: Inflating) -> None:
        """Raises `zlib.error` and `ValueError` for damage."""
        while data := stream.read(min(self._left, _PIECE_BYTES) + 1):
            self._left = max(0, self._left - len(data))
            if not self._left:
                self._odd[NOT_CHECKED] = None
                return
        if not stream.has_ended:
            if not stream.lacks_checksum_alone():
                raise ValueError("a strip or tile breaks off within its data")
            self._odd[_NO_CHECKSUM] = None

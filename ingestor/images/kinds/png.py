"""PNG: what Pillow passes silently or reads wrongly, and photographs decoded in two thirds of the time it takes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np
import pyspng
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images.header import Header
from ingestor.images.kinds import chunks
from ingestor.images.kinds.chunks import Chunk
from ingestor.images.pixels import curves
from ingestor.images.pixels.samples import Samples
from ingestor.images.source import Source

_GREY, _RGB = 0, 2
_CHANNELS = {_GREY: 1, _RGB: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, 11.2.1)."""
_DEEP = {_RGB: "RGB", 4: "LA", 6: "RGBA"}
_MOST_DEEP_PIXELS = 50_000_000
"""Of 16 bits they take twelve bytes each, for a while: what a worker has for them, and what it has to spare."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced picture: first column and row, and steps between them (8.1)."""
_TOO_SHORT = "stream too short"
"""Of what libspng says."""
_ROWS_MISSING = "its data ends before the last row"
_PIECE_BYTES = 1 << 20
_MOST_CHUNKS = 500_000
"""A picture of 300 million pixels in pieces of 8 KB has a tenth of them."""
_MOST_PROFILES = 8
"""One is allowed. Each may unpack to megabytes, and Pillow unpacks all of them."""


def refuse_bombs(source: Source, *, head_alone: bool = False) -> None:
    """Raises `ImageRejected` for more chunks or profiles than any picture has; `head_alone`: before its pixels."""
    if (most := _exceeded(chunks.of_png_file(source), head_alone=head_alone)) is not None:
        raise ImageRejected(
            "decompression_bomb", f"{source.name}: has more than {most}; no camera or program writes so many"
        )


def check_chunks(data: bytes) -> None:
    """The same of one inside another file. Raises `Image.DecompressionBombError`."""
    if (most := _exceeded(chunks.of_png(data))) is not None:
        raise Image.DecompressionBombError(f"a picture in it has more than {most}; no camera or program writes so many")


def _exceeded(found: Iterable[Chunk], *, head_alone: bool = False) -> str | None:
    """The limit that these chunks go beyond, in words; None where they keep to all."""
    profiles = 0
    for number, chunk in enumerate(found):
        profiles += chunk.kind == b"iCCP"
        if number >= _MOST_CHUNKS:
            return f"{_MOST_CHUNKS:,} chunks"
        if profiles > _MOST_PROFILES:
            return f"{_MOST_PROFILES} colour profiles"
        if chunk.kind == b"IEND" or (head_alone and chunk.kind == b"IDAT"):
            break
    return None


def samples(source: Source, header: Header, picture: Image.Image) -> Samples | None:
    """The pixels of a PNG of one picture: RGB of 8 bits, without transparency or interlacing.

    None for all other kinds and formats, and for what this decoder refuses: Pillow then says what is wrong.
    `picture` is Pillow's, not decoded yet.
    """
    if header.format.name != "PNG" or header.has_more_pictures or "transparency" in picture.info:
        return None
    depth, colour, interlaced = _kind(source)
    if (depth, colour) != (8, _RGB) or interlaced:
        return None
    stored = _by_libspng(source)
    return None if stored is None else Samples("RGB", stored)


def deep(source: Source, header: Header, picture: Image.Image) -> tuple[Image.Image, Header] | None:
    """Colours of 16 bits, or grey and alpha, that are stored by a steep curve, by that of sRGB, and the header of that.

    None for all other kinds and formats, and for what this decoder refuses. `picture` is Pillow's, not decoded yet.
    """
    if not _is_deep(source, header) or header.has_more_pictures or "transparency" in picture.info:
        return None
    if header.size.pixels > _MOST_DEEP_PIXELS:
        return None
    found, mode = curves.of(header), _DEEP[_kind(source)[1]]
    colours = len(mode.rstrip("A"))
    if found is None or not found.fit(colours):
        return None
    if (stored := _by_libspng(source)) is None:
        return None
    # Red, green and blue come with an alpha that the file does not have.
    shown = np.empty((*stored.shape[:2], len(mode)), np.uint8)
    for channel in range(len(mode)):
        table = found.tables[channel] if channel < colours else np.arange(65536)
        eight = ((table.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        for row in range(stored.shape[0]):
            shown[row, :, channel] = eight[stored[row, :, channel]]
    del stored
    return Image.fromarray(shown, mode), found.left(header)


def _by_libspng(source: Source) -> np.ndarray | None:
    """None for what it refuses. Raises `SyntaxError` where the data ends before the last row."""
    try:
        stored: np.ndarray = pyspng.load(source.whole())
    except RuntimeError as error:
        if _TOO_SHORT in str(error):
            raise SyntaxError(_ROWS_MISSING) from error
        return None
    return stored


def told_steps(source: Source, header: Header) -> list[str]:
    """The warning of a picture that `deep` would read, and did not."""
    is_steep = _is_deep(source, header) and curves.of(header) is not None
    return [curves.STEPS_MAY_SHOW] if is_steep else []


def _is_deep(source: Source, header: Header) -> bool:
    """Whether it has 16 bits, and Pillow would leave the lower eight out."""
    return header.format.name == "PNG" and _kind(source)[0] == 16 and _kind(source)[1] in _DEEP


def mend_transparency(source: Source, picture: Image.Image) -> None:
    """Have the colour that stands for "transparent" as Pillow has the pixels, which it scales to 8 bits."""
    depth, colour, _ = _kind(source)
    clear = picture.info.get("transparency")
    if colour == _GREY and depth in (2, 4) and isinstance(clear, int):
        picture.info["transparency"] = clear * 255 // ((1 << depth) - 1)
    if colour == _RGB and depth == 16 and isinstance(clear, tuple):
        picture.info["transparency"] = tuple(value >> 8 for value in clear)


def check_rows(source: Source, picture: Image.Image) -> None:
    """Raises `SyntaxError` where the data ends before the last row, which Pillow then leaves at 0.

    `picture` is decoded. Where its last rows hold anything they have been there; else the data is counted.
    """
    width, height = picture.size
    # Of an interlaced picture the last pass has every other row.
    last = [picture.crop((0, row, width, row + 1)) for row in range(max(0, height - 2), height)]
    if any(not any(row.tobytes()) for row in last) and not _unpacks_to(source, _rows_bytes(source)):
        raise SyntaxError(_ROWS_MISSING)


def _kind(source: Source) -> tuple[int, int, int]:
    """Bit depth, colour type, and whether it is interlaced."""
    depth, colour, _, _, interlaced = struct.unpack_from(">5B", source.head, 24)
    return depth, colour, interlaced


def _rows_bytes(source: Source) -> int:
    """How many bytes all rows are, with a byte for the filter of each."""
    width, height = struct.unpack_from(">2I", source.head, 16)
    depth, colour, interlaced = _kind(source)
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        if columns:
            total += rows * (1 + -(-columns * depth * _CHANNELS[colour] // 8))
    return total


def _unpacks_to(source: Source, enough: int) -> bool:
    """Whether the data unpacks to so many bytes, or more: no more than these are unpacked."""
    inflater, total = zlib.decompressobj(), 0
    data = memoryview(source.whole())
    for kind, begin, end in chunks.of_png(source.whole()):
        rest: bytes | memoryview = data[begin:end] if kind == b"IDAT" else b""
        # A full piece may have more behind it, even where all that is packed was taken in.
        is_full = len(rest) > 0
        while is_full and total < enough:
            piece = inflater.decompress(rest, _PIECE_BYTES)
            total, rest, is_full = total + len(piece), inflater.unconsumed_tail, len(piece) == _PIECE_BYTES
    return total >= enough

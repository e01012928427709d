"""What a Photoshop document tells before its merged picture: profile, palette, and what is transparent.

Source: Adobe Photoshop File Formats Specification.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO

from PIL import Image

_SECTIONS_AT = 26
_ICC_PROFILE, _CLEAR_INDEX, _VERSION_INFO = 1039, 1047, 1057
_WANTED = (_ICC_PROFILE, _CLEAR_INDEX, _VERSION_INFO)
_RESOURCES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")
_BLOCKS = (b"8BIM", b"8B64")
_MOST_RESOURCES = 65_536
"""Their numbers have 16 bits."""
_MOST_BLOCKS = 1000
_LAYERS = (b"Layr", b"Lr16", b"Lr32")
"""Blocks that hold the layers, in documents of more than 8 bits."""
_MERGED_ALPHA = (b"Mtrn", b"Mt16", b"Mt32")
"""Blocks that are there where the merged picture is transparent."""


class Bytes:
    """A file, read at offsets. Raises `EOFError` beyond its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)

    def at(self, offset: int, count: int) -> bytes:
        # Asked first: a damaged length would have so much memory taken.
        if offset + count > self._size:
            raise EOFError("unexpected end of the file")
        self._file.seek(offset)
        return self._file.read(count)

    def number(self, offset: int, kind: str) -> int:
        (value,) = struct.unpack(f">{kind}", self.at(offset, struct.calcsize(f">{kind}")))
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`end` is where the merged picture begins."""

    colour_data: bytes
    icc: bytes | None
    clear_index: int | None
    """The colour of a palette that stands for "transparent"."""
    is_merged: bool
    """False: layers alone were saved, and what stands for the merged picture is blank."""
    has_alpha: bool
    """Whether the first channel beyond the colours is alpha; else it is a selection that was saved."""
    odd: tuple[str, ...]
    end: int


def read(data: Bytes) -> Told:
    """All that stands before the merged picture. Raises `EOFError` where the file ends within it."""
    at, sections = _SECTIONS_AT, []
    for _ in ("colour mode data", "image resources", "layers and masks"):
        size = data.number(at, "I")
        sections.append((at + 4, at + 4 + size))
        at += 4 + size
    colours, resources, layers = sections
    found, is_whole = _resources(data, *resources)
    clear = found.get(_CLEAR_INDEX, b"")
    version = found.get(_VERSION_INFO, b"")
    return Told(
        colour_data=data.at(colours[0], colours[1] - colours[0]),
        icc=found.get(_ICC_PROFILE),
        clear_index=clear[1] if len(clear) == 2 and not clear[0] else None,
        is_merged=len(version) < 5 or version[4] != 0,
        has_alpha=_has_alpha(data, *layers),
        odd=() if is_whole else ("its image resources are damaged: a colour profile may be lost",),
        end=at,
    )


def _resources(data: Bytes, at: int, end: int) -> tuple[dict[int, bytes], bool]:
    """Those that are wanted, and whether all could be looked at.

    Raises `Image.DecompressionBombError` for more than there are names for.
    """
    found: dict[int, bytes] = {}
    count = 0
    while at + 12 <= end:
        count += 1
        if count > _MOST_RESOURCES:
            raise Image.DecompressionBombError(
                f"has more than {_MOST_RESOURCES:,} image resources; no camera or program writes so many"
            )
        signature, number, name_bytes = struct.unpack(">4sHB", data.at(at, 7))
        at += 6 + (name_bytes + 2) // 2 * 2
        if signature not in _RESOURCES or at + 4 > end:
            return found, False
        size = data.number(at, "I")
        at += 4 + size + size % 2
        if at - size % 2 > end:
            return found, False
        if number in _WANTED:
            found[number] = data.at(at - size % 2 - size, size)
    return found, True


def _has_alpha(data: Bytes, at: int, end: int) -> bool:
    """Whether the number of layers is negative, which says so; in deep documents, whether a block says so."""
    if at + 4 > end:
        return False
    size = data.number(at, "I")
    if size >= 2:
        return data.number(at + 4, "h") < 0
    at += 4 + size
    if at + 4 <= end:
        at += 4 + data.number(at, "I")  # the mask of all layers
    for _ in range(_MOST_BLOCKS):
        if at + 12 > end:
            break
        signature, key, size = struct.unpack(">4s4sI", data.at(at, 12))
        if signature not in _BLOCKS:
            break
        if key in _MERGED_ALPHA or (key in _LAYERS and size >= 2 and data.number(at + 12, "h") < 0):
            return True
        at += 12 + size + -size % 4
    return False

"""The merged picture of Photoshop documents, with 1, 8 or 16 bits a channel.

Pillow's reader knows 8 bits alone, looks for packed rows in the wrong place where there are more channels than its mode
has, and inverts bitmaps. Source: Adobe Photoshop File Formats Specification.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImagePalette

from ingestor.images.kinds import KindNotRead, psd_sections
from ingestor.images.kinds.psd_sections import Bytes

_BAND_SAMPLES = 1_000_000
"""Of each channel: rows are converted in bands of this size, so that no second picture exists meanwhile."""
_HEADER = struct.Struct(">4s2x6xHIIHH")
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 8, 9
_MODES = {_BITMAP: "1", _GREY: "L", _INDEXED: "P", _RGB: "RGB", _CMYK: "CMYK", _DUOTONE: "L", _LAB: "LAB"}
_DEPTHS = {_BITMAP: (1,), _INDEXED: (8,)}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_MOST_CHANNELS = 56
_LONGEST_SIDE = 300_000
"""Of large documents; of others it is a tenth of that."""
_RAW, _PACKBITS, _ZIPPED = 0, 1, (2, 3)
_UNBLENDED_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merged:
    """What the merged picture is, and where. Its channels lie one behind the other, each as a plane."""

    mode: str
    """Pillow's, without alpha."""
    width: int
    height: int
    bits: int
    channels: int
    """All that are stored: saved selections and spot colours too."""
    colours: int
    has_alpha: bool
    compression: int
    start: int

    @property
    def shown_mode(self) -> str:
        return _WITH_ALPHA.get(self.mode, self.mode) if self.has_alpha else self.mode

    @property
    def row_bytes(self) -> int:
        return (self.width * self.bits + 7) // 8

    @property
    def white(self) -> int:
        return (1 << self.bits) - 1


class PsdFile(ImageFile.ImageFile):
    """A document as Pillow's image: 1, L, LA, P, RGB, RGBA, CMYK or LAB."""

    format = "PSD"
    format_description = "Adobe Photoshop"
    odd: list[str]
    """Warnings, once it is loaded."""
    _merged: _Merged

    def _open(self) -> None:
        assert self.fp is not None
        data = Bytes(self.fp)
        _, channels, height, width, bits, mode = _HEADER.unpack(data.at(0, _HEADER.size))
        if mode not in _MODES:
            raise KindNotRead("multichannel documents" if mode == 7 else f"documents of colour mode {mode}")
        if bits not in _DEPTHS.get(mode, (8, 16)):
            raise KindNotRead(f"documents with {bits} bits a channel in colour mode {mode}")
        told = psd_sections.read(data)
        if not told.is_merged:
            raise KindNotRead('documents saved without "Maximize compatibility", which hold no merged picture,')
        compression = data.number(told.end, "H")
        if compression in _ZIPPED:
            raise KindNotRead("documents whose merged picture is zipped")
        colours = Image.getmodebands(_MODES[mode])
        if not colours <= channels <= _MOST_CHANNELS or compression not in (_RAW, _PACKBITS):
            raise SyntaxError(f"it tells of {channels} channels and compression {compression}")
        self._merged = _Merged(
            mode=_MODES[mode],
            width=width,
            height=height,
            bits=bits,
            channels=channels,
            colours=colours,
            has_alpha=told.has_alpha and channels > colours and _MODES[mode] not in ("1", "P"),
            compression=compression,
            start=told.end + 2,
        )
        self._mode, self._size, self.odd = self._merged.shown_mode, (width, height), list(told.odd)
        if told.icc:
            self.info["icc_profile"] = told.icc
        if mode == _INDEXED:
            if len(told.colour_data) != 768:
                raise SyntaxError("its palette does not have 256 colours")
            self.palette = ImagePalette.raw("RGB;L", told.colour_data)
            if told.clear_index is not None:
                self.info["transparency"] = told.clear_index

    def load(self) -> Any:
        if self._im is None:
            assert self.fp is not None
            loaded, odd = _picture(Bytes(self.fp), self._merged)
            self.odd += odd
            self.im = loaded.im
        return Image.Image.load(self)


def _picture(data: Bytes, merged: _Merged) -> tuple[Image.Image, list[str]]:
    if max(merged.width, merged.height) > _LONGEST_SIDE:
        raise ValueError(f"no document has {merged.width}x{merged.height} pixels")
    rows_of = _reader(data, merged)
    picture = Image.new(merged.shown_mode, (merged.width, merged.height))
    if merged.mode == "1":
        for top, count in _bands(merged):
            # 1 is black.
            band = Image.frombytes("1", (merged.width, count), rows_of(0, top, count), "raw", "1;I")
            picture.paste(band, (0, top))
        return picture, []
    keeps_alpha = merged.shown_mode != merged.mode
    to_unblend, odd = keeps_alpha and _is_on_white(rows_of, merged), []
    for top, planes in _planes(rows_of, merged):
        if to_unblend:
            planes[:-1] = _unblended(planes[:-1], planes[-1], merged.white)
        elif merged.has_alpha and not keeps_alpha and planes.pop().min() < merged.white:
            odd = [f"its transparency is shown on white: colours of {merged.mode} cannot keep it"]
        if merged.mode == "CMYK":
            planes = [merged.white - plane for plane in planes]
        bytes_of = [_to_eight_bits(plane, merged.bits) for plane in planes]
        if len(bytes_of) == 1:
            band = Image.fromarray(bytes_of[0], picture.mode)
        else:
            band = Image.merge(picture.mode, [Image.fromarray(plane, "L") for plane in bytes_of])
        picture.paste(band, (0, top))
    return picture, odd


def _bands(merged: _Merged) -> Iterator[tuple[int, int]]:
    """(first row, number of rows)"""
    step = max(1, _BAND_SAMPLES // merged.width)
    for top in range(0, merged.height, step):
        yield top, min(step, merged.height - top)


def _planes(rows_of: Callable[[int, int, int], bytes], merged: _Merged) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Bands from the top: the first row, and the samples of each colour, with those of alpha behind them."""
    kind = np.dtype(f">u{merged.bits // 8}")
    for top, count in _bands(merged):
        yield (
            top,
            [
                np.frombuffer(rows_of(channel, top, count), kind).reshape(count, merged.width)
                for channel in range(merged.colours + merged.has_alpha)
            ],
        )


def _to_eight_bits(plane: np.ndarray, bits: int) -> np.ndarray:
    return plane if bits == 8 else ((plane.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


# -- transparency ----------------------------------------------------------------------------------


def _is_on_white(rows_of: Callable[[int, int, int], bytes], merged: _Merged) -> bool:
    """Whether what is transparent has been blended with white, as Photoshop does; other programs leave colours alone.

    Those are found by colours that are darker than so much white leaves them.
    """
    clear = unblended = 0
    for _, (*colours, alpha) in _planes(rows_of, merged):
        darkest = functools.reduce(np.minimum, colours).astype(np.int32)
        clear += int((alpha < merged.white).sum())
        unblended += int((darkest + alpha < merged.white - merged.white // 100).sum())
    return clear > 0 and unblended <= clear * _UNBLENDED_SHARE


def _unblended(colours: list[np.ndarray], alpha: np.ndarray, white: int) -> list[np.ndarray]:
    """Colours before they were blended with white; where nothing is left of them, white."""
    scale = white / np.maximum(alpha, 1).astype(np.float64)
    return [
        (white - (white - plane.astype(np.float64)) * scale + 0.5).clip(0, white).astype(plane.dtype)
        for plane in colours
    ]


# -- unpacking -------------------------------------------------------------------------------------


def _reader(data: Bytes, merged: _Merged) -> Callable[[int, int, int], bytes]:
    """A function that gives rows of a channel: its number, the first row, how many. `EOFError` where they are cut off,
    `ValueError` where they are damaged.
    """
    row_bytes = merged.row_bytes
    if merged.compression == _RAW:

        def raw(channel: int, top: int, count: int) -> bytes:
            return data.at(merged.start + (channel * merged.height + top) * row_bytes, count * row_bytes)

        return raw
    lengths = np.frombuffer(data.at(merged.start, 2 * merged.channels * merged.height), ">u2")
    ends = np.cumsum(lengths, dtype=np.int64) + merged.start + lengths.nbytes

    def unpacked(channel: int, top: int, count: int) -> bytes:
        first = channel * merged.height + top
        at = int(ends[first]) - int(lengths[first])
        packed = data.at(at, int(ends[first + count - 1]) - at)
        rows, at = [], 0
        for length in lengths[first : first + count].tolist():
            # Row by row, so that one that is too short does not shift those behind it.
            row = Image.frombytes("L", (row_bytes, 1), packed[at : at + length], "packbits", "L")
            rows.append(row.tobytes())
            at += length
        return b"".join(rows)

    return unpacked

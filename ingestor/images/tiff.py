"""TIFFs of the kinds that Pillow refuses or reads wrongly.

Floats in colour, with alpha, of 16 or 64 bits; channels in planes, where they have 16 bits or are grey and alpha; and
files that begin with a thumbnail.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image, TiffImagePlugin

from ingestor.images import colour
from ingestor.images.damage import KindNotRead

_BAND_SAMPLES = 2_000_000
"""Samples are converted in bands of this size, so that the whole picture never exists as floats."""
_MOST_UNPACKED_BYTES = 64_000_000
"""Of a strip or tile that libtiff unpacks, which gives all of it at once."""
_MOST_CHANNELS = 8
_RAW, _LZW, _PACKBITS = 1, 5, 32773
_DEFLATE = (8, 32946)
_BIG_TIFF_OF_BIG_ENDIANS = b"MM\x00\x2b"
_DNG_VERSION, _NEW_SUBFILE_TYPE, _REDUCED = 50706, 254, 1
"""Tags; and of the second the bit of a smaller copy of another page."""
_MOST_THUMBNAILS = 16
_ASSOCIATED, _UNASSOCIATED = 1, 2
"""ExtraSamples: alpha that colours were multiplied with, and alpha beside them."""


class TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF, with a reader of our own for what Pillow does not read well; that makes it L, LA, RGB or RGBA."""

    odd: list[str]
    """Warnings, once it is loaded."""
    _layout: _Layout | None

    def _open(self) -> None:
        assert self.fp is not None
        if self.fp.read(4) == _BIG_TIFF_OF_BIG_ENDIANS:
            raise KindNotRead("BigTIFF files in big-endian order")
        self.fp.seek(0)
        super()._open()
        self._pass_thumbnails()

    def _pass_thumbnails(self) -> None:
        """To the first page that is no smaller copy of another one; to the largest, where all say that they are."""
        passed: list[int] = []
        while _number(self.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED:
            passed.append(self.width * self.height)
            try:
                if len(passed) == _MOST_THUMBNAILS:
                    raise EOFError
                self.seek(len(passed))
            except EOFError:
                self.seek(passed.index(max(passed)))
                return

    def _setup(self) -> None:
        self._layout, self.odd = None, []
        if _DNG_VERSION in self.tag_v2:
            raise KindNotRead("raw pictures of cameras (DNG)")
        try:
            super()._setup()
        except SyntaxError:
            if not _is_float(self.tag_v2):
                raise
        else:
            # Pillow swaps the bytes of big-endian floats that libtiff has swapped already.
            swaps = self._mode == "F" and self.tag_v2.prefix == b"MM" and self._compression != "raw"
            if not swaps and not _are_planes_of_ours(self.tag_v2):
                return
        self._layout = _layout_of(self.tag_v2)
        self._mode = self._layout.mode
        self.tile = []
        if (icc := self.tag_v2.get(34675)) is not None:
            self.info["icc_profile"] = icc

    def load(self) -> Any:
        if self._layout is None:
            return super().load()
        if self._im is None:
            assert self.fp is not None
            pixels, self.odd = _pixels(self.fp, self._layout)
            loaded = Image.fromarray(pixels, self.mode)
            del pixels
            self.im = loaded.im
            del loaded
            self.load_end()
        return Image.Image.load(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the samples of a picture lie. Without tiles, `tile_width` is its width, `tile_height` that of a strip."""

    width: int
    height: int
    kind: np.dtype[Any]
    """Of a sample, in the file's order."""
    channels: int
    colours: int
    alpha: int
    """0 for none."""
    inverted: bool
    planes: bool
    compression: int
    predictor: int
    tiled: bool
    tile_width: int
    tile_height: int
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def mode(self) -> str:
        return ("RGBA" if self.alpha else "RGB") if self.colours == 3 else ("LA" if self.alpha else "L")

    @property
    def kept(self) -> int:
        return self.colours + bool(self.alpha)

    @property
    def across(self) -> int:
        """Tiles in a row of them; of strips, one."""
        return math.ceil(self.width / self.tile_width)

    @property
    def down(self) -> int:
        return math.ceil(self.height / self.tile_height)


def _number(told: Any) -> int:
    return told if isinstance(told, int) else 0


def _is_float(tags: Any) -> bool:
    return set(_several(tags.get(339, 1))) == {3}


def _are_planes_of_ours(tags: Any) -> bool:
    """Planes of whole numbers that Pillow mixes up: it takes 16 bits for 8, and grey and alpha for one of them."""
    channels, bits = _number(tags.get(277, 1)), set(_several(tags.get(258, 1)))
    is_planar = tags.get(284) == 2 and channels > 1
    is_plain = set(_several(tags.get(339, 1))) == {1} and tags.get(262) in (0, 1, 2)
    return is_planar and is_plain and (bits == {16} or (bits == {8} and tags.get(262) != 2))


def _several(told: Any) -> tuple[Any, ...]:
    return told if isinstance(told, tuple) else (told,)


def _layout_of(tags: Any) -> _Layout:
    def one(tag: int, usual: int) -> int:
        told = _several(tags.get(tag, usual))[0]
        if not isinstance(told, int):
            raise ValueError(f"tag {tag} is no number")
        return told

    width, height, channels, photometric = one(256, 0), one(257, 0), one(277, 1), one(262, 1)
    bits, extra = set(_several(tags.get(258, 1))), _several(tags.get(338, ()))
    colours = {0: 1, 1: 1, 2: 3}.get(photometric)
    what, letter, depths, predictors = (
        ("floats", "f", {16, 32, 64}, (1, 2, 3)) if _is_float(tags) else ("planes", "u", {8, 16}, (1, 2))
    )
    if colours is None:
        raise KindNotRead(f"{what} of photometric interpretation {photometric}")
    if len(bits) != 1 or not bits <= depths:
        raise KindNotRead(f"{what} of {', '.join(map(str, sorted(bits)))} bits")
    if not colours <= channels <= _MOST_CHANNELS:
        raise KindNotRead(f"{what} in {channels} channels")
    alpha = extra[0] if channels > colours and extra and extra[0] in (_ASSOCIATED, _UNASSOCIATED) else 0
    compression, predictor, planes = one(259, 1), one(317, 1), one(284, 1) == 2 and channels > 1
    if compression not in (_RAW, _LZW, _PACKBITS, *_DEFLATE):
        raise KindNotRead(f"{what} with compression {compression}")
    if predictor not in predictors or one(266, 1) != 1:
        raise KindNotRead(f"{what} with predictor {predictor} and fill order {one(266, 1)}")
    if planes and alpha == _ASSOCIATED:
        raise KindNotRead("planes that were multiplied with alpha")
    tiled = 324 in tags
    tile_width = one(322, 0) if tiled else width
    tile_height = one(323, 0) if tiled else min(height, one(278, height))
    if tile_width < 1 or tile_height < 1:
        raise ValueError("its strips or tiles have no size")
    if tiled and (min(tile_width, tile_height) < 16 or tile_width * tile_height > width * height + 4_000_000):
        raise KindNotRead(f"{what} in tiles of {tile_width}x{tile_height}")
    return _Layout(
        width=width,
        height=height,
        kind=np.dtype(f"{'<' if tags.prefix == b'II' else '>'}{letter}{bits.pop() // 8}"),
        channels=channels,
        colours=colours,
        alpha=alpha,
        inverted=photometric == 0,
        planes=planes,
        compression=compression,
        predictor=predictor if compression in (_LZW, *_DEFLATE) else 1,
        tiled=tiled,
        tile_width=tile_width,
        tile_height=tile_height,
        offsets=_several(tags.get(324 if tiled else 273, ())),
        lengths=_several(tags.get(325 if tiled else 279, ())),
    )


# -- to eight bits ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows of a strip or tile: where they belong, from which channel on, and their samples."""

    top: int
    left: int
    channel: int
    values: np.ndarray


def _pixels(file: IO[bytes], layout: _Layout) -> tuple[np.ndarray, list[str]]:
    """Two passes: the range of all colours together, then the values. That of whole numbers is known."""
    needed = layout.across * layout.down * (layout.channels if layout.planes else 1)
    if min(len(layout.offsets), len(layout.lengths)) < needed:
        raise ValueError("it names too few strips or tiles")
    is_float = layout.kind.kind == "f"
    white = 1.0 if is_float else float(np.iinfo(layout.kind).max)
    low, high = 0.0, white
    for block in _blocks(file, layout) if is_float else ():
        if (values := block.values[..., : max(0, layout.colours - block.channel)]).size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not math.isfinite(255.0 / (high - low)) or not math.isfinite(high - low):
        raise KindNotRead("floats of such a range")
    pixels = np.zeros((layout.height, layout.width, layout.kept), np.uint8)
    for block in _blocks(file, layout):
        rows, columns, channels = block.values.shape
        target = pixels[block.top :, block.left :, block.channel :][:rows, :columns, :channels]
        colours = max(0, layout.colours - block.channel)
        shown = (block.values[..., :colours] - low) * (255.0 / (high - low)) + 0.5
        target[..., :colours] = 255 - shown.astype(np.uint8) if layout.inverted else shown
        target[..., colours:] = block.values[..., colours:].clip(0.0, white) * (255.0 / white) + 0.5
    return (pixels[..., 0] if layout.kept == 1 else pixels), colour.told_range(low / white, high / white)


def _blocks(file: IO[bytes], layout: _Layout) -> Iterator[_Block]:
    together, each = 1 if layout.planes else layout.channels, layout.across * layout.down
    for place in range(each * (layout.kept if layout.planes else 1)):
        channel, (row, column) = place // each, divmod(place % each, layout.across)
        top, left = row * layout.tile_height, column * layout.tile_width
        # The last strip holds only the rows that there are; a tile is always whole.
        rows = layout.tile_height if layout.tiled else min(layout.tile_height, layout.height - top)
        shape = (min(rows, layout.height - top), layout.tile_width, together)
        read = _reader(file, layout, place, rows * shape[1] * shape[2] * layout.kind.itemsize)
        step = max(1, _BAND_SAMPLES // (shape[1] * shape[2]))
        for first in range(0, shape[0], step):
            band = (min(step, shape[0] - first), *shape[1:])
            data = read(math.prod(band) * layout.kind.itemsize)
            values = _unpredicted(data, band, layout)[:, : layout.width - left, : layout.kept]
            values = colour.finite(values)
            if layout.alpha == _ASSOCIATED:
                alpha = values[..., layout.colours :]
                np.divide(values[..., : layout.colours], alpha, out=values[..., : layout.colours], where=alpha > 0)
                np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            yield _Block(top + first, left, channel, values)


def _unpredicted(data: bytes, shape: tuple[int, ...], layout: _Layout) -> np.ndarray:
    """Samples from what was packed: differences summed up (TIFF 6, section 14; Adobe's Technical Note 3)."""
    rows, columns, channels = shape
    if layout.predictor == 1:
        return np.frombuffer(data, layout.kind).reshape(shape)
    if layout.predictor == 2:
        words = np.frombuffer(data, layout.kind.str.replace("f", "u")).reshape(shape)
        native = words.astype(words.dtype.newbyteorder("="))
        summed = np.cumsum(native, axis=1, dtype=native.dtype)
        return summed.view(layout.kind.newbyteorder("="))
    size = layout.kind.itemsize
    steps = np.frombuffer(data, np.uint8).reshape(rows, columns * size, channels)
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, size, columns * channels)
    # The most significant bytes come first, whatever the order of the file.
    together = np.ascontiguousarray(planes.transpose(0, 2, 1))
    return together.view(f">f{size}").reshape(shape)


# -- unpacking -------------------------------------------------------------------------------------


def _reader(file: IO[bytes], layout: _Layout, place: int, unpacked_bytes: int) -> Callable[[int], bytes]:
    """A function that gives the next bytes of a strip or tile, unpacked; `ValueError` where there are fewer."""
    offset, length = layout.offsets[place], layout.lengths[place]
    if layout.compression == _RAW:
        position = offset

        def raw(count: int) -> bytes:
            nonlocal position
            data = _at(file, position, min(count, offset + length - position))
            position += count
            return _full(data, count)

        return raw
    packed = _at(file, offset, length)
    if layout.compression in _DEFLATE:
        inflater = zlib.decompressobj()

        def inflated(count: int) -> bytes:
            nonlocal packed
            data = inflater.decompress(packed, count)
            packed = inflater.unconsumed_tail
            return _full(data, count)

        return inflated
    if unpacked_bytes > _MOST_UNPACKED_BYTES:
        raise KindNotRead(f"compression {layout.compression} in strips of {unpacked_bytes:,} bytes")
    return io.BytesIO(_unpacked_by_libtiff(packed, layout.compression, unpacked_bytes)).read


def _at(file: IO[bytes], offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(max(0, count))


def _full(data: bytes, count: int) -> bytes:
    if len(data) != count:
        raise ValueError("a strip or tile holds fewer samples than it should")
    return data


def _unpacked_by_libtiff(packed: bytes, compression: int, count: int) -> bytes:
    """Bytes that were packed by LZW or PackBits: unpacked as if they were a grey picture of one row."""
    told = [(256, count), (257, 1), (258, 8), (259, compression), (262, 1), (273, 122), (277, 1), (278, 1)]
    told.append((279, len(packed)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in told)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(told)) + entries + bytes(4)
    with TiffImagePlugin.TiffImageFile(io.BytesIO(head + packed)) as row:
        return row.tobytes()

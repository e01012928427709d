"""The samples of a TIFF, of the kinds that `tiff` does not leave to Pillow, as 8 bits a channel."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from PIL import TiffImagePlugin

from ingestor.images.kinds import KindNotRead
from ingestor.images.kinds.deflate import Ends, Inflating
from ingestor.images.pixels import colour
from ingestor.images.pixels.curves import Curves

RGB, CMYK, LAB = 2, 5, 8
"""Of PhotometricInterpretation, where 0 and 1 are grey."""
COLOURS = {0: 1, 1: 1, RGB: 3, CMYK: 4, LAB: 3}
"""Channels of each."""
RAW = 1
_LZW, _PACKBITS, DEFLATE = 5, 32773, (8, 32946)
"""Of Compression."""
UNSIGNED, SIGNED, _FLOAT = 1, 2, 3
"""Of SampleFormat."""
_KINDS = {
    UNSIGNED: ("whole numbers", "u", {8, 16}, (1, 2)),
    SIGNED: ("signed numbers", "i", {8}, (1, 2)),
    _FLOAT: ("floats", "f", {16, 32, 64}, (1, 2, 3)),
}
"""What they are called, NumPy's letter, bits, and predictors."""
_ASSOCIATED, _UNASSOCIATED = 1, 2
"""ExtraSamples: alpha that colours were multiplied with, and alpha beside them."""

_BAND_SAMPLES = 2_000_000
"""Samples are converted in bands of this size, so that the whole picture never exists as floats."""
_MOST_UNPACKED_BYTES = 64_000_000
"""Of a strip or tile that libtiff unpacks, which gives all of it at once."""
_MOST_CHANNELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the samples of a picture lie. Without tiles, `tile_width` is its width, `tile_height` that of a strip."""

    width: int
    height: int
    kind: np.dtype[Any]
    """Of a sample, in the file's order."""
    channels: int
    colours: int
    alpha: int
    """0 for none."""
    alpha_at: int
    """Which of the channels it is; 0 for none."""
    photometric: int
    planes: bool
    compression: int
    predictor: int
    tiled: bool
    tile_width: int
    tile_height: int
    unmeasured: float | None
    """The number that stands for no measurement."""
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def mode(self) -> str:
        """Pillow's, which has none of inks and alpha: those come as what they are shown as."""
        if self.has_inks_and_alpha:
            return "RGBA"
        name = {RGB: "RGB", CMYK: "CMYK", LAB: "LAB"}.get(self.photometric, "L")
        return name + ("A" if self.alpha else "")

    @property
    def white(self) -> float:
        return 1.0 if self.kind.kind == "f" else float(np.iinfo(self.kind).max)

    @property
    def has_inks_and_alpha(self) -> bool:
        return self.photometric == CMYK and bool(self.alpha)

    @property
    def kept(self) -> tuple[int, ...]:
        """Channels that are."""
        return (*range(self.colours), *((self.alpha_at,) if self.alpha else ()))

    @property
    def across(self) -> int:
        """Tiles in a row of them; of strips, one."""
        return math.ceil(self.width / self.tile_width)

    @property
    def down(self) -> int:
        return math.ceil(self.height / self.tile_height)


def number(told: Any) -> int:
    return told if isinstance(told, int) else 0


def is_float(tags: Any) -> bool:
    return sample_format(tags) == _FLOAT


def sample_format(tags: Any) -> int:
    """Of all channels; 0 where they differ."""
    told = set(several(tags.get(339, UNSIGNED)))
    return number(told.pop()) if len(told) == 1 else 0


def several(told: Any) -> tuple[Any, ...]:
    return told if isinstance(told, tuple) else (told,)


def layout_of(tags: Any) -> Layout:
    def one(tag: int, usual: int) -> int:
        told = several(tags.get(tag, usual))[0]
        if not isinstance(told, int):
            raise ValueError(f"tag {tag} is no number")
        return told

    width, height, channels, photometric = one(256, 0), one(257, 0), one(277, 1), one(262, 1)
    bits, extra = set(several(tags.get(258, 1))), several(tags.get(338, ()))
    colours = COLOURS.get(photometric)
    what, letter, depths, predictors = _KINDS.get(sample_format(tags), _KINDS[UNSIGNED])
    if colours is None or (is_float(tags) and photometric in (CMYK, LAB)):
        raise KindNotRead(f"{what} of photometric interpretation {photometric}")
    if len(bits) != 1 or not bits <= depths:
        raise KindNotRead(f"{what} of {', '.join(map(str, sorted(bits)))} bits")
    if not colours <= channels <= _MOST_CHANNELS:
        raise KindNotRead(f"{what} in {channels} channels")
    told = [place for place, kind in enumerate(extra[: channels - colours]) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    alpha, alpha_at = (extra[told[0]], colours + told[0]) if told else (0, 0)
    if colours == 1 and channels > 2 and not alpha and not is_float(tags):
        # They may be colours after all, and are not guessed at.
        raise KindNotRead(f"grey pictures in {channels} planes")
    if alpha and photometric == LAB:
        raise KindNotRead(f"{what} of Lab with alpha")
    compression, predictor, planes = one(259, 1), one(317, 1), one(284, 1) == 2 and channels > 1
    if compression not in (RAW, _LZW, _PACKBITS, *DEFLATE):
        raise KindNotRead(f"{what} with compression {compression}")
    if predictor not in predictors or one(266, 1) != 1:
        raise KindNotRead(f"{what} with predictor {predictor} and fill order {one(266, 1)}")
    tiled = 324 in tags
    tile_width = one(322, 0) if tiled else width
    tile_height = one(323, 0) if tiled else min(height, one(278, height))
    if tile_width < 1 or tile_height < 1:
        raise ValueError("its strips or tiles have no size")
    if tiled and (min(tile_width, tile_height) < 16 or tile_width * tile_height > width * height + 4_000_000):
        raise KindNotRead(f"{what} in tiles of {tile_width}x{tile_height}")
    return Layout(
        width=width,
        height=height,
        kind=np.dtype(f"{'<' if tags.prefix == b'II' else '>'}{letter}{bits.pop() // 8}"),
        channels=channels,
        colours=colours,
        alpha=alpha,
        alpha_at=alpha_at,
        photometric=photometric,
        planes=planes,
        compression=compression,
        predictor=predictor if compression in (_LZW, *DEFLATE) else 1,
        tiled=tiled,
        tile_width=tile_width,
        tile_height=tile_height,
        unmeasured=None if letter == "u" else colour.no_data(tags),
        offsets=several(tags.get(324 if tiled else 273, ())),
        lengths=several(tags.get(325 if tiled else 279, ())),
    )


# -- to eight bits ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows of a strip or tile: where they belong, from which channel on, and their samples."""

    top: int
    left: int
    channel: int
    values: np.ndarray


def are_read(tags: Any) -> bool:
    """Whether `pixels` reads them, as far as tags tell."""
    try:
        layout = layout_of(tags)
    except (KindNotRead, ValueError):
        return False
    unpacked_bytes = layout.tile_height * layout.tile_width * layout.channels * layout.kind.itemsize
    return layout.compression not in (_LZW, _PACKBITS) or unpacked_bytes <= _MOST_UNPACKED_BYTES


def pixels(file: IO[bytes], layout: Layout, curves: Curves | None, ends: Ends | None) -> tuple[np.ndarray, list[str]]:
    """Two passes: the range of all colours together, then the values. That of numbers without a sign is known.

    `ends` are checked, if any.
    """
    needed = layout.across * layout.down * (layout.channels if layout.planes else 1)
    if min(len(layout.offsets), len(layout.lengths)) < needed:
        raise ValueError("it names too few strips or tiles")
    low, high, white = 0.0, layout.white, layout.white
    for block in _blocks(file, layout, None) if layout.kind.kind != "u" else ():
        if (values := block.values[..., : max(0, layout.colours - block.channel)]).size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not math.isfinite(255.0 / (high - low)) or not math.isfinite(high - low):
        raise KindNotRead("floats of such a range")
    pixels = np.zeros((layout.height, layout.width, len(layout.kept)), np.uint8)
    for block in _blocks(file, layout, ends):
        rows, columns, channels = block.values.shape
        target = pixels[block.top :, block.left :, block.channel :][:rows, :columns, :channels]
        colours = max(0, layout.colours - block.channel)
        shown = (block.values[..., :colours] - low) * (255.0 / (high - low))
        shown = 255.0 - shown if layout.photometric == 0 else shown
        if curves is not None:
            for place in range(shown.shape[-1]):
                shown[..., place] = curves.shown((shown[..., place] / 255.0).clip(0, 1), block.channel + place) * 255.0
        if layout.photometric == LAB and layout.kind.itemsize == 2:
            first = max(0, 1 - block.channel)
            shown[..., first:] = _with_sign(block.values[..., first:colours])
        target[..., :colours] = shown + 0.5
        target[..., colours:] = block.values[..., colours:].clip(0.0, white) * (255.0 / white) + 0.5
    odd = colour.told_range(low, high) if layout.kind.kind == "f" else []
    return (pixels[..., 0] if len(layout.kept) == 1 else pixels), odd


def _divide(colours: np.ndarray, alpha: np.ndarray, layout: Layout) -> None:
    """Make colours those from before they were multiplied with alpha, in place."""
    np.divide(colours, alpha / layout.white, out=colours, where=alpha > 0)
    np.nan_to_num(colours, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    if layout.kind.kind == "u":
        np.clip(colours, 0.0, layout.white, out=colours)  # more than all of it is there by rounding, or by mistake


def _with_sign(values: np.ndarray) -> np.ndarray:
    """The a and b of Lab: 16 bits with a sign, of which the upper ones are whole numbers, as bytes with a sign."""
    numbers = np.where(values < 32768.0, values, values - 65536.0) / 256.0
    signed: np.ndarray = np.floor(numbers + 0.5).clip(-128, 127) % 256
    return signed


def _blocks(file: IO[bytes], layout: Layout, ends: Ends | None) -> Iterator[_Block]:
    together, each = 1 if layout.planes else layout.channels, layout.across * layout.down
    kept = layout.kept
    seen = slice(len(kept)) if kept[-1] == len(kept) - 1 else list(kept)
    for part in range(each * (len(kept) if layout.planes else 1)):
        channel, (row, column) = part // each, divmod(part % each, layout.across)
        place = kept[channel] * each + part % each
        top, left = row * layout.tile_height, column * layout.tile_width
        shape = (min(layout.tile_height, layout.height - top), layout.tile_width, together)
        read = reader(file, layout, place, shape, ends)
        is_multiplied = layout.alpha == _ASSOCIATED and channel < layout.colours
        if is_multiplied and layout.planes:
            # A plane has its alpha in another one, which is read beside it.
            read_alpha = reader(file, layout, layout.alpha_at * each + part % each, shape, None)
        step = max(1, _BAND_SAMPLES // (shape[1] * shape[2]))
        for first in range(0, shape[0], step):
            values = read(min(step, shape[0] - first))[:, : layout.width - left]
            values = colour.finite(values if layout.planes else values[..., seen])
            if layout.unmeasured is not None:
                colours = values[..., : max(0, layout.colours - channel)]
                colours[...] = colour.finite(colours, layout.unmeasured)
            if is_multiplied:
                alpha = colour.finite(read_alpha(len(values))[:, : layout.width - left]) if layout.planes else values
                _divide(values[..., : layout.colours], alpha[..., -1:], layout)
            yield _Block(top + first, left, channel, values)


def _unpredicted(data: bytes, shape: tuple[int, ...], layout: Layout) -> np.ndarray:
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


def reader(
    file: IO[bytes], layout: Layout, place: int, shape: tuple[int, int, int], ends: Ends | None
) -> Callable[[int], np.ndarray]:
    """A function that gives the next rows of a strip or tile, of which `shape` will be read.

    It raises `ValueError` and `zlib.error` for damage; behind the last row also for what `ends` find.
    """
    packed, row_bytes = _unpacked(file, layout, place, shape), math.prod(shape[1:]) * layout.kind.itemsize
    left = shape[0]

    def rows(count: int) -> np.ndarray:
        nonlocal left
        data = packed.read(count * row_bytes)
        if len(data) != count * row_bytes:
            raise ValueError("a strip or tile holds fewer samples than it should")
        left -= count
        if not left and ends is not None and isinstance(packed, Inflating):
            ends.check(packed)
        return _unpredicted(data, (count, *shape[1:]), layout)

    return rows


def _unpacked(file: IO[bytes], layout: Layout, place: int, shape: tuple[int, int, int]) -> _Readable:
    offset, length = layout.offsets[place], layout.lengths[place]
    # The last strip holds only the rows that there are; a tile is always whole.
    rows = layout.tile_height if layout.tiled else shape[0]
    unpacked_bytes = rows * math.prod(shape[1:]) * layout.kind.itemsize
    if layout.compression == RAW:
        return _Extent(file, offset, length)
    file.seek(offset)
    packed = file.read(max(0, length))
    if layout.compression in DEFLATE:
        return Inflating(packed)
    if unpacked_bytes > _MOST_UNPACKED_BYTES:
        raise KindNotRead(f"compression {layout.compression} in strips of {unpacked_bytes:,} bytes")
    return io.BytesIO(_unpacked_by_libtiff(packed, layout.compression, unpacked_bytes))


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


class _Extent:
    """A part of a file, from its start."""

    def __init__(self, file: IO[bytes], offset: int, length: int) -> None:
        self._file, self._at, self._end = file, offset, offset + length

    def read(self, count: int, /) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(max(0, min(count, self._end - self._at)))
        self._at += count
        return data


def _unpacked_by_libtiff(packed: bytes, compression: int, count: int) -> bytes:
    """Bytes that were packed by LZW or PackBits: unpacked as if they were a grey picture of one row."""
    told = [(256, count), (257, 1), (258, 8), (259, compression), (262, 1), (273, 122), (277, 1), (278, 1)]
    told.append((279, len(packed)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in told)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(told)) + entries + bytes(4)
    with TiffImagePlugin.TiffImageFile(io.BytesIO(head + packed)) as row:
        return row.tobytes()

"""JPEG 2000: channels as the file defines them, and colour of more than 8 bits, where Pillow makes white black."""

from __future__ import annotations

import math
import struct

import numpy as np
from PIL import Image

from ingestor.images.kinds import KindNotRead, jp2_boxes
from ingestor.images.kinds.jp2_boxes import Told
from ingestor.images.source import Source

_SIZE_MARKER = b"\xff\x4f\xff\x51"
"""Begin of a codestream, and of the segment that tells its size (ITU-T T.800, A.5.1)."""
_COMPONENTS_AT = 40
_CODING_MARKER, _TILE_MARKER = 0xFF52, 0xFF90
"""How all of it is coded (A.6.1), and the end of what is told of all of it."""
_TRANSFORMATION_AT = 13
"""In the segment of how it is coded, from its marker on; 1: without loss."""
_MANY_TILES, _LEAST_PIXELS_EACH = 1024, 1024
"""A decoder keeps 12 kB for each tile, whatever is in it; programs write tiles of 128x128 and more."""
_SIGNED = 0x80
_MODES = {2: "LA", 3: "RGB", 4: "RGBA"}
_BAND_SAMPLES = 2_000_000
_FULL = (1, 1)
"""As many samples as pixels, across and down."""
_OF_YCC, _OF_DEEP_YCC = frozenset({(2, 1), (2, 2), (1, 2), (4, 1)}), frozenset({(2, 1), (2, 2)})
"""Pixels for each sample of colour, where light has all of them, that decoders make sRGB."""


def decode(source: Source, picture: Image.Image) -> Image.Image:
    """The pixels, of 8 bits a channel where they are in colour. `picture` is Pillow's, not decoded yet.

    Raises `KindNotRead` for channels that differ from each other in more than the samples of YCC, or have a sign,
    `RuntimeError` for damage, `Image.DecompressionBombError` for more tiles than a picture has use for.
    """
    check_tiles(source.whole())
    told = jp2_boxes.read(source)
    channels = told.channels
    shown = _deep(source, picture, told)
    if shown is None:
        _check_samples(source.whole())
        picture.load()
        shown = picture
    if channels is None or shown.mode == "I;16" or (channels.are_in_order and channels.mode == shown.mode):
        return shown
    stored = shown.split()
    parts = [stored[channel] for channel in channels.order]
    return Image.merge(channels.mode, parts) if len(parts) > 1 else parts[0]


def is_reversible(data: bytes) -> bool:
    """Whether it is coded by the transformation that loses nothing."""
    at = data.find(_SIZE_MARKER) + 2
    while at >= 2 and at + _TRANSFORMATION_AT < len(data):
        marker, length = struct.unpack_from(">2H", data, at)
        if marker == _CODING_MARKER:
            return data[at + _TRANSFORMATION_AT] == 1
        if marker == _TILE_MARKER:
            break
        at += 2 + length
    return False


def _deep(source: Source, picture: Image.Image, told: Told) -> Image.Image | None:
    """What Pillow reads wrongly, channels as they are stored; None for all else."""
    data, channels = source.whole(), told.channels
    kinds = _components(data)
    depths = [(kind & ~_SIGNED) + 1 for kind in kinds]
    if picture.mode not in ("CMYK", *_MODES.values()) or max(depths, default=8) <= 8:
        return None
    if len(set(kinds)) != 1 or kinds[0] & _SIGNED or len(kinds) not in _MODES:
        raise KindNotRead("channels of different depths, or with a sign,")
    _check_deep_samples(data, told)
    from openjpeg.utils import decode  # late: few workers ever need it

    if channels is not None and not channels.are_in_order:
        data = data[data.find(_SIZE_MARKER) :]  # this decoder too would put them in order
    samples = decode(data)
    height, width, count = samples.shape
    white = (1 << depths[0]) - 1
    pixels = np.empty(samples.shape, np.uint8)
    rows = max(1, _BAND_SAMPLES // (width * count))
    for top in range(0, height, rows):
        band = samples[top : top + rows].astype(np.uint32)
        pixels[top : top + rows] = (band * 255 + white // 2) // white
    return Image.fromarray(pixels, _MODES[count])


def check_tiles(data: bytes) -> None:
    """Raises `Image.DecompressionBombError` for more tiles than a picture has use for."""
    begin = data.find(_SIZE_MARKER)
    if begin < 0 or begin + _COMPONENTS_AT > len(data):
        return
    width, height, left, top, tile_width, tile_height, tiles_left, tiles_top = struct.unpack_from(
        ">8I", data, begin + 8
    )
    if not tile_width or not tile_height:
        return  # the decoder says so
    count = math.ceil((width - tiles_left) / tile_width) * math.ceil((height - tiles_top) / tile_height)
    if count > _MANY_TILES and (width - left) * (height - top) < count * _LEAST_PIXELS_EACH:
        raise Image.DecompressionBombError(f"it is cut into {count:,} tiles; no camera or program writes so small ones")


def _check_samples(data: bytes) -> None:
    """Pillow calls channels with fewer samples damaged, or takes red, green and blue for YCC, but for these."""
    across_and_down = _samples(data)
    if set(across_and_down) <= {_FULL}:
        return
    light, *colours = across_and_down
    if light != _FULL or len(colours) != 2 or len(set(colours)) != 1 or colours[0] not in _OF_YCC:
        raise KindNotRead("channels of fewer samples than pixels")


def _check_deep_samples(data: bytes, told: Told) -> None:
    """OpenJPEG takes three channels for YCC where they differ in samples, and then may leave them as they are."""
    across_and_down = _samples(data)
    if len(across_and_down) != 3 or len(set(across_and_down)) == 1:
        return
    light, *colours = across_and_down
    is_ycc = told.channels is None or told.space == jp2_boxes.YCC
    if not is_ycc or light != _FULL or len(set(colours)) != 1 or colours[0] not in _OF_DEEP_YCC:
        raise KindNotRead("channels of fewer samples than others")


def _components(data: bytes) -> bytes:
    """Of each component its bits, less one, with a bit for the sign; empty where the header tells of none."""
    return _sizes(data)[::3]


def _samples(data: bytes) -> list[tuple[int, int]]:
    """Of each component the pixels that one sample stands for, across and down."""
    sizes = _sizes(data)
    return list(zip(sizes[1::3], sizes[2::3], strict=False))


def _sizes(data: bytes) -> bytes:
    """Three bytes for each component (A.5.1); empty where the header tells of none."""
    begin = data.find(_SIZE_MARKER)
    if begin < 0 or begin + _COMPONENTS_AT + 2 > len(data):
        return b""
    (count,) = struct.unpack_from(">H", data, begin + _COMPONENTS_AT)
    return data[begin + _COMPONENTS_AT + 2 :][: 3 * count]

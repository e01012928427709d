"""Windows bitmaps as far as Pillow refuses them: pixels by any masks, runs that leave pixels out, no file header."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import BmpImagePlugin, Image, ImageFile

from ingestor.images.kinds import KindNotRead, dib
from ingestor.images.kinds.dib import Dib

_RUNS = "bmp_runs"
"""Name of the codec."""
_END_OF_ROW, _END_OF_BITMAP, _DELTA = 0, 1, 2
"""Behind a zero in place of a count."""
_NO_END = "image file is truncated: the end of its runs is missing"
_RAW_MODES = {"1": "1;8", "L": "L", "P": "P"}
_BAND_PIXELS = 1_000_000


class BmpFile(BmpImagePlugin.BmpImageFile):
    """Pillow's bitmap, with pixels and runs unpacked here where it does not unpack them, or only in part."""

    _masked: Dib | None
    """Told by masks that Pillow does not read."""
    _pixels_at: int

    def _open(self) -> None:
        assert self.fp is not None
        head = self.fp.read(dib.HEAD_BYTES)
        start, told = dib.start_of(head), dib.of(head)
        stated = int.from_bytes(head[10:14], "little") if start else 0
        self._pixels_at = stated or (start + told.pixels_at if told else 0)
        self._masked = told if told and told.bits in (16, 32) and any(told.masks) else None
        self.fp.seek(start)
        try:
            self._bitmap(offset=self._pixels_at)
        except OSError:
            if self._masked is None:
                raise
        else:
            # Of 16 bits Pillow reads colours alone.
            if self._masked is not None and (self._masked.bits != 16 or not self._masked.masks[3]):
                self._masked = None
        if self._masked is not None:
            _check(self._masked)
            self._size, self._mode = (self._masked.width, self._masked.height), "RGB"
            self.tile = []
        self.tile = [tile._replace(codec_name=_RUNS) if tile.codec_name == "bmp_rle" else tile for tile in self.tile]

    def load(self) -> Any:
        if self._masked is not None and self._im is None:
            pixels = self._unmasked(self._masked)
            self._mode = "RGBA" if pixels.shape[2] == 4 else "RGB"
            self.im = Image.fromarray(pixels, self._mode).im
        return super().load()

    def _unmasked(self, told: Dib) -> np.ndarray:
        """Alpha that is nothing but zeros means nothing: some programs leave it so."""
        assert self.fp is not None
        masks = told.masks if told.masks[3] else told.masks[:3]
        pixels = np.empty((told.height, told.width, len(masks)), np.uint8)
        in_order = pixels if told.top_first else pixels[::-1]
        step = max(1, _BAND_PIXELS // told.width)
        self.fp.seek(self._pixels_at)
        for first in range(0, told.height, step):
            rows = min(step, told.height - first)
            data = self.fp.read(rows * told.row_bytes)
            if len(data) != rows * told.row_bytes:
                raise ValueError("image file is truncated")
            stored = np.frombuffer(data, f"<u{told.bits // 8}").reshape(rows, -1)[:, : told.width]
            for channel, mask in enumerate(masks):
                lowest = mask & -mask or 1
                values = (stored & mask) // lowest
                in_order[first : first + rows, :, channel] = values * (255.0 / max(1, mask // lowest)) + 0.5
        return pixels if len(masks) == 3 or pixels[..., 3].any() else pixels[..., :3]


def _check(told: Dib) -> None:
    """Raises `KindNotRead` for masks that do not tell a number each."""
    taken = 0
    for mask in told.masks:
        lowest = mask & -mask or 1
        number = mask // lowest
        if number & (number + 1) or mask & taken or mask >> told.bits:
            raise KindNotRead("bitmaps of masks that overlap or have gaps")
        taken |= mask


class _RunDecoder(ImageFile.PyDecoder):
    """Runs of pixels of 8 or 4 bits. What they leave out is of the first colour, and what goes beyond a row is cut."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        assert self.fd is not None
        width, height = self.state.xsize, self.state.ysize
        _, is_of_4_bits, direction = self.args
        pixels = _unpacked(self.fd.read(), width, height, is_of_4_bits=bool(is_of_4_bits))
        self.set_as_raw(bytes(pixels), _RAW_MODES[self.mode], (0, direction))
        return -1, 0


def _unpacked(data: bytes, width: int, height: int, *, is_of_4_bits: bool) -> bytearray:
    """Indices of colours, row by row as they are stored. Raises `ValueError` where the end of the bitmap is missing."""
    pixels = bytearray(width * height)
    at = x = y = 0
    while y < height:
        if at + 2 > len(data):
            if y == height - 1 and x >= width:
                break
            raise ValueError(_NO_END)
        count, value = data[at], data[at + 1]
        at += 2
        if not count and value == _END_OF_BITMAP:
            break
        if not count and value == _END_OF_ROW:
            x, y = 0, y + 1
            continue
        if not count and value == _DELTA:
            right, up = data[at : at + 2].ljust(2, b"\0")
            x, y, at = x + right, y + up, at + 2
            continue
        if count:
            run = bytes((value,)) * count
        else:
            count = value
            stored = (count + 1) // 2 if is_of_4_bits else count
            run = data[at : at + stored]
            at += stored + stored % 2
            if len(run) < stored:
                raise ValueError(_NO_END)
        if is_of_4_bits:
            run = bytes(index for both in run for index in (both >> 4, both & 15))[:count]
        run = run[: max(0, width - x)]
        pixels[y * width + x : y * width + x + len(run)] = run
        x += count
    return pixels


Image.register_decoder(_RUNS, _RunDecoder)

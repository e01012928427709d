"""Windows icons and cursors: the largest picture, with the mask that goes with it.

Of several pictures of one size Pillow takes the one of the fewest colours; of cursors it reads neither PNG nor masks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO

from PIL import BmpImagePlugin, IcoImagePlugin, Image

from ingestor.images.kinds import png
from ingestor.images.kinds.chunks import PNG_SIGNATURE
from ingestor.policy.sizing import Size

_ENTRY = struct.Struct("<4B2H2I")
_HEAD_BYTES = 26
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, 11.2.1)."""
_OLD_HEADER_BYTES, _HEADER_BYTES = 12, range(40, 125)
"""Of a bitmap: that of OS/2, which is shorter, and those of Windows."""


class IconFile(IcoImagePlugin.IcoImageFile):
    """Pillow's icon, of one picture; a cursor is one with a hot spot where an icon has its depth.

    It is decoded the moment it is opened: `check` is called with its size before.
    """

    def __init__(self, file: IO[bytes], name: str, *, check: Callable[[Size], None]) -> None:
        self._check = check
        super().__init__(file, name)

    def _open(self) -> None:
        assert self.fp is not None
        self.ico = _Largest(self.fp, self._check)
        self.info["sizes"] = self.ico.sizes()
        self.size = self.ico.entry[0].dim
        self.load()


class _Largest(IcoImagePlugin.IcoFile):
    """A directory with the largest picture alone; of several of that size, the one of the most colours."""

    def __init__(self, file: IO[bytes], check: Callable[[Size], None]) -> None:
        self.buf = file
        self._check = check
        _, kind, count = struct.unpack("<3H", file.read(6))
        directory = file.read(_ENTRY.size * count)
        entries = [
            _entry(file, directory[at : at + _ENTRY.size], is_cursor=kind == 2)
            for at in range(0, len(directory), _ENTRY.size)
        ]
        self.entry = [max(entries, key=lambda entry: (entry.square, entry.bpp))]
        self.nb_items = 1

    def frame(self, idx: int) -> Image.Image:
        entry = self.entry[idx]
        if not _is_bitmap(self.buf, entry.offset):
            self.buf.seek(entry.offset)
            png.check_chunks(self.buf.read())
            picture = super().frame(idx)
            self._check(Size(*picture.size))
            return picture
        self.entry[idx] = self._with_length(entry)
        picture = super().frame(idx)
        # Pictures of four bytes a pixel from before there was alpha have zeros there: then the mask counts.
        if entry.bpp == 32 and picture.mode == "RGBA":
            mask = _mask(self.buf, entry.offset, picture.size)
            if mask is not None and not picture.getchannel("A").getbbox():
                picture.putalpha(mask)
        return picture

    def _with_length(self, entry: IcoImagePlugin.IconHeader) -> IcoImagePlugin.IconHeader:
        """The same bitmap with the length that it has: its mask is looked for from its end, and directories lie."""
        self.buf.seek(entry.offset)
        bitmap = BmpImagePlugin.DibImageFile(self.buf)
        width, height = bitmap.width, bitmap.height // 2
        self._check(Size(width, height))
        coder, _, pixels_at, told = bitmap.tile[0]
        if coder != "raw" or not isinstance(told, tuple):
            return entry
        return entry._replace(size=pixels_at - entry.offset + (told[1] + _mask_row_bytes(width)) * height)


def _entry(file: IO[bytes], told: bytes, *, is_cursor: bool) -> IcoImagePlugin.IconHeader:
    """A picture as its own header describes it, and where that cannot be read, as the directory does."""
    width, height, colours, reserved, planes, depth, length, offset = _ENTRY.unpack(told)
    size, bits = (width or 256, height or 256), 0 if is_cursor else depth
    file.seek(offset)
    if len(head := file.read(_HEAD_BYTES)) == _HEAD_BYTES:
        size, bits = _described(head) or (size, bits)
    return IcoImagePlugin.IconHeader(
        width=size[0],
        height=size[1],
        nb_color=colours,
        reserved=reserved,
        planes=planes,
        bpp=bits,
        size=length,
        offset=offset,
        dim=size,
        square=size[0] * size[1],
        color_depth=bits,
    )


def _described(head: bytes) -> tuple[tuple[int, int], int] | None:
    """Size and bits a pixel, by what a PNG or a bitmap begins with; None where it is neither."""
    if head.startswith(PNG_SIGNATURE):
        width, height, depth, colour = struct.unpack_from(">2I2B", head, 16)
        return (width, height), depth * _PNG_CHANNELS.get(colour, 0)
    (header_bytes,) = struct.unpack_from("<I", head)
    if header_bytes == _OLD_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<4H", head, 4)
    elif header_bytes in _HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<2i2H", head, 4)
    else:
        return None
    # The mask is counted as if it stood above the picture.
    return (abs(width), abs(height) // 2), bits


def _is_bitmap(file: IO[bytes], offset: int) -> bool:
    file.seek(offset)
    return not file.read(len(PNG_SIGNATURE)).startswith(PNG_SIGNATURE)


def _mask_row_bytes(width: int) -> int:
    return (width + 31) // 32 * 4


def _mask(file: IO[bytes], offset: int, size: tuple[int, int]) -> Image.Image | None:
    """What is shown of a bitmap of 32 bits, by its mask; None where there is none."""
    width, height = size
    row_bytes = _mask_row_bytes(width)
    file.seek(offset)
    (header_bytes,) = struct.unpack("<I", file.read(4))
    file.seek(offset + header_bytes + width * height * 4)
    data = file.read(row_bytes * height)
    if len(data) < row_bytes * height:
        return None
    return Image.frombuffer("1", size, data, "raw", "1;I", row_bytes, -1).convert("L")

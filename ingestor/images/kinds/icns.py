"""Mac icons: what stands inside one is a file of its own, which may be of any size, whatever the icon tells."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import IO

from PIL import IcnsImagePlugin, Image, Jpeg2KImagePlugin, PngImagePlugin

from ingestor.images.kinds import jpeg2000, png
from ingestor.images.kinds.chunks import PNG_SIGNATURE
from ingestor.policy.sizing import Size

_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\r\n\x87\n", b"\0\0\0\x0cjP  \r\n\x87\n")
"""As Pillow knows them."""


class IcnsFile(IcnsImagePlugin.IcnsImageFile):
    """Pillow's icon; `check` is called with the sizes of the files inside that it would decode."""

    def __init__(self, file: IO[bytes], name: str, *, check: Callable[[Size], None]) -> None:
        self._check = check
        super().__init__(file, name)

    def _open(self) -> None:
        super()._open()
        for start, length in self._best():
            if (picture := _opened(self.icns.fobj, start, length)) is not None:
                self._check(Size(*picture.size))

    def _best(self) -> Iterator[tuple[int, int]]:
        """Where those of the largest size lie; Pillow opens all of them."""
        for kind, _ in self.icns.SIZES[self.best_size]:
            if kind in self.icns.dct:
                yield self.icns.dct[kind]


def _opened(file: IO[bytes], start: int, length: int) -> Image.Image | None:
    """Not decoded; None for what is neither PNG nor JPEG 2000, and is no larger than it tells."""
    file.seek(start)
    data = file.read(length)
    if data.startswith(PNG_SIGNATURE):
        png.check_chunks(data)
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    if data.startswith(_JPEG_2000):
        jpeg2000.check_tiles(data)
        return Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    return None

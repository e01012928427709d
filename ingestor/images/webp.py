"""WebP decoded with as few copies as Pillow's binding allows.

Pillow's own image holds the animation's two canvases, a copy of the frame as bytes and one as pixels: 16 bytes a pixel.
Without the last it is 12, which counts for large pictures.
"""

from __future__ import annotations

import webp
from PIL import Image, _webp


def decode(data: bytes) -> Image.Image:
    """The first frame, as RGBX or RGBA. Raises `OSError` for what is no WebP or damaged."""
    decoder = _webp.WebPAnimDecoder(data)
    size, *_, mode = decoder.get_info()
    frame = decoder.get_next()
    del decoder
    if frame is None:
        raise OSError("the picture cannot be decoded")
    return Image.frombuffer(mode, size, frame[0], "raw", mode, 0, 1)


def read_back(data: bytes, mode: str) -> Image.Image:
    """A picture of our own making, RGBX or RGBA, by the plain decoder: with a quarter of the memory, in two thirds of
    the time. Raises `OSError` for what cannot be decoded.

    What others have made is Pillow's to decode: it is kept up with whatever is found in libwebp.
    """
    try:
        pixels = webp.WebPData.from_buffer(data).decode(webp.WebPColorMode.RGBA)
    except webp.WebPError as error:
        raise OSError(str(error)) from error
    return Image.frombuffer(mode, (pixels.shape[1], pixels.shape[0]), pixels, "raw", mode, 0, 1)

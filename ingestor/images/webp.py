"""WebP decoded with as few copies as Pillow's binding allows.

Pillow's own image holds the animation's two canvases, a copy of the frame as bytes and one as pixels: 16 bytes a pixel.
Without the last it is 12, which counts for large pictures.
"""

from __future__ import annotations

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

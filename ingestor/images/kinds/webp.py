"""WebP decoded with as few copies as Pillow's binding allows.

Pillow's own image holds the animation's two canvases, a copy of the frame as bytes and one as pixels: 16 bytes a pixel.
Without the last it is 12, which counts for large pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webp
from PIL import Image, _webp
from webp._webp import ffi, lib  # the package gives out no planes, its binding does; pyproject.toml holds it to 0.4

_LOSSY = 1
"""Of a `WebPBitstreamFeatures`."""


def decode(data: bytes) -> Image.Image:
    """The first frame, as RGBX or RGBA. Raises `OSError` for what is no WebP or damaged."""
    decoder = _webp.WebPAnimDecoder(data)
    size, *_, mode = decoder.get_info()
    frame = decoder.get_next()
    del decoder
    if frame is None:
        raise OSError("the picture cannot be decoded")
    return Image.frombuffer(mode, size, frame[0], "raw", mode, 0, 1)


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture as lossy WebP stores it: luma, and two planes of colour of half the size, all of mode L.

    BT.601, of limited range (RFC 6386, 9.2).
    """

    luma: Image.Image
    blue: Image.Image
    red: Image.Image

    @staticmethod
    def to_rgb(luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
        """Samples of one size as RGB, in a last axis more."""
        luma, blue, red = (luma - 16) * (255 / 219), (blue - 128) * (255 / 224), (red - 128) * (255 / 224)
        rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
        return np.clip(np.stack(rgb, axis=-1), 0, 255)


def read_back(data: bytes, *, from_afar: bool) -> Image.Image | Planes:
    """A picture of our own making by the plain decoder: in a quarter of the memory, or less.

    `from_afar`: it may come as planes. To make pixels of them takes a third of the time, and changes averages only
    where many are beyond black or white. Raises `OSError` for what cannot be decoded. What others have made is
    Pillow's to decode: it is kept up with what is found in libwebp.
    """
    try:
        source, config = webp.WebPData.from_buffer(data), webp.WebPDecoderConfig.new()
        config.read_features(source)
        if not from_afar or config.input.has_alpha or config.input.format != _LOSSY:
            pixels = source.decode(webp.WebPColorMode.RGBA)
            return Image.frombuffer("RGBA", (pixels.shape[1], pixels.shape[0]), pixels, "raw", "RGBA", 0, 1)
        return _planes(source, config)
    except webp.WebPError as error:
        raise OSError(str(error)) from error


def _planes(source: webp.WebPData, config: webp.WebPDecoderConfig) -> Planes:
    width, height = config.input.width, config.input.height
    halves = ((height + 1) // 2, (width + 1) // 2)
    planes = {
        "y": np.empty((height, width), np.uint8),
        "u": np.empty(halves, np.uint8),
        "v": np.empty(halves, np.uint8),
    }
    output = config.output
    output.colorspace, output.is_external_memory = lib.MODE_YUV, 1
    for name, plane in planes.items():
        setattr(output.u.YUVA, name, ffi.cast("uint8_t*", ffi.from_buffer(plane)))
        setattr(output.u.YUVA, f"{name}_stride", plane.shape[1])
        setattr(output.u.YUVA, f"{name}_size", plane.size)
    if lib.WebPDecode(source.ptr.bytes, source.size, config.ptr) != lib.VP8_STATUS_OK:
        raise OSError("the picture cannot be decoded")
    return Planes(*(Image.frombuffer("L", plane.shape[::-1], plane, "raw", "L", 0, 1) for plane in planes.values()))

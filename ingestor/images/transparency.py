"""What of a picture is transparent, where Pillow takes it for something else than the format says."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from ingestor.images import png
from ingestor.images.source import Source

_TGA_ATTRIBUTE_BITS = 0x0F
_BMP_HEAD = struct.Struct("<10x2I2i2xHI32xI")
"""Where the pixels are, bytes of the header, width, height, bits a pixel, compression, and the mask of alpha."""
_BMP_WITH_ALPHA_BYTES, _BMP_BIT_FIELDS = 56, 3


def mended(source: Source, name: str, picture: Image.Image) -> Image.Image:
    """`picture`, decoded from a file of the format `name`, with the alpha that it has."""
    match name:
        case "PNG":
            png.mend_transparency(source, picture)
        case "GIF":
            return _with_clear_surroundings(picture)
        case "TGA" if picture.mode == "RGBA" and not source.head[17] & _TGA_ATTRIBUTE_BITS:
            # No alpha by its header. Some programs write one all the same, others leave zeros there.
            alpha = picture.getchannel("A")
            return picture if alpha.getbbox() else picture.convert("RGB")
        case "BMP" if picture.mode == "RGB" and (alpha_of_bmp := _alpha_bits(source)) is not None:
            picture = picture.convert("RGBA")
            picture.putalpha(alpha_of_bmp)
    return picture


def _alpha_bits(source: Source) -> Image.Image | None:
    """Alpha of a bitmap of 16 bits a pixel that names the highest one for it, which Pillow passes over.

    None where there is none, or nothing but zeros, as some programs leave there.
    """
    head = source.head.ljust(_BMP_HEAD.size, b"\0")
    at, header_bytes, width, height, bits, compression, mask = _BMP_HEAD.unpack_from(head)
    if header_bytes < _BMP_WITH_ALPHA_BYTES or (bits, compression, mask) != (16, _BMP_BIT_FIELDS, 0x8000):
        return None
    row_pixels = width + width % 2
    pixels = np.frombuffer(source.at(at, row_pixels * abs(height) * 2), "<u2").reshape(abs(height), row_pixels)
    opaque = (pixels[:: -1 if height > 0 else 1, :width] >= 0x8000) * np.uint8(255)
    return Image.fromarray(opaque) if opaque.any() else None


def _with_clear_surroundings(picture: Image.Image) -> Image.Image:
    """A first frame that is smaller than the canvas: around it there is nothing, as browsers show it."""
    frame = getattr(picture, "dispose_extent", None)
    if frame is None or tuple(frame) == (0, 0, *picture.size):
        return picture
    shown = picture.convert("RGBA")
    alpha = Image.new("L", picture.size)
    alpha.paste(shown.getchannel("A").crop(frame), tuple(frame))
    shown.putalpha(alpha)
    return shown

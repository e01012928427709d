"""JPEG through libjpeg-turbo's strict interface, which tells the damage that Pillow passes silently.

Pillow's decoder ignores libjpeg's warnings: 4 KB lost in the middle of a scan become grey blocks without a word.
"""

from __future__ import annotations

import simplejpeg
from PIL import Image, ImageChops

from ingestor.policy.sizing import Size

CHECK_FACTOR = 8
"""A check decodes to an eighth: every bit of the scan is read all the same, at half the cost of a full decode."""

_CHECKED_AS = {"Gray": "GRAY", "YCbCr": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}
_MODES = {"Gray": ("GRAY", "L"), "CMYK": ("CMYK", "CMYK"), "YCCK": ("CMYK", "CMYK")}


def check(data: bytes) -> None:
    """Read every bit of the picture. Raises `ValueError` with libjpeg's words for whatever it warns of."""
    kind = simplejpeg.decode_jpeg_header(data, strict=False)[2]
    space = _CHECKED_AS.get(kind, "RGBX")
    simplejpeg.decode_jpeg(data, space, min_factor=CHECK_FACTOR, min_height=1, min_width=1, strict=True)


def decode(data: bytes, size: Size, factor: int, *, strict: bool, inverted: bool) -> Image.Image:
    """The picture at 1/`factor` (1, 2, 4, 8) of its size, as L, CMYK or RGBX, in memory that is not copied again.

    `inverted`: CMYK is stored as Adobe does. Raises `ValueError` with libjpeg's words.
    """
    kind = simplejpeg.decode_jpeg_header(data, strict=False)[2]
    space, mode = _MODES.get(kind, ("RGBX", "RGBX"))
    least = {"min_width": -(-size.width // factor), "min_height": -(-size.height // factor)}
    pixels = simplejpeg.decode_jpeg(data, space, min_factor=factor, **least, strict=strict)
    height, width = pixels.shape[:2]
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    return ImageChops.invert(image) if mode == "CMYK" and inverted else image


def scale_factor(size: Size, wanted: Size) -> int:
    """The largest scale-down while decoding that leaves no side smaller than wanted."""
    return next(
        (k for k in (8, 4, 2) if -(-size.width // k) >= wanted.width and -(-size.height // k) >= wanted.height), 1
    )

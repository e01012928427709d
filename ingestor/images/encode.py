"""Pixels as JPEG, PNG or WebP. The same pixels and quality always give the same bytes."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

from ingestor.images import exif
from ingestor.images.attached import Attached
from ingestor.images.style import JpegStyle

WEBP_METHOD = 2
"""Measured against 4: half the time for 2 % more bytes and SSIM 0.981 instead of 0.983."""
PNG_LEVEL = 6

_NOTHING = Attached()


def webp(image: Image.Image, quality: float, carried: Attached = _NOTHING) -> bytes:
    return _saved(image, "WEBP", quality=quality, method=WEBP_METHOD, exif=carried.exif or b"", xmp=carried.xmp or b"")


def jpeg(image: Image.Image, quality: int, style: JpegStyle, carried: Attached = _NOTHING) -> bytes:
    how = {"qtables": [list(table) for table in style.tables]} if style.tables else {"quality": quality}
    return _saved(
        image,
        "JPEG",
        subsampling=style.subsampling,
        exif=exif.PREFIX + carried.exif if carried.exif else b"",
        xmp=carried.xmp,
        **how,
    )


def png(image: Image.Image, carried: Attached = _NOTHING) -> bytes:
    words = PngImagePlugin.PngInfo()
    if carried.xmp:
        words.add_itxt("XML:com.adobe.xmp", carried.xmp.decode("utf-8", "replace"))
    return _saved(image, "PNG", compress_level=PNG_LEVEL, exif=carried.exif or b"", pnginfo=words)


def _saved(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()

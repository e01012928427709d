"""Pixels as JPEG, PNG or WebP. The same pixels and quality always give the same bytes."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

from ingestor.images import exif
from ingestor.images.attached import Attached
from ingestor.images.style import JpegStyle

WEBP_METHOD = 1
"""Measured: a third of the time of 4, SSIM 0.001 lower. 2 is no faster, and on noise it needs twice the bytes in one
picture and not in the next, so that nothing can be foreseen."""
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

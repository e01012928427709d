"""The pixels of an image, at the smallest scale that is still larger than what is wanted."""

from __future__ import annotations

from PIL import Image

from ingestor.images import damage, integrity, jpeg
from ingestor.images.headers import Header
from ingestor.images.source import Source
from ingestor.policy.sizing import Size


def pixels(source: Source, header: Header, wanted: Size, level: str) -> Image.Image:
    """The first picture, decoded; a JPEG comes scaled down where that leaves it no smaller than `wanted`.

    Raises `ImageRejected` and `SourceNotReady`. At `level` `strict`, damage that decoders pass silently is found too.
    """
    with damage.told(source, header.format):
        if header.format.name == "JPEG":
            return _jpeg(source, header, wanted, level)
        if header.format.name == "PNG" and level == "strict":
            integrity.check_png_chunks(source)
        picture = header.picture
        picture.load()
        return picture


def _jpeg(source: Source, header: Header, wanted: Size, level: str) -> Image.Image:
    factor = jpeg.scale_factor(header.size, wanted)
    return jpeg.decode(
        source.whole(), header.size, factor, strict=level == "strict", inverted="adobe" in header.picture.info
    )

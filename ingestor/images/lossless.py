"""Which pictures become WebP without loss: drawings, whose thin lines and flat colours come out wrong otherwise."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from ingestor.images.header import Header
from ingestor.images.kinds import jpeg2000
from ingestor.images.pixels.samples import Picture
from ingestor.images.source import Source

Origin = Literal["drawn", "lossless", "lossy"]
When = Literal["where it fits", "where no larger", "never"]

MOST_COLOURS = 256
MOST_GREYS = 16
"""A photograph in grey has more, but never more than 256; and no coder gives it wrong colours."""
SMALL_PIXELS = 262_144
"""Up to here a picture is encoded in both ways, and the smaller one is taken."""

_LOSSY = frozenset({"JPEG", "AVIF", "HEIF"})
_JPEG_IN_TIFF = (6, 7)


def origin_of(source: Source, header: Header, picture: Picture) -> Origin:
    """Whether a picture, as it was decoded, has few colours by its kind or was meant to keep them all, or neither."""
    name = header.format.name
    if picture.mode in ("P", "PA", "1") or name == "GIF":
        return "drawn"
    match name:
        case "WEBP":
            return "drawn" if b"VP8L" in source.head else "lossy"
        case "TIFF":
            return "lossy" if getattr(picture, "tag_v2", {}).get(259) in _JPEG_IN_TIFF else "lossless"
        case "JPEG2000":
            return "lossless" if jpeg2000.is_reversible(source.whole()) else "lossy"
        case _:
            return "lossy" if name in _LOSSY else "lossless"


def when(origin: Origin, image: Image.Image) -> When:
    """When `image`, as it is to be sent, keeps every pixel."""
    if origin == "drawn" or (origin == "lossless" and _has_few_colours(image)):
        return "where it fits"
    return "where no larger" if origin == "lossless" and image.width * image.height <= SMALL_PIXELS else "never"


def _has_few_colours(image: Image.Image) -> bool:
    """Of a photograph in colour a part tells."""
    if image.mode == "L":
        return image.getcolors(MOST_GREYS) is not None
    if (colours := image.getcolors(MOST_COLOURS)) is None:
        return False
    seen = {pixel[:3] for _, pixel in colours if isinstance(pixel, tuple)}
    return len(seen) <= MOST_GREYS or any(len(set(pixel)) > 1 for pixel in seen)

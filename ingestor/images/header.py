"""What is known of an image before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from ingestor.images.attached import Attached
from ingestor.images.style import JpegStyle
from ingestor.policy.formats import Format
from ingestor.policy.sizing import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """An image that was found acceptable as far as it says of itself."""

    format: Format
    size: Size
    """As stored: before any turning."""
    orientation: int
    """To be baked; 1 for a picture that its decoder turns by itself."""
    turned_by_decoder: bool
    has_more_pictures: bool
    """Frames of an animation or pages of a document; by-products of the same picture do not count."""
    style: JpegStyle
    """Of a JPEG."""
    rarely_read: bool
    """A JPEG that is coded arithmetically or without loss, which no browser and few services read."""
    gamma: float | None
    """Of a PNG that tells one, and no better description of its colours."""
    code_points: tuple[int, int] | None
    """Colour primaries and transfer of a PNG, AVIF or HEIC that tells them so (ITU-T H.273)."""
    is_adobe_rgb: bool
    """A JPEG whose EXIF say so, and that has no profile: cameras write them."""
    attached: Attached


class Undecoded:
    """Pillow's image, open, not decoded: handed over once, so that its pixels live no longer than needed."""

    def __init__(self, picture: Image.Image) -> None:
        self._pictures = [picture]

    @property
    def mode(self) -> str:
        """Pillow's, of the colours as they are stored: those of inks with alpha come as others out of the decoder."""
        picture = self._pictures[-1]
        told: str = getattr(picture, "stored_mode", picture.mode)
        return told

    def take(self) -> Image.Image:
        return self._pictures.pop()

"""What of a picture is transparent, where Pillow takes it for something else than the format says."""

from __future__ import annotations

from PIL import Image

from ingestor.images.kinds import png
from ingestor.images.source import Source

_TGA_ATTRIBUTE_BITS = 0x0F


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
    return picture


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

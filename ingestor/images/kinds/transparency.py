"""What of a picture is transparent, where Pillow takes it for something else than the format says."""

from __future__ import annotations

from PIL import Image

from ingestor.images.kinds import png
from ingestor.images.source import Source

_TGA_MAP_DEPTH_AT, _TGA_DEPTH_AT, _TGA_DESCRIPTOR_AT = 7, 16, 17
"""Bytes of its header: bits of a colour of the palette, bits of a pixel, and what else is to be known of these."""
_TGA_ATTRIBUTE_BITS = 0x0F


def mended(source: Source, name: str, picture: Image.Image) -> Image.Image:
    """`picture`, decoded from a file of the format `name`, with the alpha that it has."""
    match name:
        case "PNG":
            png.mend_transparency(source, picture)
        case "GIF":
            return _with_clear_surroundings(picture)
        case "TGA" if picture.has_transparency_data and not _is_alpha_of_tga(source.head, picture):
            return _opaque(picture)
    return picture


def _is_alpha_of_tga(head: bytes, picture: Image.Image) -> bool:
    """Whether what Pillow takes for alpha can be meant.

    Eight bits are, though the header may tell of none, if anything is to be seen then: some programs write them all the
    same, others leave zeros there. The one bit beside three times five is a flag, which many programs set in all pixels
    or leave as it comes.
    """
    is_told = bool(head[_TGA_DESCRIPTOR_AT] & _TGA_ATTRIBUTE_BITS)
    is_one_bit = picture.mode != "LA" and 16 in (head[_TGA_DEPTH_AT], head[_TGA_MAP_DEPTH_AT])
    is_something_seen = picture.convert("RGBA").getchannel("A").getbbox() is not None
    return is_told and is_something_seen if is_one_bit else is_told or is_something_seen


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode != "P":
        return picture.convert("L" if picture.mode == "LA" else "RGB")
    picture.putpalette(picture.getpalette("RGB") or [])
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

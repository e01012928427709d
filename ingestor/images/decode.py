"""The pixels of an image, at the smallest scale that is still larger than what is wanted."""

from __future__ import annotations

from PIL import Image

from ingestor.images import damage, integrity, jpeg, webp
from ingestor.images.ending import CERTAIN, is_cut_off
from ingestor.images.headers import Header, Undecoded
from ingestor.images.source import Source
from ingestor.policy.sizing import Size


def pixels(
    source: Source, header: Header, undecoded: Undecoded, wanted: Size, level: str
) -> tuple[Image.Image, list[str]]:
    """The first picture, decoded, and warnings; a JPEG comes scaled down where that leaves it no smaller than `wanted`.

    Raises `ImageRejected` and `SourceNotReady`. At `level` `strict`, damage that decoders pass silently is found too.
    """
    strict = level == "strict"
    with damage.told(source, header.format):
        if header.format.name == "JPEG":
            try:
                decoded = jpeg.decode(source.whole(), jpeg.scaled(header.size, wanted), strict=strict)
                undecoded.take()
                return decoded
            except jpeg.NotReadHere:
                # Pillow's build of the same library reads kinds that the strict one does not.
                return _loaded(undecoded), ["this kind of JPEG could not be checked strictly"]
        if strict and header.format.name in CERTAIN and is_cut_off(source, header.format):
            raise damage.truncated(source)
        if strict:
            integrity.check_container(source, header)
        if header.format.name == "WEBP":
            undecoded.take()
            return webp.decode(source.whole()), []
        return _loaded(undecoded), []


def _loaded(undecoded: Undecoded) -> Image.Image:
    picture = undecoded.take()
    picture.load()
    return picture

"""The pixels of an image, at the smallest scale that is still larger than what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from ingestor.images import damage, integrity
from ingestor.images.ending import CERTAIN, is_cut_off
from ingestor.images.header import Header, Undecoded
from ingestor.images.kinds import jpeg, jpeg2000, png, transparency, webp
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.pixels.samples import Picture
from ingestor.images.source import Source
from ingestor.policy.sizing import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    image: Picture
    shown: tuple[float, float]
    """Width and height of the picture therein: the last column and row may stand for less than a whole pixel."""
    odd: list[str]
    header: Header
    """That of these pixels, whose curve may have become that of sRGB."""


@runtime_checkable
class ChangesColours(Protocol):
    """A picture whose decoder may have done a part of what its header says of colours."""

    def left(self, header: Header) -> Header: ...


def pixels(
    source: Source, header: Header, undecoded: Undecoded, wanted: Size, level: str, *, to_resize: bool
) -> Decoded:
    """The first picture; a JPEG comes scaled down where that leaves it no smaller than `wanted`.

    `to_resize`: it will be resized, and then may come as `Samples`. Raises `ImageRejected` and `SourceNotReady`. At
    `level` `strict`, damage that decoders pass silently is found too.
    """
    with damage.told(source, header.format):
        if header.format.name == "JPEG":
            return _jpeg(source, header, undecoded, wanted, strict=level == "strict", to_resize=to_resize)
        if level == "strict":
            if header.format.name in CERTAIN and is_cut_off(source, header.format):
                raise damage.truncated(source)
            integrity.check_container(source, header)
        if header.format.name == "WEBP":
            undecoded.take()
            return _whole(webp.decode(source.whole()), header)
        picture = undecoded.take()
        if header.format.name == "JPEG2000":
            return _whole(_let_go(jpeg2000.decode(source, picture)), header)
        if (samples := png.samples(source, header, picture)) is not None:
            return _whole(samples if to_resize else samples.image(), header)
        if (deep := png.deep(source, header, picture)) is not None:
            return _whole(*deep)
        loaded = _loaded(picture)
        if header.format.name == "PNG" and level == "strict":
            png.check_rows(source, loaded)
        odd = [*getattr(picture, "odd", []), *png.told_steps(source, header)]
        left = picture.left(header) if isinstance(picture, ChangesColours) else header
        return _whole(transparency.mended(source, header.format.name, loaded), left, odd)


def _jpeg(
    source: Source, header: Header, undecoded: Undecoded, wanted: Size, *, strict: bool, to_resize: bool
) -> Decoded:
    scale = jpeg.scale(header.size, wanted)
    try:
        image: Picture
        if to_resize:
            image, odd = jpeg.samples_of(source, scale.decoded, strict=strict)
        else:
            image, odd = jpeg.decode(source.once(Walk), scale.decoded, strict=strict)
    except jpeg.NotReadHere:
        # Pillow's build of the same library reads kinds that the strict one does not.
        return _whole(_loaded(undecoded.take()), header, ["this kind of JPEG could not be checked strictly"])
    undecoded.take()
    return Decoded(image=image, shown=scale.shown, odd=odd, header=header)


def _whole(image: Picture, header: Header, odd: list[str] | None = None) -> Decoded:
    return Decoded(image=image, shown=image.size, odd=odd or [], header=header)


def _loaded(picture: Image.Image) -> Image.Image:
    picture.load()
    return _let_go(picture)


def _let_go(picture: Image.Image) -> Image.Image:
    # The file's bytes would live as long as its pixels.
    for name in {"fp", "_fp"} & vars(picture).keys():
        setattr(picture, name, None)
    return picture

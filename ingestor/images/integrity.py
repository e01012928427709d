"""Whether an image that is sent as it was found is whole, as far as `normalise.integrity` asks.

`header` trusts what the header says, `decode` decodes all of it, `strict` also finds what decoders pass silently.
"""

from __future__ import annotations

from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import damage
from ingestor.images.header import Header, Undecoded
from ingestor.images.kinds import chunks, iso_media, jpeg, jpeg2000_holes, png, webp_holes
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.source import Source
from ingestor.ports import NormaliseRules

MOST_OF_LARGEST = 10
"""Times the pixels that an image may have, in all frames of an animation that is sent as it is."""

_HOLE = bytes(128)


def check(source: Source, header: Header, undecoded: Undecoded, rules: NormaliseRules) -> list[str]:
    """Warnings of what is odd but harmless.

    Raises `ImageRejected` (`corrupt`, and `too_many_pixels` for an animation that would take too long to look at),
    `SourceNotReady` (`truncated`).
    """
    level = rules.integrity
    if level == "header":
        return []
    with damage.told(source, header.format):
        if level == "strict" and header.format.name == "JPEG":
            try:
                return jpeg.check(source.once(Walk))
            except jpeg.NotReadHere:
                undecoded.take().load()
                return ["this kind of JPEG could not be checked strictly"]
        if level == "strict":
            check_container(source, header)
        picture = undecoded.take()
        if level == "strict":
            _check_frames(source, header, picture, rules.max_pixels)
        if png.samples(source, header, picture) is None:
            picture.load()
            if level == "strict":
                _check_decoded(source, header, picture)
    return []


def _check_frames(source: Source, header: Header, picture: Image.Image, max_pixels: int) -> None:
    frames = getattr(picture, "n_frames", 1)
    if header.has_more_pictures and frames * header.size.pixels > MOST_OF_LARGEST * max_pixels:
        raise ImageRejected(
            "too_many_pixels",
            f"{source.name}: {frames:,} frames of {header.size} are too many to be looked at; set normalise.animation "
            "to first_frame, or make it smaller",
        )


def _check_decoded(source: Source, header: Header, picture: Image.Image) -> None:
    """What decoders pass silently is not there; of an animation, all of its frames can be decoded."""
    if header.format.name == "PNG":
        png.check_rows(source, picture)
    for number in range(1, getattr(picture, "n_frames", 1)):
        picture.seek(number)
        picture.load()


def check_container(source: Source, header: Header) -> None:
    """What the container of a PNG, WebP, HEIC, AVIF or JPEG 2000 tells of damage.

    Raises `SyntaxError` and `SourceNotReady`.
    """
    match header.format.name:
        case "PNG":
            check_png_chunks(source)
        case "WEBP":
            check_webp_chunks(source)
        case "HEIF" | "AVIF":
            check_iso_media(source)
        case "JPEG2000":
            check_jpeg2000(source)


def check_iso_media(source: Source) -> None:
    """Raises `SyntaxError` for a hole in a coded picture, and `SourceNotReady` where the hole is the end.

    Decoders show zeros as grey or green blocks without a word. No coder writes so many: HEVC and H.264 allow no three
    in a row, and what the arithmetic coder of AV1 writes looks like noise (3 in a row were the most measured, on blank
    pages of 96 MP too).
    """
    data = source.whole()
    if holed := [(begin, end) for begin, end in iso_media.coded_extents(data) if data.find(_HOLE, begin, end) >= 0]:
        # Metadata behind the pictures may end in zeros of its own.
        written = len(data.rstrip(b"\0"))
        raise _hole(source, is_the_end=any(end - written >= len(_HOLE) for _, end in holed))


def _hole(source: Source, *, is_the_end: bool) -> Exception:
    return damage.truncated(source) if is_the_end else SyntaxError("a part of its data is nothing but zeros")


def check_webp_chunks(source: Source) -> None:
    """Raises `SyntaxError` for a chunk beyond the end, and for a hole in picture data; `SourceNotReady` where the hole
    is the end.
    """
    data = source.whole()
    if webp_holes.has_hole(data):
        raise _hole(source, is_the_end=data.endswith(_HOLE))


def check_jpeg2000(source: Source) -> None:
    """Raises `SyntaxError` for a hole in a tile, and `SourceNotReady` where the hole is the end."""
    data = source.whole()
    if jpeg2000_holes.has_hole(data):
        raise _hole(source, is_the_end=data.endswith(_HOLE))


def check_png_chunks(source: Source) -> None:
    """Raises `SyntaxError` for a chunk whose checksum is wrong: Pillow reads some without looking."""
    data = memoryview(source.whole())
    for chunk in chunks.of_png(source.whole()):
        if chunk.end + chunks.PNG_CHECKSUM_BYTES > len(data):
            raise SyntaxError(f"chunk {chunk.kind!r} goes beyond the end")
        if not chunks.png_checksum_is_right(data, chunk):
            raise SyntaxError(f"the checksum of chunk {chunk.kind!r} is wrong")
        if chunk.kind == b"IEND":
            return
    raise SyntaxError("there is no IEND chunk")

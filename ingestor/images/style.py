"""How a JPEG was written, so that one that has to be written anew comes out alike."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, JpegImagePlugin

from ingestor.policy.sizing import turns_sides

_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2"}
COARSEST = "4:2:0"

Tables = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegStyle:
    """How the colours are stored, and how coarsely everything is."""

    subsampling: str = COARSEST
    tables: Tables | None = None
    """Quantisation, for luma and chroma; None: as the wanted quality has it."""


def of(picture: Image.Image) -> JpegStyle:
    """The style of a JPEG whose header has been read; tables only where they are used as everybody does."""
    assert isinstance(picture, JpegImagePlugin.JpegImageFile)
    sampling = JpegImagePlugin.get_sampling(picture) if len(picture.layer) in (1, 3) else -1
    used = [layer[3] for layer in picture.layer]
    tables: Tables | None = None
    if used in ([0], [0, 1, 1], [0, 0, 0]) and set(used) <= set(picture.quantization):
        tables = tuple(tuple(picture.quantization[number]) for number in sorted(set(used)))
    return JpegStyle(subsampling=_SUBSAMPLING.get(sampling, COARSEST), tables=tables)


def turned(style: JpegStyle, orientation: int) -> JpegStyle:
    """The style for the same picture turned: blocks lie on their sides, so their tables do too.

    Written so, a turned picture is nearly as good as a lossless turn would make it, and no larger than it was.
    """
    if not turns_sides(orientation):
        return style
    tables = style.tables and tuple(
        tuple(table[8 * column + row] for row in range(8) for column in range(8)) for table in style.tables
    )
    # What is halved sideways would have to be halved upwards, which the encoder does not offer.
    return JpegStyle(subsampling="4:4:4" if style.subsampling == "4:2:2" else style.subsampling, tables=tables)


def resized(style: JpegStyle) -> JpegStyle:
    """The style for new pixels: the same fineness of colour, the wanted quality."""
    return JpegStyle(subsampling=style.subsampling)

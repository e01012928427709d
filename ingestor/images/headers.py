"""What an image says about itself, read without decoding a pixel."""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass

from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import damage, exif
from ingestor.images.source import Source
from ingestor.policy.formats import Format
from ingestor.policy.sizing import Size
from ingestor.ports import NormaliseRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What travels with the pixels; None where there is none."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """An image whose header has been read and found acceptable."""

    format: Format
    picture: Image.Image
    """Pillow's, open, not decoded."""
    size: Size
    """As stored: before any turning."""
    orientation: int
    has_more_pictures: bool
    """Frames of an animation or pages of a document; by-products of the same picture do not count."""
    attached: Attached


def read(source: Source, row: Format, rules: NormaliseRules) -> Header:
    """The header. Raises `ImageRejected` (too large, unsupported, damaged) and `SourceNotReady` (cut off)."""
    _import(source, row)
    if (early := _size_before_opening(source, row)) is not None:
        _check_pixels(source, early, rules)
    with damage.told(source, row):
        picture = Image.open(source.stream(), formats=[row.name])
        size = Size(*picture.size)
        _check_pixels(source, size, rules)
        attached = _attached(picture)
        return Header(
            format=row,
            picture=picture,
            size=size,
            orientation=_orientation(picture, attached),
            has_more_pictures=row.pictures in ("animation", "pages") and bool(getattr(picture, "is_animated", False)),
            attached=attached,
        )


def _import(source: Source, row: Format) -> None:
    try:
        importlib.import_module(row.plugin)
    except ImportError as error:
        if row.extra is None:
            raise
        raise ImageRejected(
            "unsupported",
            f"{source.name}: is {row.title}, which needs the extra: pip install 'ingestor[{row.extra}]'",
        ) from error


def _check_pixels(source: Source, size: Size, rules: NormaliseRules) -> None:
    if size.width < 1 or size.height < 1:
        raise damage.corrupt(source, f"it claims to be {size}")
    if size.pixels > rules.max_pixels:
        raise ImageRejected(
            "too_many_pixels",
            f"{source.name}: {size} are {size.pixels:,} pixels, more than {rules.max_pixels:,}; make it smaller, or "
            "raise normalise.max_pixels",
        )


def _size_before_opening(source: Source, row: Format) -> Size | None:
    """The size of a WebP, whose canvas is allocated the moment it is opened."""
    head = source.head
    if row.name != "WEBP" or len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8X":
            width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        case b"VP8L":
            (bits,) = struct.unpack("<I", head[21:25])
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            width, height = (side & 0x3FFF for side in struct.unpack("<HH", head[26:30]))
    return Size(width, height)


def _attached(picture: Image.Image) -> Attached:
    info = picture.info
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    return Attached(
        icc=_bytes(info.get("icc_profile")),
        exif=_bytes(info.get("exif")),
        xmp=xmp.encode() if isinstance(xmp, str) else _bytes(xmp),
    )


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _orientation(picture: Image.Image, attached: Attached) -> int:
    if picture.format == "TIFF":
        told = picture.tag_v2.get(0x0112, 1)  # type: ignore[attr-defined]
        return told if isinstance(told, int) and 1 <= told <= 8 else 1
    return exif.orientation_of(attached.exif)

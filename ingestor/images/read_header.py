"""What an image says about itself, read without decoding a pixel."""

from __future__ import annotations

import importlib
import itertools
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import attached, damage, exif, style
from ingestor.images.header import Header, Undecoded
from ingestor.images.kinds import KindNotRead, chunks, iso_media, jp2_boxes, jpeg, jpeg_markers
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.source import Source
from ingestor.images.style import JpegStyle
from ingestor.policy.formats import Format
from ingestor.policy.sizing import Size, is_bomb
from ingestor.ports import NormaliseRules

_USUAL_HEAD_BYTES = 64 * 1024
"""Of a JPEG, up to its frame."""


def read(source: Source, row: Format, rules: NormaliseRules, *, alone: bool = False) -> tuple[Header, Undecoded]:
    """The header. Raises `ImageRejected` (too large, unsupported, damaged) and `SourceNotReady` (cut off).

    `alone`: nothing will be decoded, and no more is read than the header.
    """
    _import(source, row)
    if row.name == "JPEG" and not alone:
        check_segments(source)
    if (early := _size_before_opening(source, row)) is not None:
        _check_pixels(source, early, rules)
    with damage.told(source, row):
        boxes = jp2_boxes.read(source) if row.name == "JPEG2000" else jp2_boxes.Told()
        # Not `Image.open`, which keeps to itself why a plugin refuses a file.
        factory = _factory(source, row, rules)
        # A JPEG that is held here would be in memory beside its pixels, which are nearly always read elsewhere.
        picture = factory(source.head_stream() if alone or row.name == "JPEG" else source.stream(), "")
        size = Size(*picture.size)
        _check_pixels(source, size, rules)
        if row.name == "PNG" and picture.mode == "P" and not getattr(picture.palette, "palette", None):
            # Pillow takes the numbers of colours for shades of grey then; nobody else shows anything.
            raise SyntaxError("its palette is missing")
        if row.name == "JPEG" and not alone:
            _check_scans(source, size, rules)
        frame = _frame(source) if row.name == "JPEG" else None
        carried = attached.of(picture, row)
        if boxes.icc:
            carried = replace(carried, icc=boxes.icc)
        header = Header(
            format=row,
            size=size,
            orientation=1 if row.name == "TIFF" else exif.orientation_of(carried.exif),
            turned_by_decoder=row.name == "TIFF" and _told_by_tiff(picture) != 1,
            has_more_pictures=row.pictures in ("animation", "pages") and bool(getattr(picture, "is_animated", False)),
            style=style.of(picture) if row.name == "JPEG" else JpegStyle(),
            rarely_read=frame in jpeg_markers.RARELY_READ,
            gamma=_gamma(picture),
            code_points=_code_points(source, row),
            is_adobe_rgb=row.name == "JPEG" and not carried.icc and exif.is_adobe_rgb(carried.exif),
            attached=carried,
        )
        return header, Undecoded(picture)


def _factory(source: Source, row: Format, rules: NormaliseRules) -> Callable[..., Image.Image]:
    def check(size: Size) -> None:
        _check_pixels(source, size, rules)

    # Imported here: they bring plugins of Pillow, which most workers never need.
    if row.name == "TIFF":
        from ingestor.images.kinds.tiff import TiffFile

        return partial(TiffFile, is_strict=rules.integrity == "strict")
    if row.name == "AVIF":
        from ingestor.images.kinds.avif import AvifFile

        return AvifFile
    if row.name == "GIF":
        from ingestor.images.kinds.gif import GifFile

        return partial(GifFile, check=check)
    if row.name in ("ICO", "CUR"):
        from ingestor.images.kinds.icons import IconFile

        return partial(IconFile, check=check)
    if row.name == "ICNS":
        from ingestor.images.kinds.icns import IcnsFile

        return partial(IcnsFile, check=check)
    if row.name == "BMP":
        from ingestor.images.kinds.bmp import BmpFile

        return BmpFile
    if row.name == "SUN":
        from ingestor.images.kinds.sun import SunFile

        return SunFile
    if row.name == "PSD":
        from ingestor.images.kinds.psd import PsdFile

        return PsdFile
    return Image.OPEN[row.name][0]


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
    if is_bomb(size, source.size_bytes):
        raise ImageRejected(
            "decompression_bomb",
            f"{source.name}: {source.size_bytes:,} bytes claim to be {size}; an image with anything on it is larger",
        )


def _frame(source: Source) -> int | None:
    """The marker of a JPEG's first frame. Raises `KindNotRead` for one that nothing here decodes."""
    count = _USUAL_HEAD_BYTES
    while True:
        # Only the frame's head is looked for: what stands before it may be megabytes, and all the rest is not needed.
        data = source.at(0, count)
        frame = jpeg_markers.first_frame(jpeg_markers.segments(data))
        if frame is not None and frame not in jpeg_markers.READ:
            raise KindNotRead(f"frames of type 0x{frame:x}")
        if frame is not None or len(data) < count:
            return frame
        count *= 4


def check_segments(source: Source) -> None:
    """Raises `ImageRejected` for a JPEG whose markers alone would take a decoder longer than pictures do."""
    if jpeg_markers.has_more_segments(source.once(Walk), jpeg.MOST_SEGMENTS):
        raise ImageRejected(
            "decompression_bomb",
            f"{source.name}: has more than {jpeg.MOST_SEGMENTS:,} segments; no camera or program writes that many",
        )


def _check_scans(source: Source, size: Size, rules: NormaliseRules) -> None:
    """A decoder walks through all pixels once for each scan."""
    most = min(jpeg.MOST_SCANS, max(1, jpeg.MOST_SCANS_OF_LARGEST * rules.max_pixels // size.pixels))
    if jpeg_markers.scan_count(source.once(Walk), most + 1) > most:
        raise ImageRejected(
            "decompression_bomb",
            f"{source.name}: has more than {most} scans of {size}; no camera or program writes that many",
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


def _told_by_tiff(picture: Image.Image) -> int:
    told = picture.tag_v2.get(0x0112, 1)  # type: ignore[attr-defined]
    return told if isinstance(told, int) and 1 <= told <= 8 else 1


def _code_points(source: Source, row: Format) -> tuple[int, int] | None:
    if row.name == "PNG":
        for chunk in itertools.takewhile(lambda chunk: chunk.kind != b"IDAT", chunks.of_png_file(source)):
            told = source.at(chunk.begin, 2) if chunk.kind == b"cICP" else b""
            if len(told) == 2:
                return told[0], told[1]
    if row.name in ("AVIF", "HEIF"):
        described = iso_media.described(source)
        if (at := described.find(b"colrnclx")) > 0 and at + 12 <= len(described):
            primaries, transfer = struct.unpack_from(">2H", described, at + 8)
            return primaries, transfer
    return None


def _gamma(picture: Image.Image) -> float | None:
    """PNG's gAMA; iCCP and sRGB chunks say more, and go before it (PNG, third edition, 4.3)."""
    told = picture.info.get("gamma")
    if picture.format != "PNG" or "srgb" in picture.info or picture.info.get("icc_profile"):
        return None
    return told if isinstance(told, float) and 0.05 < told < 5.0 else None

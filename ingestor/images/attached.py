"""What travels with the pixels: colour profile, EXIF and XMP."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from PIL import Image

from ingestor.images import exif
from ingestor.policy.formats import Format

_LONGEST_IN_JPEG = 65_533 - 32
"""A JPEG segment holds no more."""
_TIFF_WORDS = (270, 271, 272, 305, 306, 315, 33432)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright: what a TIFF tells beside its layout."""

_LONGEST_WORDS = 2_000_000
"""Of each, before it is written anew: with half of that the EXIF are left out, whatever `max_bytes` may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """None where there is none. `exif` is without the prefix that it has in JPEG."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """What a WebP needs for it, its chunks' headers and its own included."""
        return sum(len(part) + 9 for part in (self.icc, self.exif, self.xmp) if part) + 40


def of(picture: Image.Image, row: Format) -> Attached:
    """What an image carries; what is damaged or not bytes is left out."""
    info = picture.info
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    raw = _tiff_words(picture) if row.name == "TIFF" else _bytes(info.get("exif"))
    return Attached(
        icc=_bytes(info.get("icc_profile")),
        exif=raw.removeprefix(exif.PREFIX) if raw else None,
        xmp=xmp.encode("utf-8", "replace") if isinstance(xmp, str) else _bytes(xmp),
    )


def to_carry(found: Attached, *, turn: int, stripped: bool, room_bytes: int) -> tuple[Attached, list[str]]:
    """What goes into a new file, whose colours are sRGB, and warnings of what had to stay behind.

    `turn` is the orientation that the new file has to tell: 1 where the pixels are upright. Metadata never take more
    than a tenth of the room: what is sent is a picture.
    """
    own = Attached(exif=_own_exif(turn))
    if stripped:
        return own, []
    carried = Attached(
        exif=_told(found.exif, turn) if found.exif else own.exif,
        xmp=exif.upright_xmp(found.xmp) if found.xmp and turn == 1 else found.xmp,
    )
    odd = []
    if carried.xmp and len(carried.xmp) > room_bytes // 10:
        carried = replace(carried, xmp=None)
        odd.append("the XMP metadata are too large and were left out")
    if carried.exif and len(carried.exif) > room_bytes // 10:
        carried = replace(carried, exif=own.exif)
        odd.append("the EXIF metadata are too large and were left out")
    return carried, odd


def for_jpeg(carried: Attached, turn: int) -> tuple[Attached, list[str]]:
    """The same, without what no JPEG segment holds."""
    odd = []
    if carried.xmp and len(carried.xmp) > _LONGEST_IN_JPEG:
        carried = replace(carried, xmp=None)
        odd.append("the XMP metadata are too large for a JPEG and were left out")
    if carried.exif and len(carried.exif) > _LONGEST_IN_JPEG:
        carried = replace(carried, exif=_own_exif(turn))
        odd.append("the EXIF metadata are too large for a JPEG and were left out")
    return carried, odd


def _told(found: bytes, turn: int) -> bytes:
    found = exif.in_srgb(found)
    if turn == 1:
        return exif.upright(found)
    # TIFF and the like tell the orientation elsewhere, so that their EXIF need not.
    return found if exif.orientation_of(found) == turn else _own_exif(turn) or b""


def _own_exif(turn: int) -> bytes | None:
    return exif.smallest(turn).removeprefix(exif.PREFIX) or None


def _tiff_words(picture: Image.Image) -> bytes | None:
    """EXIF with what a TIFF says in words; its layout would be wrong for any other file."""
    words = Image.Exif()
    with contextlib.suppress(Exception):
        for tag in _TIFF_WORDS:
            told = picture.tag_v2.get(tag)  # type: ignore[attr-defined]
            if isinstance(told, str) and told:
                words[tag] = told[:_LONGEST_WORDS]
        return words.tobytes() if len(words) else None
    return None


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None

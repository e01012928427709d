"""A picture that complies but for what is stored beside it, without touching a pixel.

`normalise.metadata: strip` asks for it; and a JPEG that is too large only for what phones append to it (a second
picture, a film) is better off without that than encoded anew. What is mended has lost a part of that, or got its end,
already.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from ingestor.images import damage, integrity, strip, verify
from ingestor.images.header import Header, Undecoded
from ingestor.images.kinds import jpeg_markers
from ingestor.images.plan import Plan
from ingestor.images.source import Source
from ingestor.ports import NormaliseRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Lightened:
    data: bytes
    step: str
    """`stripped`, `trimmed` or `mended`."""
    profile: str
    odd: list[str]


def lightened(
    source: Source, header: Header, undecoded: Undecoded, what: Plan, rules: NormaliseRules
) -> Lightened | None:
    """The file without its ballast; None where there is none, or where that does not make it fit.

    Raises `ImageRejected` and `SourceNotReady` for damage.
    """
    if (found := _lighter(source, header, what, rules)) is None:
        return None
    lighter, step = found
    name, data = header.format.name, source.whole()
    odd = integrity.check(source, header, undecoded, rules)
    with damage.told(source, header.format):
        if _pixels(data, name) != _pixels(lighter, name):
            raise verify.unverified(source.name, "other pixels")
    return Lightened(data=lighter, step=step, profile=_profile(name, step), odd=odd)


def foreseen(source: Source, header: Header, what: Plan, rules: NormaliseRules) -> tuple[str, str] | None:
    """Step and profile of what `lightened` would give, without decoding a pixel. Raises like it."""
    found = _lighter(source, header, what, rules)
    return (found[1], _profile(header.format.name, found[1])) if found else None


def _profile(name: str, step: str) -> str:
    return f"{name.lower()}-{step}-{strip.RECIPE}"


def _lighter(source: Source, header: Header, what: Plan, rules: NormaliseRules) -> tuple[bytes, str] | None:
    """The lighter bytes, and what was done to them."""
    if not what.fits_but_for_bytes or (step := _step(source, header, what, rules)) is None:
        return None
    name, data = header.format.name, source.whole()
    with damage.told(source, header.format):
        match step:
            case "stripped":
                lighter = strip.stripped(data, name, header.orientation, adobe_rgb=header.is_adobe_rgb)
            case "trimmed":
                lighter = strip.trimmed(data)
            case _:
                lighter = data
    if (lighter == data and not source.is_mended) or len(lighter) > rules.max_bytes:
        return None
    return lighter, step


def _step(source: Source, header: Header, what: Plan, rules: NormaliseRules) -> str | None:
    if rules.metadata == "strip":
        return "stripped"
    if source.is_mended:
        return "mended"
    return "trimmed" if header.format.name == "JPEG" and not what.passes else None


def _pixels(data: bytes, name: str) -> tuple[tuple[int, int], str, str]:
    with Image.open(io.BytesIO(data), formats=[name]) as picture:
        size = picture.size
        if not (name == "JPEG" and jpeg_markers.is_lossless(jpeg_markers.segments(data))):
            picture.draft(picture.mode, (max(1, size[0] // 8), max(1, size[1] // 8)))
        return size, picture.mode, hashlib.sha256(picture.tobytes()).hexdigest()

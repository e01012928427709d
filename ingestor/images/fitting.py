"""A picture in a format that the API takes, never larger than allowed.

A picture keeps its own format where the API takes it and the result fits: a JPEG stays a JPEG, a PNG stays lossless.
Everything else becomes WebP, a picture of few colours without loss, and a small one where that takes no more bytes;
what does not fit, first with less quality, at last with fewer pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import encode, shape
from ingestor.images.attached import Attached, for_jpeg
from ingestor.images.lossless import When
from ingestor.images.sampling import CLEARLY, FEW_TILES, Foresight
from ingestor.images.style import JpegStyle, resized
from ingestor.policy import sizing
from ingestor.policy.sizing import Size

MOST_ENCODES = 12
"""Of one picture: two are rare, more have not been seen but for the tiniest limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    format: str
    data: bytes
    size: Size
    quality: float
    full_encodes: int
    """How often all of the picture was encoded until it fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_bytes: int
    quality: int
    """Wanted; never exceeded."""
    light: str = "encoded"
    """How a picture is made smaller that does not fit otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the picture is to come out, where it fits so."""

    format: str
    """Tried first."""
    style: JpegStyle
    without_loss: When
    """A WebP keeps every pixel."""
    carried: Attached
    turn: int
    """The orientation that the file has to tell; 1: the pixels are upright."""
    name: str


def fit(image: Image.Image, wish: Wish, limits: Limits) -> tuple[Fitted, list[str]]:
    """The picture as wished where that fits, else as WebP, and warnings of what could not be carried.

    Raises `ImageRejected` (`cannot_fit`).
    """
    fitted: Fitted | None = None
    odd: list[str] = []
    if wish.format == "JPEG":
        carried, odd = for_jpeg(wish.carried, wish.turn)
        fitted = as_jpeg(image, limits, carried, wish.style)
    elif wish.format == "PNG":
        fitted = as_png(image, limits, wish.carried)
    elif wish.without_loss != "never":
        fitted = as_lossless_webp(image, limits, wish.carried)
    if fitted is not None and wish.without_loss == "where no larger":
        fitted = _smaller(fitted, image, limits, wish.carried)
    if fitted is not None:
        return fitted, odd
    return as_webp(image, limits, wish.carried, wish.name), []


def _smaller(lossless: Fitted, image: Image.Image, limits: Limits, carried: Attached) -> Fitted:
    """What keeps every pixel, or the same at the wanted quality where that takes fewer bytes."""
    data = encode.webp(image, limits.quality, carried)
    return lossless if len(lossless.data) <= len(data) else replace(lossless, data=data)


def as_jpeg(image: Image.Image, limits: Limits, carried: Attached, style: JpegStyle) -> Fitted | None:
    """The picture as JPEG in its own style, else at the wanted quality; None where it would not fit, or has alpha."""
    if image.mode == "RGBA":
        return None
    for tried in (style, resized(style)) if style.tables else (style,):
        if (fitted := _as_jpeg(image, limits, carried, tried)) is not None:
            return fitted
    return None


def _as_jpeg(image: Image.Image, limits: Limits, carried: Attached, style: JpegStyle) -> Fitted | None:
    room = limits.max_bytes - carried.size_bytes
    foresight = Foresight(image, lambda part, _: encode.jpeg(part, limits.quality, style))
    if foresight.size_bytes(limits.quality, tiles=FEW_TILES) > room * CLEARLY and foresight.size_bytes(0) > room:
        return None
    return _kept("JPEG", encode.jpeg(image, limits.quality, style, carried), image, limits)


def as_png(image: Image.Image, limits: Limits, carried: Attached) -> Fitted | None:
    """The picture as PNG; None where it would not fit."""
    foresight = Foresight(image, lambda part, _: encode.png(part))
    if foresight.size_bytes(100, tiles=FEW_TILES) > limits.max_bytes - carried.size_bytes:
        return None
    return _kept("PNG", encode.png(image, carried), image, limits)


def as_lossless_webp(image: Image.Image, limits: Limits, carried: Attached) -> Fitted | None:
    """The very pixels as WebP; None where they would not fit."""
    foresight = Foresight(image, lambda part, _: encode.lossless_webp(part))
    if foresight.size_bytes(100, tiles=FEW_TILES) > limits.max_bytes - carried.size_bytes:
        return None
    return _kept("WEBP", encode.lossless_webp(image, carried), image, limits)


def _kept(name: str, data: bytes, image: Image.Image, limits: Limits) -> Fitted | None:
    if len(data) > limits.max_bytes:
        return None
    return Fitted(format=name, data=data, size=Size(*image.size), quality=limits.quality, full_encodes=1)


def as_webp(image: Image.Image, limits: Limits, carried: Attached, name: str) -> Fitted:
    """The picture as WebP, as good and as large as `max_bytes` allow. Raises `ImageRejected` (`cannot_fit`)."""
    room = limits.max_bytes - carried.size_bytes
    if (easy := _easily(image, limits, carried, room)) is not None:
        return easy
    attempt = _Attempt(
        image=image,
        ceiling=limits.quality,
        quality=limits.quality,
        light=limits.light,
        expected=0.0,
        correction=1.0,
    )
    best: Fitted | None = None
    for encodes in range(1, MOST_ENCODES + 1):
        attempt = _prepared(attempt, room, name)
        data = encode.webp_for_little_room(attempt.image, attempt.quality, carried)
        fits = len(data) <= limits.max_bytes
        if fits:
            size = Size(*attempt.image.size)
            best = Fitted(format="WEBP", data=data, size=size, quality=attempt.quality, full_encodes=encodes)
        uses_the_room = attempt.quality >= attempt.ceiling or len(data) >= sizing.LEAST_SHARE * limits.max_bytes
        if best is not None and (uses_the_room or encodes > 1):
            return best
        attempt = attempt.corrected(len(data) - carried.size_bytes, fits=fits)
    raise ImageRejected(
        "cannot_fit", f"{name}: cannot be made to fit {limits.max_bytes:,} bytes; raise normalise.max_bytes"
    )


def _easily(image: Image.Image, limits: Limits, carried: Attached, room: float) -> Fitted | None:
    """The picture at the wanted quality; None where a few tiles, or the picture itself, tell of too many bytes."""
    size, wanted = Size(*image.size), float(limits.quality)
    if not sizing.surely_fits(size, wanted, int(room), alpha=image.mode == "RGBA"):
        few = Foresight(image, encode.webp)
        if few.size_bytes(wanted, tiles=FEW_TILES) > room * CLEARLY:
            return None
    data = encode.webp(image, wanted, carried)
    if len(data) > limits.max_bytes:
        return None
    return Fitted(format="WEBP", data=data, size=size, quality=wanted, full_encodes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    image: Image.Image
    ceiling: float
    """The best quality that may be tried."""
    quality: float
    light: str
    expected: float
    """Bytes, as foreseen from the tiles."""
    correction: float
    """How many times larger than foreseen the picture has turned out."""

    def corrected(self, actual_bytes: int, *, fits: bool) -> _Attempt:
        ceiling = self.ceiling if fits else max(self.quality - 0.3, min(sizing.LOWEST_QUALITY, self.ceiling))
        return replace(self, ceiling=ceiling, correction=actual_bytes / max(1.0, self.expected))


def _prepared(attempt: _Attempt, room: float, name: str) -> _Attempt:
    """The picture and the quality to try next; the picture made smaller where no quality is low enough."""
    image, wanted = attempt.image, attempt.ceiling
    limit = room / attempt.correction
    while True:
        size = Size(*image.size)
        foresight = Foresight(image, encode.webp_for_little_room)
        target = limit * sizing.TARGET_SHARE
        quality, expected = foresight.best_quality(wanted, target)
        if expected <= target:
            return replace(attempt, image=image, quality=quality, expected=expected)
        if size.pixels == 1:
            raise ImageRejected("cannot_fit", f"{name}: not even one pixel of it fits normalise.max_bytes")
        image = shape.resized(
            image, sizing.smaller_box(size, expected * attempt.correction, int(room)), light=attempt.light
        )

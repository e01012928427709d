"""A picture in a format that the API takes, never larger than allowed.

A picture keeps its own format where the API takes it and the result fits: a JPEG stays a JPEG, a PNG stays lossless.
Everything else becomes WebP, a picture of few colours without loss, and a small one where that takes no more bytes;
what does not fit, first with less quality, at last with fewer pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import encode
from ingestor.images.attached import Attached, for_jpeg
from ingestor.images.lossless import When
from ingestor.images.pixels import shape
from ingestor.images.sampling import CLEARLY, FEW_TILES, Foresight
from ingestor.images.style import JpegStyle, resized
from ingestor.policy import narrowing, sizing
from ingestor.policy.narrowing import Form, Line, Result
from ingestor.policy.sizing import Size

MOST_ENCODES = 8
"""Of one picture that fits; two are rare. One that does not fit is made smaller until it does, ever faster."""
MOST_ENCODED_PIXELS = 100_000_000
"""Likewise, in all encodes together. Alpha counts as much again: it can take longer than the colours."""
MOST_FORESIGHTS = 4
"""Of smaller sizes, before one is encoded as a whole."""
SLOPE_STEP = 5.0
"""Of quality: as far apart as a slope is taken from."""


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
    room = max(1, limits.max_bytes - carried.size_bytes)
    line = Line(full=Size(*image.size), ceiling=float(limits.quality))
    encodes = pixels = 0
    if _seems_easy(image, limits, room):
        data = encode.webp(image, limits.quality, carried)
        encodes, pixels = 1, line.full.pixels
        if len(data) <= limits.max_bytes:
            return _fitted(data, Form(line.full, line.ceiling), encodes)
    tried, form = _foreseen(image, line, room, limits.light)
    slope: float | None = None
    results: list[Result] = []
    best: tuple[float, Fitted] | None = None
    while True:
        data = encode.webp_for_little_room(tried, form.quality, carried)
        encodes += 1
        pixels += form.size.pixels * (2 if image.mode == "RGBA" else 1)
        place = line.place_of(form)
        results.append(Result(place, len(data) - carried.size_bytes))
        if len(data) <= limits.max_bytes:
            if best is None or place > best[0]:
                best = place, _fitted(data, form, encodes)
            if len(data) >= sizing.LEAST_SHARE * limits.max_bytes:
                break
        if best is not None and (encodes >= MOST_ENCODES or pixels >= MOST_ENCODED_PIXELS):
            break
        if slope is None:
            slope = _slope_of_quality(image, form.quality, line)
        if (place_next := narrowing.next_place(results, room, line, slope)) is None:
            break
        form = line.form_at(place_next)
        tried = shape.resized(image, form.size, light=limits.light)
    if best is None:
        raise ImageRejected(
            "cannot_fit", f"{name}: not even one pixel of it fits {limits.max_bytes:,} bytes; raise normalise.max_bytes"
        )
    return replace(best[1], full_encodes=encodes)


def _fitted(data: bytes, form: Form, encodes: int) -> Fitted:
    return Fitted(format="WEBP", data=data, size=form.size, quality=form.quality, full_encodes=encodes)


def _seems_easy(image: Image.Image, limits: Limits, room: int) -> bool:
    """Whether the wanted quality seems to fit by far, or surely does."""
    size, wanted = Size(*image.size), float(limits.quality)
    if sizing.surely_fits(size, wanted, room, alpha=image.mode == "RGBA"):
        return True
    return Foresight(image, encode.webp).size_bytes(wanted, tiles=FEW_TILES) <= room * CLEARLY


def _foreseen(image: Image.Image, line: Line, room: float, light: str) -> tuple[Image.Image, Form]:
    """What is expected to use the room well: less quality, or the picture made smaller where none is low enough."""
    target = room * sizing.TARGET_SHARE
    quality, expected = Foresight(image, encode.webp_for_little_room).best_quality(line.ceiling, target)
    tried, form, place = image, Form(line.full, quality), 0.0
    for _ in range(MOST_FORESIGHTS):
        if sizing.NEAR_ENOUGH * target <= expected <= target or (form.size == line.full and expected <= target):
            break
        place = max(line.bottom, min(0.0, place - math.log(expected / target)))
        form = line.form_at(place)
        tried = shape.resized(image, form.size, light=light)
        expected = Foresight(tried, encode.webp_for_little_room).size_bytes(form.quality)
    return tried, form


def _slope_of_quality(image: Image.Image, quality: float, line: Line) -> float:
    """How fast the bytes are expected to grow with the quality near this one."""
    foresight = Foresight(image, encode.webp_for_little_room)
    better = max(quality, min(line.ceiling, line.lowest + SLOPE_STEP))
    forms = (Form(line.full, better - SLOPE_STEP), Form(line.full, better))
    worse, near = (Result(line.place_of(form), int(foresight.size_bytes(max(0, form.quality)))) for form in forms)
    return narrowing.slope_between(worse, near)

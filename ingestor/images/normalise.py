"""An image made fit, in a worker: the whole walk from a path to a payload.

Bytes that comply are not touched. What must change is decoded once, resized once, turned, and encoded to fit.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from ingestor.disk import disk_fault
from ingestor.errors import ImageRejected
from ingestor.images import (
    attached,
    crowds,
    damage,
    decode,
    ending,
    fitting,
    heap,
    integrity,
    lossless,
    read_header,
    style,
    verify,
)
from ingestor.images.fitting import Limits, Wish
from ingestor.images.header import Header, Undecoded
from ingestor.images.kinds import png, texts
from ingestor.images.lighten import Lightened, foreseen, lightened
from ingestor.images.mend import leave_out_large_texts, mend
from ingestor.images.pixels import colour, shape
from ingestor.images.pixels.samples import Picture
from ingestor.images.plan import Plan, plan
from ingestor.images.profile import profile
from ingestor.images.sniffing import format_of
from ingestor.images.source import IN_MEMORY_BYTES, Source, opened
from ingestor.images.style import JpegStyle
from ingestor.model import Digest, Payload
from ingestor.policy.formats import BY_NAME, FILE_SUFFIX, MIME_TYPES
from ingestor.policy.idempotency import AS_IS
from ingestor.policy.sizing import Size
from ingestor.ports import NormaliseRules

_USUAL = ("JPEG", "PNG", "WEBP")
_LONGEST_TEXT_CHUNK = 8 * 1024 * 1024
"""Unpacked; Pillow's own limit of 1 MB refuses honest colour profiles."""


def prepare(rules: NormaliseRules) -> None:
    """Import what every image needs, before anything is given up, so that no image waits for it."""
    del rules
    # Our own limits come from the settings, and hold before anything is allocated.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = _LONGEST_TEXT_CHUNK
    warnings.simplefilter("ignore")
    for name in _USUAL:
        importlib.import_module(BY_NAME[name].plugin)


def inspect(source: Path, rules: NormaliseRules, began: float) -> Payload:
    """What `normalise` would do, from the headers alone: nothing is written, sizes of new files are 0.

    No byte is hashed either: `sha256` is empty. Raises `ImageRejected` and `SourceNotReady`.
    """
    with opened(source, rules.max_pixels) as file:
        if (payload := _by_header(file, rules, began)) is not None:
            return payload
        mend(file, rules)
        header, undecoded = read_header.read(file, format_of(file), rules)
        what = plan(file, header, rules)
        if what.passes:
            leave_out_large_texts(file, rules)
        light = foreseen(file, header, what, rules) if file.size_bytes <= IN_MEMORY_BYTES else None
        if what.passes and light is None:
            return _untouched(file, header, [], "", began)
        steps: tuple[str, ...]
        if light is not None:
            steps, shaped_by = (light[0],), light[1]
        else:
            is_changed = colour.is_to_be_changed(undecoded.mode, header)
            steps = what.steps(colour=is_changed, size=what.upright, written_as=what.format)
            shaped_by = profile(header.format, what.format, rules)
        return Payload(
            file=source,
            is_source=True,
            sha256=Digest(""),
            mime_type=MIME_TYPES[header.format.name if light else what.format],
            size_bytes=0,
            width_px=what.upright.width,
            height_px=what.upright.height,
            normalised=steps,
            profile=shaped_by,
            seconds=time.perf_counter() - began,
        )


def normalise(source: Path, spool_stem: Path, rules: NormaliseRules, began: float) -> Payload:
    """The image made fit: itself where it complies, else a new file named after `spool_stem`.

    `began` is when the work began, by `time.perf_counter`. Raises `ImageRejected`, `SourceNotReady`, `DiskFault`.
    Nothing is hashed (`sha256` is empty) where `integrity` is `header` and the file complies: then only that is read.
    """
    with opened(source, rules.max_pixels) as file:
        if (payload := _by_header(file, rules, began)) is not None:
            return payload
        told = mend(file, rules)
        header, undecoded = read_header.read(file, format_of(file), rules)
        if rules.integrity == "strict":
            told += ending.appended(file, header.format) + ending.overlong(file, header.format)
        what = plan(file, header, rules)
        if what.passes:
            told += leave_out_large_texts(file, rules)
        if (light := lightened(file, header, undecoded, what, rules)) is not None:
            made = _Made.of_light(light, header)
        elif what.passes:
            odd = integrity.check(file, header, undecoded, rules)
            return _untouched(file, header, [*told, *odd], hashlib.sha256(file.whole()).hexdigest(), began)
        else:
            made = _made(file, header, undecoded, what, rules)
    target = spool_stem.with_suffix(FILE_SUFFIX[made.format])
    _write(target, made.data)
    return Payload(
        file=target,
        is_source=False,
        sha256=Digest(hashlib.sha256(made.data).hexdigest()),
        mime_type=MIME_TYPES[made.format],
        size_bytes=len(made.data),
        width_px=made.size.width,
        height_px=made.size.height,
        normalised=made.steps,
        profile=made.profile,
        warnings=(*told, *made.odd),
        seconds=time.perf_counter() - began,
    )


def _by_header(file: Source, rules: NormaliseRules, began: float) -> Payload | None:
    """The file itself, where its header is all that is asked for; None where more has to be read."""
    if rules.integrity != "header" or rules.metadata == "strip":
        return None
    try:
        if format_of(file).name == "PNG":
            png.refuse_bombs(file, head_alone=True)
        crowds.refuse(file, format_of(file))
        header, _ = read_header.read(file, format_of(file), rules, alone=True)
    except ImageRejected:
        if format_of(file).name in ("PNG", "WEBP"):
            return None  # it may be mended
        raise
    if not plan(file, header, rules).passes or (header.format.name == "PNG" and texts.has_large(file)):
        return None
    return _untouched(file, header, [], "", began)


def _untouched(file: Source, header: Header, odd: list[str], sha256: str, began: float) -> Payload:
    assert header.format.accepted_as is not None
    return Payload(
        file=file.path,
        is_source=True,
        sha256=Digest(sha256),
        mime_type=header.format.accepted_as,
        size_bytes=file.size_bytes,
        width_px=header.size.width,
        height_px=header.size.height,
        normalised=(),
        profile=AS_IS,
        warnings=tuple(odd),
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A new file, not written yet."""

    format: str
    data: bytes
    size: Size
    steps: tuple[str, ...]
    profile: str
    odd: list[str]

    @classmethod
    def of_light(cls, light: Lightened, header: Header) -> _Made:
        return cls(
            format=header.format.name,
            data=light.data,
            size=header.size,
            steps=(light.step,),
            profile=light.profile,
            odd=light.odd,
        )


def _made(file: Source, header: Header, undecoded: Undecoded, what: Plan, rules: NormaliseRules) -> _Made:
    picture, shown, odd, deep_header = _pixels(file, header, undecoded, what, rules)
    origin = lossless.origin_of(file, header, picture)
    file.forget()
    if what.first_frame and rules.animation == "keep":
        odd.append("it moves, but can only be sent still: its first frame was taken")
    with damage.told(file, header.format):  # a kind of pixels that nothing here can convert is the file's fault
        picture, shown_header = colour.curved(picture, deep_header)
        picture, odd_depth = colour.to_eight_bits(picture)
        image = shape.resized(picture, what.box, shown, light=rules.light)
        del picture
        heap.give_back(header.size.pixels)
        image, colour_changed, odd_colour = colour.to_srgb(image, shown_header)
    colour_changed = colour_changed or shown_header is not header
    image = shape.turned(image, what.orientation)
    image.info.clear()
    turn = header.orientation if what.orientation == 1 else 1
    carried, odd_attached = attached.to_carry(
        header.attached, turn=turn, stripped=rules.metadata == "strip", room_bytes=rules.max_bytes
    )
    wish = Wish(
        format=what.format,
        style=_style(header, what),
        without_loss="never" if what.must_resize or what.format != "WEBP" else lossless.when(origin, image),
        carried=carried,
        turn=turn,
        name=file.name,
    )
    limits = Limits(max_bytes=rules.max_bytes, quality=rules.webp_quality, light=rules.light)
    meant = verify.look_of(image)
    fitted, odd_jpeg = fitting.fit(image, wish, limits)
    brightened = rules.light == "linear" and fitted.size != Size(*image.size)
    del image
    verify.check(fitted, meant, file.name, brightened=brightened)
    return _Made(
        format=fitted.format,
        data=fitted.data,
        size=fitted.size,
        steps=what.steps(colour=colour_changed, size=fitted.size, written_as=fitted.format),
        profile=profile(header.format, fitted.format, rules),
        odd=[*odd, *odd_depth, *odd_colour, *odd_attached, *odd_jpeg],
    )


def _pixels(
    file: Source, header: Header, undecoded: Undecoded, what: Plan, rules: NormaliseRules
) -> tuple[Picture, tuple[float, float], list[str], Header]:
    # Taken apart here, so that nothing but the caller's variable holds the pixels.
    # A JPEG that is made smaller while it is decoded is averaged as it is stored.
    wanted = what.box if rules.light == "encoded" else header.size
    heap.give_back(header.size.pixels)
    decoded = decode.pixels(file, header, undecoded, wanted, rules.integrity, to_resize=what.must_resize)
    return decoded.image, decoded.shown, decoded.odd, decoded.header


def _style(header: Header, what: Plan) -> JpegStyle:
    return style.resized(header.style) if what.must_resize else style.turned(header.style, what.orientation)


def _write(target: Path, data: bytes) -> None:
    """A new file with exactly these bytes, or none. Raises `DiskFault`."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise disk_fault(target, error) from error

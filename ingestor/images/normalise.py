"""An image made fit, in a worker: the whole walk from a path to a payload.

Bytes that comply are not touched. What must change is decoded once, resized once, turned, and encoded to fit.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import time
import warnings
from pathlib import Path

from PIL import Image

from ingestor.disk import disk_fault
from ingestor.images import colour, decode, encode, exif, headers, integrity, shape, verify
from ingestor.images.encode import Encoded
from ingestor.images.headers import Attached, Header
from ingestor.images.plan import Plan, plan
from ingestor.images.profile import profile
from ingestor.images.sniffing import format_of
from ingestor.images.source import Source, opened
from ingestor.model import Digest, Payload
from ingestor.policy.formats import BY_NAME, FILE_SUFFIX, MIME_TYPES
from ingestor.policy.idempotency import AS_IS
from ingestor.ports import NormaliseRules

_USUAL = ("JPEG", "PNG", "WEBP")


def prepare(rules: NormaliseRules) -> None:
    """Import what every image needs, before anything is given up, so that no image waits for it."""
    del rules
    # Our own limits are stricter, come from the settings, and hold before anything is allocated.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    for name in _USUAL:
        importlib.import_module(BY_NAME[name].plugin)


def inspect(source: Path, rules: NormaliseRules, began: float) -> Payload:
    """What `normalise` would do, from the headers alone: nothing is written, sizes of new files are 0.

    No byte is hashed either: `sha256` is empty.

    Raises `ImageRejected` and `SourceNotReady`.
    """
    with opened(source, rules.max_pixels) as file:
        header = headers.read(file, format_of(file), rules)
        what = plan(file, header, rules)
        if what.passes:
            return _untouched(file, header, [], "", began)
        written_as = header.format.name if header.format.accepted_as and not what.too_many_bytes else "WEBP"
        return Payload(
            file=source,
            is_source=True,
            sha256=Digest(""),
            mime_type=MIME_TYPES[written_as],
            size_bytes=0,
            width_px=what.upright.width,
            height_px=what.upright.height,
            normalised=_steps(
                what, colour_changed=False, resized=what.must_resize, webp=written_as != header.format.name
            ),
            profile=profile(header.format, written_as, rules),
            seconds=time.perf_counter() - began,
        )


def normalise(source: Path, spool_stem: Path, rules: NormaliseRules, began: float) -> Payload:
    """The image made fit: itself where it complies, else a new file named after `spool_stem`.

    `began` is when the work began, by `time.perf_counter`. Raises `ImageRejected`, `SourceNotReady`, `DiskFault`.
    """
    with opened(source, rules.max_pixels) as file:
        header = headers.read(file, format_of(file), rules)
        what = plan(file, header, rules)
        if what.passes:
            odd = integrity.check(file, header, rules.integrity)
            return _untouched(file, header, odd, hashlib.sha256(file.whole()).hexdigest(), began)
        return _made_fit(file, header, what, spool_stem, rules, began)


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


def _made_fit(
    file: Source, header: Header, what: Plan, spool_stem: Path, rules: NormaliseRules, began: float
) -> Payload:
    odd: list[str] = []
    image = decode.pixels(file, header, what.box, rules.integrity)
    image = colour.to_eight_bits(image, odd)
    image = shape.resized(image, what.box)
    image, colour_changed = colour.to_srgb(image, header.attached, odd)
    image = shape.turned(image, what.orientation)
    image.info.clear()
    own_format = "WEBP" if what.too_many_bytes and not what.must_resize else header.format.name
    encoded = encode.fit(
        image, own_format, rules.webp_quality, rules.max_bytes, _carried(header, what, rules), file.name
    )
    verify.check(encoded, file.name)
    target = spool_stem.with_suffix(FILE_SUFFIX[encoded.format])
    _write(target, encoded.data)
    return Payload(
        file=target,
        is_source=False,
        sha256=Digest(hashlib.sha256(encoded.data).hexdigest()),
        mime_type=MIME_TYPES[encoded.format],
        size_bytes=len(encoded.data),
        width_px=encoded.image.width,
        height_px=encoded.image.height,
        normalised=_steps(
            what,
            colour_changed=colour_changed,
            resized=_was_resized(encoded, header, what),
            webp=encoded.format != header.format.name,
        ),
        profile=profile(header.format, encoded.format, rules),
        warnings=tuple(odd),
        seconds=time.perf_counter() - began,
    )


def _was_resized(encoded: Encoded, header: Header, what: Plan) -> bool:
    return what.must_resize or encoded.image.width * encoded.image.height != header.size.pixels


def _carried(header: Header, what: Plan, rules: NormaliseRules) -> Attached:
    """The metadata of the new file. Its colours are sRGB, which is what a file without a profile means."""
    keeps_turn = what.orientation == 1 and header.orientation != 1
    if rules.metadata == "strip":
        return Attached(exif=exif.orientation_only(header.orientation) if keeps_turn else None)
    if keeps_turn:
        return Attached(exif=header.attached.exif or exif.orientation_only(header.orientation), xmp=header.attached.xmp)
    return Attached(
        exif=exif.upright(header.attached.exif) if header.attached.exif else None,
        xmp=exif.upright_xmp(header.attached.xmp) if header.attached.xmp else None,
    )


def _steps(what: Plan, *, colour_changed: bool, resized: bool, webp: bool) -> tuple[str, ...]:
    done = {
        "turned": what.orientation != 1,
        "first_frame": what.first_frame,
        "colour": colour_changed,
        "resized": resized,
        "webp": webp,
    }
    return tuple(step for step, was_done in done.items() if was_done)


def _write(target: Path, data: bytes) -> None:
    """A new file with exactly these bytes, or none. Raises `DiskFault`."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise disk_fault(target, error) from error

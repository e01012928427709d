"""JPEG through libjpeg-turbo's strict interface, which tells the damage that Pillow passes silently.

Pillow's decoder ignores libjpeg's warnings: 4 KB lost in the middle of a scan become grey blocks without a word.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass
from mmap import mmap

import numpy as np
import simplejpeg
from PIL import Image, ImageChops

from ingestor.images.kinds import jpeg_holes, jpeg_markers
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.pixels.samples import Picture, Samples
from ingestor.images.source import Source
from ingestor.policy.sizing import Size

CHECK_FACTOR = 8
"""A check decodes to an eighth: every bit of the scan is read all the same, at half the cost of a full decode."""

_SCALES = (1, 2, 3, 4, 5)
"""In eighths. libjpeg-turbo is fast at one, two, four and eight of them: six and seven cost more than they save."""
_SPARE = 1.09
"""What comes nearer to the wanted size than that is softer: SSIM 0.985 instead of 0.994."""

MOST_SCANS = 199
"""One scan for each coefficient and bit would be some more; encoders write 6 to 20."""
MOST_SCANS_OF_LARGEST = 20
"""Of a picture of as many pixels as are allowed; of a smaller one as many more as take no longer."""
MOST_SEGMENTS = 100_000
"""The parts of a long profile or of Extended XMP are some hundred."""

_CHECKED_AS = {"Gray": "GRAY", "YCbCr": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}
_MODES = {"Gray": ("GRAY", "L"), "CMYK": ("CMYK", "CMYK"), "YCCK": ("CMYK", "CMYK")}
_AVERAGED = {"Gray": ("GRAY", "L"), "YCbCr": ("RGB", "RGB"), "RGB": ("RGB", "RGB")}

_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_FEW_LEFT_OVER = 2
_ZEROS = "a part of its data is nothing but zeros"


class NotReadHere(Exception):
    """A kind of JPEG that this library does not decode at all; another one may."""


def check(file: Walk) -> list[str]:
    """Read every bit of the picture: what is odd but harmless, in libjpeg's words.

    Raises `ValueError` for damage, with what is damaged, and `NotReadHere`.
    """
    if (damage := _silent_damage(file)) is not None:
        raise ValueError(damage)
    try:
        _read_all(file)
    except ValueError as warning:
        return _odd_but_harmless(file, str(warning))
    return []


def decode(file: Walk, size: Size, *, strict: bool) -> tuple[Image.Image, list[str]]:
    """The picture at `size`, one that `Scale` gives, as L, CMYK or RGBX, and what is odd but harmless.

    The pixels are not copied again. Raises like `check`, if `strict`.
    """
    found = kind(file)
    space, mode = _MODES.get(found, ("RGBX", "RGBX"))
    pixels, odd = _decoded(file, space, size, strict=strict)
    height, width = pixels.shape[:2]
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    # Adobe stores CMYK inverted; that others do not is nowhere told, and browsers and Pillow expect it of all.
    return ImageChops.invert(image) if mode == "CMYK" else image, odd


def samples(file: Walk, size: Size, *, strict: bool, is_odd: bool = False) -> tuple[Picture, list[str]]:
    """Like `decode`, for a picture that is about to be made smaller: with less memory, where there is a way.

    `is_odd`: something speaks against it already, and decoding it as if it were whole is no use.
    """
    if (found := kind(file)) not in _AVERAGED:
        return decode(file, size, strict=strict)
    space, mode = _AVERAGED[found]
    pixels, odd = (_decoded_though_odd if is_odd else _decoded)(file, space, size, strict=strict)
    return Samples(mode, pixels), odd


def samples_of(source: Source, size: Size, *, strict: bool) -> tuple[Picture, list[str]]:
    """Like `samples`, of a file of its own: a large one is not held in memory beside its pixels."""
    found = kind(source.once(Walk))
    start = jpeg_markers.start_of_data(source.once(Walk))
    if found in _AVERAGED and start is not None and (not strict or _may_be_whole(source.once(Walk))):
        with contextlib.suppress(ValueError):
            return _passed(source, start, found, size, strict=strict), []
    # What kind it is has to be asked again: it may be another file by now.
    return samples(source.once(Walk), size, strict=strict, is_odd=True)


def _passed(source: Source, start: int, found: str, size: Size, *, strict: bool) -> Samples:
    # Taken apart here, so that nothing holds the file's bytes afterwards.
    space, mode = _AVERAGED[found]
    with source.in_passing(start) as data:
        return Samples(mode, _pixels(data, space, size, strict=strict))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How far a picture is made smaller while it is decoded."""

    decoded: Size
    """What comes out; its last column and row may stand for less than a whole pixel."""
    shown: tuple[float, float]
    """Width and height of the picture therein."""


def scale(size: Size, wanted: Size) -> Scale:
    """The smallest scale that leaves Lanczos enough to work with; none where none does.

    Measured on 48 and 108 MP: SSIM is 0.001 lower than from a full decode, and the work less than half.
    """
    for eighths in _SCALES if size != wanted else ():
        shown = (size.width * eighths / 8, size.height * eighths / 8)
        if shown[0] >= wanted.width * _SPARE and shown[1] >= wanted.height * _SPARE:
            return Scale(decoded=Size(math.ceil(shown[0]), math.ceil(shown[1])), shown=shown)
    return Scale(decoded=size, shown=(size.width, size.height))


def _decoded(file: Walk, space: str, size: Size, *, strict: bool) -> tuple[np.ndarray, list[str]]:
    if strict and _may_be_whole(file):
        with contextlib.suppress(ValueError):
            return _pixels(file.data, space, size, strict=True), []
    return _decoded_though_odd(file, space, size, strict=strict)


def _decoded_though_odd(file: Walk, space: str, size: Size, *, strict: bool) -> tuple[np.ndarray, list[str]]:
    odd = check(file) if strict else []
    with contextlib.suppress(ValueError):
        return _pixels(file.data, space, size, strict=False), odd
    # It may be a marker beside the picture that the library cannot go past.
    try:
        return _pixels(jpeg_markers.plain(file), space, size, strict=False), odd
    except ValueError as error:
        raise NotReadHere(str(error)) from error


def _pixels(data: bytes | mmap, space: str, size: Size, *, strict: bool) -> np.ndarray:
    found: np.ndarray = simplejpeg.decode_jpeg(data, space, min_width=size.width, min_height=size.height, strict=strict)
    return found


def _may_be_whole(file: Walk) -> bool:
    """Whether nothing speaks against it but what the decoder itself would tell."""
    return _silent_damage(file) is None and not jpeg_holes.ends_in_zeros(file)


def kind(file: Walk) -> str:
    """Its colour space, as far as markers tell. Raises `NotReadHere`."""
    if jpeg_markers.is_lossless(file):
        # libjpeg-turbo decodes it to full size whatever is asked for, beyond the end of what simplejpeg provides.
        raise NotReadHere("coded without loss")
    try:
        return str(simplejpeg.decode_jpeg_header(file.data, strict=False)[2])
    except (KeyError, ValueError) as error:
        # A colour space or a sampling that the library has no name for.
        raise NotReadHere(f"colour space or sampling: {error}") from error


def _silent_damage(file: Walk) -> str | None:
    """What no decoder tells: scans that never came, or came as zeros, or with a few bytes too many.

    Other damage to the refinement of single coefficients can stay unseen: a decoder that falls into step again behind
    it has read a file to the last bit that an encoder could have written.
    """
    if jpeg_markers.lacks_scans(file):
        return "the last scans of the picture are missing"
    if jpeg_markers.has_bits_left_over(file):
        return "a refinement of the picture has more bytes than blocks"
    return _ZEROS if jpeg_markers.has_hole(file) or jpeg_holes.has_hole(file) else None


def _read_all(file: Walk, *, strict: bool = True) -> None:
    found = kind(file)
    space = _CHECKED_AS.get(found, "RGBX")
    simplejpeg.decode_jpeg(file.data, space, min_factor=CHECK_FACTOR, min_height=1, min_width=1, strict=strict)
    if strict and jpeg_holes.ends_in_zeros(file):
        # Of padding the decoder would have told.
        raise ValueError(_ZEROS)


def _odd_but_harmless(file: Walk, warning: str) -> list[str]:
    """The warning, if the picture is whole without what it was about. Raises `ValueError` for damage."""
    # What is wrong with a marker beside the picture may keep the library from reading it at all.
    plain = Walk(jpeg_markers.plain(file))
    try:
        _read_all(plain)
    except ValueError as damage:
        _check_readable(plain)
        shorter = _without_padding(plain.data, str(damage))
        if shorter is None:
            raise
        _read_but_for_few(Walk(shorter))
    return [warning]


def _read_but_for_few(file: Walk) -> None:
    """Like `_read_all`, but for a byte or two before the end marker."""
    try:
        _read_all(file)
    except ValueError as warning:
        told = _LEFT_OVER.search(str(warning))
        if told is None or int(told[1]) > _FEW_LEFT_OVER:
            raise


def _check_readable(file: Walk) -> None:
    """Raises `NotReadHere` for what the library refuses even where it is told to pass over damage."""
    try:
        _read_all(file, strict=False)
    except ValueError as error:
        raise NotReadHere(str(error)) from error


def _without_padding(data: bytes, warning: str) -> bytes | None:
    """The picture without what the decoder had left over before the end marker, where that is padding.

    Damage leaves something over too: hundreds of bytes of the scan itself.
    """
    told = _LEFT_OVER.search(warning)
    if told is None:
        return None
    left_over = data[-2 - int(told[1]) : -2]
    if len(left_over) > _FEW_LEFT_OVER and not jpeg_markers.PADDING.issuperset(left_over):
        return None
    # Of the zeros before the end the decoder has taken some for blocks, if any are missing.
    return jpeg_holes.without_zeros_at_end(data[: -2 - int(told[1])] + data[-2:])

"""Pixels of every kind, as 8 bits a channel in sRGB."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from ingestor.images.header import Header
from ingestor.images.pixels import code_points, curves, srgb
from ingestor.images.pixels import icc as icc_file
from ingestor.images.pixels.samples import Picture, Samples

_PLAIN = ("L", "RGB", "RGBX", "RGBA", "CMYK", "LAB", "YCbCr", "HSV")
_SHOWN = ("L", "RGB", "RGBX", "RGBA")
_SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_BAND_PIXELS = 4_000_000
"""Deep pixels are converted in bands of this size, so that the intermediate numbers take little memory."""
_INTEGER_RANGES = tuple((1 << bits) - 1 for bits in (16, 24, 31, 32))
_WHITE_IS_ZERO = 0
"""Of a TIFF's PhotometricInterpretation."""
_GDAL_NODATA = 42113
_APPROXIMATE = "CMYK without a usable colour profile: its colours are approximate"
_NEARLY = 1e-5
"""How far from it a float may be that stands for no measurement: it is told in decimal digits, often few."""


# -- depth -----------------------------------------------------------------------------------------


def curved(image: Picture, header: Header) -> tuple[Picture, Header]:
    """Grey of 16 bits, or of floats from 0 to 1, that is stored by a steep curve, by that of sRGB; and the header of
    that. All else as it is.
    """
    if isinstance(image, Samples) or image.mode not in ("I;16", "I;16B", "F"):
        return image, header
    if no_data(getattr(image, "tag_v2", {})) is not None:
        return image, header  # measurements
    found = curves.of(header)
    if found is None or not found.fit(1) or (image.mode == "F" and not _is_within_one(image)):
        return image, header
    inverted = _tag(image, 262) == _WHITE_IS_ZERO
    shown = Image.new("F" if image.mode == "F" else "I;16", image.size)
    steps = (np.arange(65536) / _white(image)).clip(0.0, 1.0)
    table = (found.shown(1.0 - steps if inverted else steps, 0) * 65535 + 0.5).astype(np.uint16)
    top = 0
    for band in _bands(image):
        stored = np.asarray(band)
        if image.mode == "F":
            light = found.shown(1.0 - finite(stored) if inverted else finite(stored), 0).astype(np.float32)
            shown.paste(Image.fromarray(light), (0, top))
        else:
            shown.paste(Image.fromarray(table[stored]), (0, top))
        top += band.height
    if isinstance(clear := image.info.get("transparency"), int):
        shown.info["transparency"] = int(table[clear])
    return shown, found.left(header)


def _white(image: Image.Image) -> int:
    """Of grey of 16 bits."""
    return 4095 if _tag(image, 258) == 12 else 65535


def _is_within_one(image: Image.Image) -> bool:
    bands = (finite(np.asarray(band)) for band in _bands(image))
    return all(values.min() >= 0.0 and values.max() <= 1.0 for values in bands)


def to_eight_bits(image: Picture) -> tuple[Picture, list[str]]:
    """The same picture with 8 bits a channel and no palette, in the colours it has, and warnings.

    L, RGB, RGBX, RGBA, or a colour space that `to_srgb` ends. Values of more bits are scaled, never clipped.
    """
    mode = image.mode
    if isinstance(image, Samples):
        return image, []
    if mode.startswith("I") or mode == "F":
        grey, odd = _from_floats(image) if mode == "F" else (_from_whole_numbers(image), [])
        return ImageChops.invert(grey) if _tag(image, 262) == _WHITE_IS_ZERO else grey, odd
    if mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return _with_alpha(image), []
    if mode in _PLAIN:
        return image, []
    return image.convert("L" if mode == "1" else "RGB"), []


def _with_alpha(image: Image.Image) -> Image.Image:
    """RGBA; RGB or L where nothing is transparent after all."""
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    if list(rgba.getextrema())[3] == (255, 255):
        return image.convert("L") if image.mode in ("L", "LA", "La", "1") else rgba.convert("RGB")
    return rgba


def _tag(image: Image.Image, number: int) -> Any:
    """Of a TIFF: None where it is not told, and for all other formats."""
    told = getattr(image, "tag_v2", {}).get(number)
    return told[0] if isinstance(told, tuple) and len(set(told)) == 1 else told


def _from_whole_numbers(image: Image.Image) -> Image.Image:
    return _from_sixteen_bits(image) if image.mode.startswith("I;16") else _from_integers(image)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits. A colour that stands for "transparent" (PNG, tRNS) becomes alpha."""
    white = _white(image)
    grey = _by_bands(image, lambda values: (values.astype(np.uint32) * 255 + white // 2) // white)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    alpha = _by_bands(image, lambda values: np.where(values == clear, 0, 255))
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _from_integers(image: Image.Image) -> Image.Image:
    """32-bit integers, which hold 16 or 24 bits more often than 32: the range that is used decides which."""
    kind: type[np.signedinteger[Any]] | type[np.unsignedinteger[Any]] = np.uint32 if _is_unsigned(image) else np.int32
    unmeasured = no_data(getattr(image, "tag_v2", {}))

    def numbers(values: np.ndarray) -> np.ndarray:
        whole = values.view(kind)
        return whole if unmeasured is None else np.where(whole == unmeasured, 0, whole)

    bands = (numbers(np.asarray(band)) for band in _bands(image))
    ranges = [(int(values.min()), int(values.max())) for values in bands]
    low, high = min(0, *(low for low, _ in ranges)), max(high for _, high in ranges)
    if unmeasured is not None:
        high = max(high, low + 1)  # measurements, of which nobody knows how far they could go
    elif low == 0 and _tag(image, 258) == 16:
        high = (1 << 15) - 1  # with a sign, or there would be other pixels
    elif low == 0:
        high = next(most for most in _INTEGER_RANGES if high <= most)
    scale = 255 / (high - low)
    return _by_bands(image, lambda values: (numbers(values).astype(np.float64) - low) * scale + 0.5)


def _is_unsigned(image: Image.Image) -> bool:
    """Whether a TIFF has 32 bits without a sign, which Pillow hands out as if they had one."""
    bits, kind = _tag(image, 258), _tag(image, 339)
    return bits == 32 and kind in (None, 1)


def _from_floats(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Floats mean 0 to 1; where they go beyond, the whole range is scaled, so that nothing is clipped."""
    unmeasured = no_data(getattr(image, "tag_v2", {}))
    low, high = 0.0, 1.0
    for band in _bands(image):
        values = finite(np.asarray(band), unmeasured)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    scale = 255.0 / (high - low)
    return _by_bands(image, lambda values: (finite(values, unmeasured) - low) * scale + 0.5), told_range(low, high)


def told_range(low: float, high: float) -> list[str]:
    """The warning of floats that were scaled from another range than 0 to 1."""
    return [f"values from {low:g} to {high:g} were scaled to those of a picture"] if (low, high) != (0.0, 1.0) else []


def finite(values: np.ndarray, unmeasured: float | None = None) -> np.ndarray:
    """Floats with 0 for what is no number, infinite, or the number that stands for no measurement."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if unmeasured is not None:
        numbers[np.isclose(numbers, unmeasured, rtol=_NEARLY, atol=0.0)] = 0.0
    return numbers


def no_data(tags: Mapping[int, Any]) -> float | None:
    """The number that in a TIFF of measurements stands for none (as GDAL tells it); None where there is no such."""
    try:
        told = float(str(tags.get(_GDAL_NODATA, "")).strip(" \0"))
    except ValueError:
        return None
    return told if math.isfinite(told) else None


def _by_bands(image: Image.Image, to_byte: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    grey = Image.new("L", image.size)
    top = 0
    for band in _bands(image):
        values = to_byte(np.asarray(band)).astype(np.uint8)
        grey.paste(Image.fromarray(values, "L"), (0, top))
        top += band.height
    return grey


def _bands(image: Image.Image) -> list[Image.Image]:
    rows = max(1, _BAND_PIXELS // image.width)
    return [image.crop((0, top, image.width, min(image.height, top + rows))) for top in range(0, image.height, rows)]


# -- colour ----------------------------------------------------------------------------------------


def to_srgb(image: Image.Image, header: Header) -> tuple[Image.Image, bool, list[str]]:
    """The picture in sRGB (L, RGB, RGBX or RGBA), whether its colours had to be converted, and warnings.

    A profile that is broken, or is for other channels than there are, is left out.
    """
    icc, odd = _told(image.mode, header)
    if icc:
        try:
            return _by_profile(image, icc)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            odd.append(_left_out(error))
    if image.mode == "LAB":
        return _transformed(image, ImageCms.createProfile("LAB")), True, odd
    if image.mode == "CMYK":
        odd.append(_APPROXIMATE)
    if image.mode not in _SHOWN:
        return image.convert("RGB"), True, odd
    if (gamma := curves.own_gamma(header)) is not None:
        return _by_gamma(image, gamma), True, odd
    return image, False, odd


def _told(mode: str, header: Header) -> tuple[bytes | None, list[str]]:
    """The profile of colours, however they are told of, and a warning where one cannot be had."""
    if header.is_adobe_rgb and mode in ("RGB", "RGBX"):
        # Browsers and Pillow take no notice, but colours have no other meaning, and what is shown by it is right.
        return code_points.adobe_rgb(), []
    icc = header.attached.icc
    if icc or header.code_points is None or code_points.are_usual(*header.code_points):
        return icc, []
    icc = code_points.profile(*header.code_points)
    return icc, [] if icc else [_not_converted(*header.code_points)]


def is_to_be_changed(mode: str, header: Header) -> bool:
    """Whether `to_srgb` will have something to convert, as far as that shows before a pixel is decoded.

    `mode` is Pillow's, of the picture as it is stored.
    """
    if mode not in _PLAIN:
        is_grey = mode in ("1", "F", "LA", "La") or mode.startswith("I")
        mode = "L" if is_grey else "RGB"
    icc, _ = _told(mode, header)
    if icc:
        try:
            return _changes(mode, icc)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # it will be left out
    return mode not in _SHOWN or curves.own_gamma(header) is not None


def _changes(mode: str, icc: bytes) -> bool:
    """Raises `ValueError` for a profile of other colours than there are, and what `ImageCms` does for a broken one."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and mode not in ("CMYK", "LAB"):
        icc_file.check_primaries(icc)
        return not _is_srgb(profile)
    if space != _SPACES.get(mode):
        raise ValueError(f"it is for {space}, and the picture is {mode}")
    return True


def inks_in_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, list[str]]:
    """CMYK in sRGB, and warnings: before anything else is done where there is alpha too, for which CMYK has no room."""
    odd = []
    if icc:
        try:
            return _by_profile(image, icc)[0], []
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            odd.append(_left_out(error))
    return image.convert("RGB"), [*odd, _APPROXIMATE]


def _left_out(error: Exception) -> str:
    return f"the colour profile cannot be used and was left out ({error})"


def _not_converted(primaries: int, transfer: int) -> str:
    return (
        f"its colours are told by code points that are not converted (primaries {primaries}, transfer {transfer}), as "
        "those of HDR: they may look paler or darker; export it as sRGB"
    )


def _by_profile(image: Image.Image, icc: bytes) -> tuple[Image.Image, bool, list[str]]:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    space = profile.profile.xcolor_space.strip()
    if image.mode == "RGBX" or (image.mode in ("L", "YCbCr", "HSV") and space == "RGB"):
        image = image.convert("RGB")
    if image.mode == "RGBA" and space == "GRAY" and _is_grey(image):
        shown = _transformed(image.getchannel("R"), profile)
        shown.putalpha(image.getchannel("A"))
        return shown, True, []
    if image.mode in ("RGB", "RGBA") and space == "GRAY":
        raise ValueError("it is for grey pictures, and this one is not")
    if space != _SPACES.get(image.mode):
        raise ValueError(f"it is for {space}, and the picture is {image.mode}")
    if space == "RGB":
        icc_file.check_primaries(icc)
        if _is_srgb(profile):
            return image, False, []
    return _transformed(image, profile), True, []


def _is_grey(image: Image.Image) -> bool:
    red, green, blue, *_ = image.split()
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))


def _transformed(image: Image.Image, profile: Any) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGBA" if image.mode == "RGBA" else "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether it maps a cube of colours onto themselves, whatever it is called."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
    mapped = np.asarray(_transformed(Image.fromarray(cube, "RGB"), profile))
    return int(np.abs(mapped.astype(int) - cube.astype(int)).max()) <= 2


def _by_gamma(image: Image.Image, gamma: float) -> Image.Image:
    light = (np.arange(256) / 255.0) ** (1.0 / gamma)
    table = [int(value) for value in srgb.value_of(light).clip(0.0, 1.0) * 255 + 0.5]
    channels = image.split()
    shown = [channel.point(table) for channel in channels[:3]]
    return Image.merge(image.mode, [*shown, *channels[3:]]) if len(channels) > 1 else shown[0]

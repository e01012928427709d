"""Pixels of every kind, as 8 bits a channel in sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from ingestor.images.headers import Attached

_PLAIN = ("L", "RGB", "RGBX", "RGBA", "CMYK", "LAB", "YCbCr", "HSV")


def to_eight_bits(image: Image.Image, warnings: list[str]) -> Image.Image:
    """The same picture with 8 bits a channel and no palette: L, RGB, RGBA, or a colour space that `to_srgb` ends.

    Values of more bits are scaled, not clipped.
    """
    mode = image.mode
    if image.has_transparency_data:
        return _with_alpha(image)
    if mode in _PLAIN:
        return image
    if mode == "P":
        return image.convert("RGB")
    if mode == "1":
        return image.convert("L")
    if mode.startswith("I;16"):
        return _from_unsigned(np.asarray(image), 65535)
    if mode == "I":
        return _from_integers(np.asarray(image))
    if mode == "F":
        return _from_floats(np.asarray(image), warnings)
    return image.convert("RGB")


def _with_alpha(image: Image.Image) -> Image.Image:
    """RGBA; RGB or L where nothing is transparent after all."""
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    low, _ = rgba.getchannel("A").getextrema()
    if low == 255:
        return image.convert("L") if image.mode in ("L", "LA") else rgba.convert("RGB")
    return rgba


def _from_unsigned(values: np.ndarray, most: int) -> Image.Image:
    step = most // 255
    return Image.fromarray(((values.astype(np.uint32) + step // 2) // step).astype(np.uint8), "L")


def _from_integers(values: np.ndarray) -> Image.Image:
    """32-bit integers hold 8 or 16 bits more often than 32."""
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 65535:
        return _from_unsigned(values, 65535)
    span = max(1, high - low)
    return Image.fromarray(((values.astype(np.float64) - low) * (255 / span) + 0.5).astype(np.uint8), "L")


def _from_floats(values: np.ndarray, warnings: list[str]) -> Image.Image:
    """Floats mean 0 to 1; what goes beyond that is scaled as a whole, so that nothing is clipped."""
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(finite.min())), max(1.0, float(finite.max()))
    if (low, high) != (0.0, 1.0):
        warnings.append(f"values from {low:g} to {high:g} were scaled to the range of a picture")
    return Image.fromarray(((finite - low) * (255 / (high - low)) + 0.5).astype(np.uint8), "L")


def to_srgb(image: Image.Image, attached: Attached, warnings: list[str]) -> tuple[Image.Image, bool]:
    """The picture in sRGB (L, RGB or RGBA), and whether its colours had to be converted.

    A profile that is broken, or is for other channels than there are, is left out with a warning.
    """
    if attached.icc:
        try:
            converted = _by_profile(image, attached.icc)
            if converted is not None:
                return converted, True
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            warnings.append(f"the colour profile cannot be used and was left out ({error})")
    if image.mode == "LAB":
        return _by_transform(image, ImageCms.createProfile("LAB"), "LAB"), True
    if image.mode in ("L", "RGB", "RGBA"):
        return image, False
    return image.convert("RGB"), image.mode != "RGBX"


def _by_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    """Converted; None where the profile is sRGB already."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    space = profile.profile.xcolor_space.strip()
    source = image.convert("RGB") if image.mode == "RGBX" else image
    if source.mode == "L" and space == "RGB":
        source = source.convert("RGB")
    if space != {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}.get(source.mode):
        raise ValueError(f"it is for {space}, the picture is {source.mode}")
    if space == "RGB" and _is_srgb(profile):
        return None
    return _by_transform(source, profile, source.mode)


def _by_transform(
    image: Image.Image, profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile, mode: str
) -> Image.Image:
    out = "RGBA" if mode == "RGBA" else "RGB"
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        out,
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
    mapped = np.asarray(_by_transform(Image.fromarray(cube, "RGB"), profile, "RGB"))
    return int(np.abs(mapped.astype(int) - cube.astype(int)).max()) <= 2

"""What was written, read back: it must be what was meant, or nothing is sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images.encode import Encoded

_GRID = 64
_MOST_DIFFERENCE = 24.0
"""Of 255, between the averages of any cell: far more than the lowest quality costs, far less than a lost block."""


def check(encoded: Encoded, name: str) -> None:
    """Raises `ImageRejected` (`unverified`) unless format, size and pixels read back as they were meant."""
    try:
        with Image.open(io.BytesIO(encoded.data), formats=[encoded.format]) as picture:
            picture.load()
            agrees = picture.size == encoded.image.size and _looks_alike(picture, encoded.image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _unverified(name, str(error)) from error
    if not agrees:
        raise _unverified(name, "other pixels")


def _looks_alike(one: Image.Image, other: Image.Image) -> bool:
    first, second = _cells(one), _cells(other)
    return first.shape == second.shape and float(np.abs(first - second).max()) <= _MOST_DIFFERENCE


def _cells(image: Image.Image) -> np.ndarray:
    mode = "RGBA" if image.has_transparency_data else "RGB"
    size = (min(_GRID, image.width), min(_GRID, image.height))
    small = image.convert(mode).resize(size, Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32)
    if mode == "RGB":
        return values
    alpha = values[..., 3:]
    return np.concatenate([values[..., :3] * alpha / 255, alpha], axis=-1)


def _unverified(name: str, why: str) -> ImageRejected:
    return ImageRejected("unverified", f"{name}: what was written did not read back as meant ({why}); report this")

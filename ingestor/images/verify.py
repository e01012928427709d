"""What was written, read back: it must be what was meant, or nothing is sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images.fitting import Fitted

_MOST_CELLS = 64
_LEAST_CELL_PX = 8
_MOST_DIFFERENCE = 40.0
"""Of 255, between the averages of any cell: more than the lowest quality costs the strangest picture, far less than a
block that is lost."""


def check(fitted: Fitted, name: str) -> None:
    """Raises `ImageRejected` (`unverified`) unless format, size and pixels read back as they were meant."""
    try:
        with Image.open(io.BytesIO(fitted.data), formats=[fitted.format]) as picture:
            picture.load()
            agrees = picture.size == fitted.image.size and _look_alike(picture, fitted.image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise unverified(name, str(error)) from error
    if not agrees:
        raise unverified(name, "other pixels")


def _look_alike(one: Image.Image, other: Image.Image) -> bool:
    first, second = _cells(one), _cells(other)
    return bool(np.abs(first - second).max() <= _MOST_DIFFERENCE)


def _cells(image: Image.Image) -> np.ndarray:
    """Averages over a grid: red, green and blue as alpha leaves them, and alpha."""
    size = [min(_MOST_CELLS, -(-side // _LEAST_CELL_PX)) for side in image.size]
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = image.resize(size, Image.Resampling.BOX).convert("RGBA")
    values = np.asarray(small, dtype=np.float32)
    return np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], axis=-1)


def unverified(name: str, why: str) -> ImageRejected:
    return ImageRejected("unverified", f"{name}: what was written did not read back as meant ({why}); report this")

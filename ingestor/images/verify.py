"""What was written, read back: it must be what was meant, or nothing is sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images.fitting import Fitted
from ingestor.images.kinds import jpeg, webp
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.policy.sizing import Size

Look = np.ndarray
"""Averages over a grid of cells: red, green and blue as alpha leaves them, and alpha."""

_MOST_CELLS = 64
_LEAST_CELL_PX = 8
_MOST_DIFFERENCE = 72.0
"""Of 255, in any cell: more than the lowest quality costs the strangest picture (57 measured, of purest noise), far
less than a block that is lost."""
_MOST_BRIGHTENED = 74.0
"""Likewise, where light is averaged instead of values: a quarter of white among black comes out by so much brighter."""

_LARGE_PX = 1024
"""From here on an eighth of a JPEG, or the planes of a WebP, are enough to look at: every bit is read all the same."""


def look_of(image: Image.Image) -> Look:
    """What a picture looks like from afar: kept instead of its pixels until the file can be compared with it."""
    columns, rows = (min(_MOST_CELLS, -(-side // _LEAST_CELL_PX)) for side in image.size)
    return _look(image, columns, rows)


def check(fitted: Fitted, meant: Look, name: str, *, brightened: bool = False) -> None:
    """Raises `ImageRejected` (`unverified`) unless format, size and pixels read back as they were meant.

    `brightened`: since then the picture was made smaller by averages of its light.
    """
    try:
        picture = _read_back(fitted)
    except (OSError, SyntaxError, ValueError, EOFError, jpeg.NotReadHere) as error:
        raise unverified(name, str(error)) from error
    rows, columns = meant.shape[:2]
    difference = _look(picture, columns, rows) - meant
    # A picture that had to be made smaller once more has less in a cell: several are looked at as one.
    cell_px = min(fitted.size.width / columns, fitted.size.height / rows)
    together = max(1, round(_LEAST_CELL_PX / cell_px))
    most = _MOST_DIFFERENCE + (_MOST_BRIGHTENED if brightened else 0)
    if float(np.abs(_averages(difference, together)).max()) > most:
        raise unverified(name, "other pixels")


def _averages(look: Look, count: int) -> Look:
    """Of `count` x `count` neighbours each; at the far edges of fewer."""
    for axis in (0, 1):
        starts = np.arange(0, look.shape[axis], count)
        sizes = np.diff(np.append(starts, look.shape[axis]))
        look = np.moveaxis(np.moveaxis(np.add.reduceat(look, starts, axis=axis), axis, -1) / sizes, -1, axis)
    return look


def _read_back(fitted: Fitted) -> Image.Image | webp.Planes:
    with Image.open(io.BytesIO(fitted.data), formats=[fitted.format]) as picture:
        size = Size(*picture.size)
        if size != fitted.size:
            raise ValueError(f"{size} instead of {fitted.size}")
        is_large = min(size.width, size.height) >= _LARGE_PX
        match fitted.format:
            case "JPEG":
                eighth = Size(-(-size.width // 8), -(-size.height // 8))
                decoded, odd = jpeg.decode(Walk(fitted.data), eighth if is_large else size, strict=True)
                if odd:
                    raise ValueError("; ".join(odd))
                return decoded
            case "WEBP":
                return webp.read_back(fitted.data, from_afar=is_large)
            case _:
                picture.load()
                return picture


def _look(picture: Image.Image | webp.Planes, columns: int, rows: int) -> Look:
    if isinstance(picture, webp.Planes):
        planes = (_small(plane, columns, rows) for plane in (picture.luma, picture.blue, picture.red))
        rgb = picture.to_rgb(*(np.asarray(plane, dtype=np.float32) for plane in planes))
        return np.concatenate([rgb, np.full((rows, columns, 1), 255, np.float32)], axis=-1)
    mode = {"RGBX": "RGB"}.get(picture.mode, picture.mode)
    values = np.asarray(_small(picture, columns, rows).convert(mode).convert("RGBA"), dtype=np.float32)
    return np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], axis=-1)


def _small(image: Image.Image, columns: int, rows: int) -> Image.Image:
    # Whole pixels first, as many as leave each cell several: twice as fast, and no average moves by more than one.
    factor = max(1, min(image.width // columns, image.height // rows) // _LEAST_CELL_PX)
    return (image.reduce(factor) if factor > 1 else image).resize((columns, rows), Image.Resampling.BOX)


def unverified(name: str, why: str) -> ImageRejected:
    return ImageRejected("unverified", f"{name}: what was written did not read back as meant ({why}); report this")

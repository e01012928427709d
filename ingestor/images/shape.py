"""Turning and resizing."""

from __future__ import annotations

from PIL import Image

from ingestor.policy.sizing import Size

REDUCING_GAP = 3.0
"""Averages whole pixels first where more than three times too many remain for Lanczos: no difference is seen."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def resized(image: Image.Image, box: Size) -> Image.Image:
    """The picture at exactly `box`, by Lanczos. Alpha is premultiplied meanwhile, so that no fringe appears."""
    if image.size == (box.width, box.height):
        return image
    return image.resize((box.width, box.height), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright. Done after resizing to the turned box, which gives the same pixels for less work."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image

"""How large a picture will be once it is encoded, foreseen from tiles of it."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ingestor.policy import sizing
from ingestor.policy.sizing import Size

FEW_TILES = 6
CLEARLY = 0.75
"""A few tiles are believed where they foresee less than this share of the limit."""
MOST_ASKED = 8

Encoder = Callable[[Image.Image, float], bytes]


class Foresight:
    """The size of one picture at any quality, through one encoder."""

    def __init__(self, image: Image.Image, encoder: Encoder) -> None:
        self._image = image
        self._encoder = encoder
        self._sheets: dict[int, tuple[Image.Image, float]] = {}

    def size_bytes(self, quality: float, *, tiles: int = sizing.MOST_TILES) -> float:
        if tiles not in self._sheets:
            self._sheets[tiles] = _sheet(self._image, tiles)
        sheet, share = self._sheets[tiles]
        return len(self._encoder(sheet, quality)) / share

    def best_quality(self, ceiling: float, target_bytes: float) -> tuple[float, float]:
        """The best quality (at most `ceiling`) at which `target_bytes` are expected to do, and the expected bytes.

        More bytes than the target are expected only at the lowest quality: then nothing but a smaller picture helps.
        """
        known = [(ceiling, self.size_bytes(ceiling))]
        while len(known) < MOST_ASKED and (quality := sizing.next_quality(known, target_bytes, ceiling)) is not None:
            known.append((quality, self.size_bytes(quality)))
        return sizing.best_known(known, target_bytes)


def _sheet(image: Image.Image, tiles: int) -> tuple[Image.Image, float]:
    """Tiles of the picture in one sheet, and which share of the picture they are."""
    size = Size(*image.size)
    boxes = sizing.tile_boxes(size, tiles)
    width, height = boxes[0][2] - boxes[0][0], boxes[0][3] - boxes[0][1]
    if len(boxes) == 1 and (width, height) == image.size:
        return image, 1.0
    sheet = Image.new(image.mode, (width, height * len(boxes)))
    for row, box in enumerate(boxes):
        sheet.paste(image.crop(box), (0, row * height))
    return sheet, width * height * len(boxes) / size.pixels

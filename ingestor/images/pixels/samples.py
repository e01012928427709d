"""Pixels as a decoder gives them: a copy less than as Pillow's image, and given back piece by piece."""

from __future__ import annotations

import numpy as np
from PIL import Image


class Samples:
    """A picture of 8 bits a channel that is about to be made smaller.

    `pixels`: rows, columns, channels. What does not own its memory is given back when all of it is used.
    """

    def __init__(self, mode: str, pixels: np.ndarray) -> None:
        self.mode = mode
        self.size = (pixels.shape[1], pixels.shape[0])
        self._pixels = pixels

    def rows(self, first: int, last: int) -> np.ndarray:
        """Rows `first` to before `last`; to be dropped before `let_go`."""
        return self._pixels[first:last]

    def let_go(self, first: int) -> None:
        """Give back the memory of the rows from `first` on."""
        if self._pixels.flags.owndata:
            self._pixels.resize((first, *self._pixels.shape[1:]), refcheck=False)

    def image(self) -> Image.Image:
        """The same as Pillow's image, in memory of its own."""
        return Image.frombytes(self.mode, self.size, self._pixels)


Picture = Image.Image | Samples

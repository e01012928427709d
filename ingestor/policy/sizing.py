"""How large a picture may stay, and how its encoded size is foreseen. Numbers in, numbers out."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from ingestor.errors import ImageRejected

TARGET_SHARE = 0.965
"""Of `max_bytes`: aimed at when quality has to go down, so that a foresight 3.5 % too low still fits."""
LEAST_SHARE = 0.90
"""Of `max_bytes`: used at least when quality had to go down; less means quality was given away."""
LOWEST_QUALITY = 20.0
"""WebP below it looks worse than a smaller picture; from here on the size goes down instead."""

TILE_PX = 256
"""Side of a sample tile: as cheap as it gets before the cost of a tile's edges shows."""
MOST_TILES = 24

NEAR_ENOUGH = 0.97
"""Of the bytes aimed at: what a better search would still win, nobody sees."""
_FINEST_STEP = 0.3
_USUAL_SLOPE = 0.03
"""A step of quality costs 3 % of the bytes of a usual photograph."""

_BASE_BYTES = 400_000_000
_BYTES_PER_PIXEL = 9


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def longest(self) -> int:
        return max(self.width, self.height)

    @property
    def swapped(self) -> Size:
        return Size(self.height, self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def fitting_box(size: Size, longest_side_px: int) -> Size:
    """The same shape with no side over the limit and none under 1; the very same where it fits already."""
    if size.longest <= longest_side_px:
        return size
    scale = longest_side_px / size.longest
    return Size(*(max(1, min(longest_side_px, round(side * scale))) for side in (size.width, size.height)))


def turns_sides(orientation: int) -> bool:
    """Whether an EXIF orientation swaps width and height."""
    return 5 <= orientation <= 8


def worker_memory_bytes(max_pixels: int) -> int:
    """Address space that is enough for any picture of `max_pixels`.

    4 bytes a pixel as decoded, 4 for one copy (premultiplied, or in other colours), 1 for the file itself, over a
    base for Python, the libraries and the picture that is written. Measured: 300 MP RGBA PNG needs 2.8 GB.
    """
    return _BASE_BYTES + _BYTES_PER_PIXEL * max_pixels


def largest_file_bytes(max_pixels: int) -> int:
    """No honest file of `max_pixels` is larger: 16 bits for each of four channels, and room for what else is in it."""
    return 64_000_000 + 8 * max_pixels


def check_file_bytes(name: str, size_bytes: int, max_pixels: int) -> None:
    """Raises `ImageRejected` (`too_many_bytes`) for a file that is larger than any picture can be."""
    if size_bytes > largest_file_bytes(max_pixels):
        raise ImageRejected(
            "too_many_bytes",
            f"{name}: {size_bytes:,} bytes are more than any picture of {max_pixels:,} pixels needs; export it anew, "
            "or raise normalise.max_pixels",
        )


_BOMB_PIXELS = 64_000_000
_BOMB_PIXELS_PER_BYTE = 10_000


def is_bomb(size: Size, file_bytes: int) -> bool:
    """Whether so large a picture in so small a file can have nothing on it.

    Blank pages of fax-coded TIFF come near; Deflate (PNG) ends at 8,000 pixels a byte, and that for one bit a pixel.
    """
    return size.pixels > _BOMB_PIXELS and size.pixels > _BOMB_PIXELS_PER_BYTE * file_bytes


# -- foreseeing the size of an encoded picture --------------------------------------------------------


_NOISE_BYTES_PER_PIXEL = (
    (0.0, 0.19),
    (20.0, 0.52),
    (50.0, 0.66),
    (75.0, 0.76),
    (85.0, 0.89),
    (90.0, 1.00),
    (95.0, 1.12),
    (98.0, 1.23),
    (98.25, 3.13),
    (100.0, 3.13),
)
"""(quality, bytes): noise of the eight purest colours through libwebp 1.6, method 0: nothing needs more."""


def worst_bytes_per_pixel(quality: float, *, alpha: bool = False) -> float:
    """What WebP needs for the worst picture there is, with 20 % to spare. Alpha is stored without loss."""
    extra = 1.1 if alpha else 0.0
    for (left, low), (right, high) in itertools.pairwise(_NOISE_BYTES_PER_PIXEL):
        if quality <= right:
            return extra + 1.2 * (low + (high - low) * (quality - left) / (right - left))
    return extra + 1.2 * _NOISE_BYTES_PER_PIXEL[-1][1]


def surely_fits(size: Size, quality: float, max_bytes: int, *, alpha: bool = False) -> bool:
    """Whether even noise of this size would fit, so that nothing needs to be foreseen."""
    return size.pixels * worst_bytes_per_pixel(quality, alpha=alpha) + 1024 <= max_bytes


def tile_boxes(size: Size, most: int = MOST_TILES) -> list[tuple[int, int, int, int]]:
    """Where samples are taken, as (left, top, right, bottom): middles of an even grid, at most a third of the area."""
    wanted = max(1, min(most, size.pixels // (3 * TILE_PX * TILE_PX)))
    columns = max(1, min(wanted, round(math.sqrt(wanted * size.width / size.height))))
    rows = max(1, wanted // columns)
    columns = max(1, min(columns, size.width // TILE_PX or 1))
    rows = max(1, min(rows, size.height // TILE_PX or 1))
    tile = Size(min(TILE_PX, size.width), min(TILE_PX, size.height))
    boxes = []
    for row in range(rows):
        for column in range(columns):
            left = min(size.width - tile.width, int((column + 0.5) * size.width / columns - tile.width / 2))
            top = min(size.height - tile.height, int((row + 0.5) * size.height / rows - tile.height / 2))
            boxes.append((max(0, left), max(0, top), max(0, left) + tile.width, max(0, top) + tile.height))
    return boxes


def next_quality(known: list[tuple[float, float]], target_bytes: float, ceiling: float) -> float | None:
    """The quality to ask about next in search of `target_bytes`; None where enough is known.

    `known` has sizes at other qualities, and begins with `ceiling`, the best there may be; nothing below
    `LOWEST_QUALITY` is asked for. Between two qualities the logarithm of the size is nearly straight.
    """
    above = [point for point in sorted(known) if point[1] > target_bytes]
    below = [point for point in sorted(known) if point[1] <= target_bytes]
    lowest = min(LOWEST_QUALITY, ceiling)
    if not above or above[0][0] <= lowest:
        return None
    right = above[0]
    if not below:
        guess = right[0] - math.log(right[1] / target_bytes) / _USUAL_SLOPE
        # Rounded down: what is barely below the ceiling stays below it.
        return max(lowest, math.floor(guess * 10) / 10) if len(known) == 1 and guess > lowest else lowest
    left = below[-1]
    if left[1] >= NEAR_ENOUGH * target_bytes or right[0] - left[0] < _FINEST_STEP:
        return None
    share = math.log(target_bytes / left[1]) / math.log(right[1] / left[1])
    return round(left[0] + (right[0] - left[0]) * min(0.9, max(0.1, share)), 2)


def best_known(known: list[tuple[float, float]], target_bytes: float) -> tuple[float, float]:
    """The best quality that keeps to `target_bytes`, with its size; the lowest where none does."""
    fitting = [point for point in known if point[1] <= target_bytes]
    return max(fitting) if fitting else min(known)

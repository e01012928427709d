"""Icons and cursors put together byte by byte: the best picture is taken, with its mask."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import IngestorError
from tests import image_kit as kit

ICON, CURSOR = 1, 2
SIDE = 64


def directory(kind: int, *pictures: tuple[int, int, bytes]) -> bytes:
    """Of pictures with their side and depth; cursors have a hot spot in place of that."""
    head, body = struct.pack("<3H", 0, kind, len(pictures)), b""
    for side, depth, data in pictures:
        place = (3, 5) if kind == CURSOR else (1, depth)
        at = 6 + 16 * len(pictures) + len(body)
        head += struct.pack("<4B2H2I", side & 255, side & 255, 0, 0, *place, len(data), at)
        body += data
    return head + body


def with_length(data: bytes, length: int) -> bytes:
    """A directory of one picture that tells of another length."""
    return data[:14] + struct.pack("<I", length) + data[18:]


def bitmap(bits: int, *, alpha: int = 255, masked: bool = False) -> bytes:
    """The quarters, or stripes of black and white for 1 bit; `masked`: without their right half."""
    row_bytes = (SIDE + 31) // 32 * 4
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[:, SIDE // 2 :] = masked
    mask = b"".join(np.packbits(row).tobytes().ljust(row_bytes, b"\0") for row in hidden)
    bgr = np.asarray(kit.quarters(SIDE, SIDE))[::-1, :, ::-1]
    if bits == 1:
        pixels = b"\0\0\0\0\xff\xff\xff\0" + b"\xaa" * (row_bytes * SIDE)
    elif bits == 24:
        pixels = bgr.tobytes()
    else:
        pixels = np.dstack([bgr, np.full((SIDE, SIDE), alpha, np.uint8)]).tobytes()
    return struct.pack("<IiiHHIIiiII", 40, SIDE, 2 * SIDE, 1, bits, 0, 0, 0, 0, 0, 0) + pixels + mask


def png(side: int = SIDE) -> bytes:
    return kit.saved(kit.quarters(side, side).convert("RGBA"), "PNG")


def shown(payload) -> Image.Image:
    with Image.open(payload.file) as image:
        return image.convert("RGBA")


def assert_right_half_is_clear(image: Image.Image) -> None:
    alpha = np.asarray(image)[..., 3]
    assert (alpha[:, : SIDE // 2] == 255).all()
    assert (alpha[:, SIDE // 2 :] == 0).all()
    assert kit.close([image.getpixel((8, 8))[:3]], kit.QUADRANTS[:1], 12)


@pytest.mark.parametrize("kind", [ICON, CURSOR])
def test_of_pictures_of_one_size_that_of_the_most_colours_is_taken(made_fit, kind):
    for pictures in [(1, 32, 24), (32, 24, 1), (24, 1, 32)]:
        data = directory(kind, *((SIDE, bits, bitmap(bits)) for bits in pictures))
        assert kit.close(kit.corners(shown(made_fit(data))), kit.QUADRANTS, 12)


@pytest.mark.parametrize("kind", [ICON, CURSOR])
def test_a_larger_picture_goes_before_one_of_more_colours(made_fit, kind):
    payload = made_fit(directory(kind, (16, 32, png(16)), (SIDE, 24, bitmap(24)), (32, 32, png(32))))
    assert (payload.width_px, payload.height_px) == (SIDE, SIDE)


@pytest.mark.parametrize("kind", [ICON, CURSOR])
def test_sides_beyond_what_the_directory_can_say_are_compared_too(made_fit, kind):
    payload = made_fit(directory(kind, (256, 32, png(256)), (256, 32, png(320))))
    assert payload.width_px == 320


@pytest.mark.parametrize("kind", [ICON, CURSOR])
@pytest.mark.parametrize(("bits", "alpha"), [(24, 255), (32, 0)], ids=["24 bits", "alpha of zeros"])
def test_what_the_mask_hides_is_clear(made_fit, kind, bits, alpha):
    data = directory(kind, (SIDE, bits, bitmap(bits, alpha=alpha, masked=True)))
    assert_right_half_is_clear(shown(made_fit(data)))


@pytest.mark.parametrize("kind", [ICON, CURSOR])
@pytest.mark.parametrize("length", [0, 8, 1_000_000])
def test_the_mask_lies_behind_the_picture_whatever_the_directory_tells_of_its_length(made_fit, kind, length):
    data = directory(kind, (SIDE, 24, bitmap(24, masked=True)))
    assert_right_half_is_clear(shown(made_fit(with_length(data, length))))


def test_alpha_goes_before_the_mask(made_fit):
    image = shown(made_fit(directory(ICON, (SIDE, 32, bitmap(32, alpha=90, masked=True)))))
    assert image.getchannel("A").getextrema() == (90, 90)


def test_an_invisible_png_has_no_mask(made_fit):
    clear = kit.quarters(SIDE, SIDE).convert("RGBA")
    clear.putalpha(0)
    image = shown(made_fit(directory(ICON, (SIDE, 32, kit.saved(clear, "PNG")))))
    assert image.getchannel("A").getextrema() == (0, 0)


def test_a_cursor_may_be_a_png(made_fit):
    assert kit.close(kit.corners(shown(made_fit(directory(CURSOR, (SIDE, 0, png()))))), kit.QUADRANTS, 12)


def test_a_larger_picture_that_is_missing_is_not_passed_over(made_fit):
    data = directory(ICON, (32, 32, png(32)), (SIDE, 24, bitmap(24)))
    with pytest.raises(IngestorError):
        made_fit(data[: -len(bitmap(24))])

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected, SourceNotReady
from tests import image_kit as kit

WIDTH, HEIGHT = 63, 48
RED_AND_BLUE = bytes((0, 0, 255, 0)) + bytes((255, 0, 0, 0))
"""A palette."""


def header(
    bits: int, compression: int, length: int, *, size: int = 40, height: int = HEIGHT, colours: int = 0, more: bytes
) -> bytes:
    told = struct.pack("<Iii2H6I", size, WIDTH, height, 1, bits, compression, length, 0, 0, colours, 0)
    return told + (more.ljust(size - 40, b"\0") if size > 40 else more)


def bmp(dib: bytes, at: int) -> bytes:
    """The same with a file header; `at`: where the pixels are in it."""
    return struct.pack("<2s3I", b"BM", 14 + len(dib), 0, 14 + at) + dib


def masked(
    masks: tuple[int, ...], bits: int, *, size: int = 40, compression: int = 3, top_first: bool = False, alpha: int = 1
) -> tuple[bytes, int]:
    """The usual picture without a file header, and where its pixels are. `alpha`: of 0 or 1."""
    colours = np.asarray(kit.quarters(WIDTH, HEIGHT)).astype(np.uint64)
    channels = np.dstack([colours, np.full((HEIGHT, WIDTH), 255 * alpha, np.uint64)])
    stored = np.zeros((HEIGHT, WIDTH + WIDTH * bits // 8 % 4 * 8 // bits), np.uint64)
    for channel, mask in enumerate(masks):
        lowest = mask & -mask or 1
        stored[:, :WIDTH] |= (channels[..., channel] * (mask // lowest) + 127) // 255 * lowest
    data = stored.astype(f"<u{bits // 8}")[:: 1 if top_first else -1].tobytes()
    more = struct.pack(f"<{len(masks)}I", *masks)
    head = header(bits, compression, len(data), size=size, height=-HEIGHT if top_first else HEIGHT, more=more)
    return head + data, len(head)


MASKS = {
    "4444": ((0xF00, 0xF0, 0xF, 0xF000), 16, {"size": 124}),
    "444": ((0xF00, 0xF0, 0xF), 16, {"size": 56}),
    "4 bits and a version that has no alpha": ((0xF00, 0xF0, 0xF), 16, {"size": 52}),
    "of 12 bits, the second": ((0xFF000000, 0xFF0, 0xFF0000), 32, {}),
    "10 and 11 bits": ((0xFFE00000, 0x1FFC00, 0x3FF), 32, {}),
    "alpha of 2 bits": ((0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000), 32, {"size": 108}),
    "with alpha beside a short header": ((0xFF000000, 0xFF00, 0xFF, 0xFF0000), 32, {"compression": 6}),
    "top first": ((0xF00, 0xF0, 0xF, 0xF000), 16, {"size": 56, "top_first": True}),
}


@pytest.mark.parametrize(("masks", "bits", "options"), MASKS.values(), ids=MASKS)
def test_pixels_are_told_by_masks(made_fit, monkeypatch, masks, bits, options):
    monkeypatch.setattr("ingestor.images.kinds.bmp._BAND_PIXELS", 5 * WIDTH)
    with Image.open(made_fit(bmp(*masked(masks, bits, **options))).file) as image:
        assert image.mode == "RGB"
        assert kit.close(kit.corners(image), kit.QUADRANTS, 16)


def test_alpha_has_a_mask_too(made_fit):
    data = bytearray(bmp(*masked((0xF00, 0xF0, 0xF, 0xF000), 16, size=124)))
    rows = np.frombuffer(memoryview(data)[-HEIGHT * 128 :], "<u2").reshape(HEIGHT, 64)
    rows[: HEIGHT // 2] &= 0x8FFF  # 8 of 15, of the rows below
    with Image.open(made_fit(bytes(data)).file) as image:
        alpha = np.asarray(image.getchannel("A"))
    assert (alpha[: HEIGHT // 2] == 255).all()
    assert (alpha[HEIGHT // 2 :] == 136).all()


def test_alpha_of_nothing_but_zeros_means_nothing(made_fit):
    with Image.open(made_fit(bmp(*masked((0xF00, 0xF0, 0xF, 0xF000), 16, size=124, alpha=0))).file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 16)
        assert image.mode == "RGB"


@pytest.mark.parametrize("masks", [(0xF0F, 0xF0, 0xF000), (0xFF0, 0xF0, 0xF), (0xF0000, 0xF0, 0xF)])
def test_masks_of_no_number_are_not_guessed_at(made_fit, masks):
    with pytest.raises(ImageRejected, match="masks") as caught:
        made_fit(bmp(*masked((0xF00, 0xF0, 0xF), 16)).replace(struct.pack("<3I", 0xF00, 0xF0, 0xF), masks_of(masks)))
    assert caught.value.reason == "unsupported"


def masks_of(masks: tuple[int, ...]) -> bytes:
    return struct.pack("<3I", *masks)


def test_pixels_that_are_missing_are_waited_for(made_fit):
    data = bmp(*masked((0xF00, 0xF0, 0xF), 16))
    with pytest.raises(SourceNotReady) as caught:
        made_fit(data[:-100])
    assert caught.value.reason == "truncated"


# -- runs ------------------------------------------------------------------------------------------


def runs(data: bytes, bits: int = 8) -> bytes:
    head = header(bits, 1 if bits == 8 else 2, len(data), colours=2, more=RED_AND_BLUE)
    return bmp(head + data, len(head))


def blue(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[..., 2] > 128


ROWS = b"\x3f\x01\0\0" * (HEIGHT - 1)
"""All blue, but for the uppermost."""


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(
    ("last", "end"),
    [
        (b"\x0a\x11\0\1", 10),
        (b"\0\1", 0),
        (b"\x3f\x11\0\1", WIDTH),
        (b"\x3f\x11\0\0\0\1", WIDTH),
        (b"\xff\x11\0\1", WIDTH),
    ],
    ids=["within the last row", "before it", "behind it", "on the next", "beyond its width"],
)
def test_a_bitmap_ends_where_its_runs_say(made_fit, bits, last, end):
    rows = ROWS.replace(b"\x01", b"\x11") if bits == 4 else ROWS
    last = last.replace(b"\x11", b"\x01") if bits == 8 else last
    with Image.open(made_fit(runs(rows + last, bits), longest_side_px=64).file) as image:
        seen = blue(image)
    assert seen[2:].all()
    assert seen[0, : max(0, end - 2)].all()
    assert not seen[0, end + 2 :].any()


def test_what_is_left_out_is_of_the_first_colour(made_fit):
    absolute = b"\0\x05\1\1\1\1\1\0"
    data = b"\x3f\x01\0\0" * 20 + b"\0\2\x14\x08" + absolute + b"\0\1"
    with Image.open(made_fit(runs(data)).file) as image:
        seen = blue(image)[::-1]
    assert seen[:19].all()
    assert not seen[21:27].any()
    assert seen[28, 21:24].all()
    assert not seen[30:].any()


@pytest.mark.parametrize("data", [ROWS, ROWS + b"\x0a\x01", ROWS + b"\0\x3f\1\1", ROWS + b"\0\2\1"])
def test_runs_without_their_end_are_damage(made_fit, data):
    with pytest.raises(SourceNotReady) as caught:
        made_fit(runs(data))
    assert caught.value.reason == "truncated"


# -- no file header --------------------------------------------------------------------------------


def plain() -> bytes:
    return kit.saved(kit.quarters(WIDTH, HEIGHT), "DIB")


DIBS = {
    "24 bits": plain,
    "palette": lambda: kit.saved(kit.quarters(WIDTH, HEIGHT).quantize(16), "DIB"),
    "masks": lambda: masked((0xF00, 0xF0, 0xF), 16)[0],
    "masks that Pillow knows": lambda: masked((0xF800, 0x7E0, 0x1F), 16)[0],
    "a long header": lambda: masked((0xFF0000, 0xFF00, 0xFF, 0xFF000000), 32, size=124)[0],
}


@pytest.mark.parametrize("make", DIBS.values(), ids=DIBS)
def test_a_bitmap_needs_no_file_header(made_fit, make):
    with Image.open(made_fit(make(), "clipboard").file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 16)


def test_runs_need_no_file_header(made_fit):
    with Image.open(made_fit(runs(ROWS + b"\0\1")[14:], "clipboard").file) as image:
        assert blue(image)[2:].all()


@pytest.mark.parametrize("data", [plain() + bytes(4), plain()[:-1], plain()[:12] + b"\2" + plain()[13:]])
def test_without_the_length_that_it_tells_it_is_no_bitmap(made_fit, data):
    with pytest.raises(ImageRejected) as caught:
        made_fit(data, "memory.bin")
    assert caught.value.reason == "not_an_image"


def test_one_that_is_named_so_may_still_be_on_its_way(made_fit):
    with pytest.raises(SourceNotReady) as caught:
        made_fit(plain()[:-200], "clipboard.dib")
    assert caught.value.reason == "truncated"

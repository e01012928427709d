"""Alpha is what the format says, not what Pillow takes for it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected, SourceNotReady
from tests import image_kit as kit


def alpha_of(payload) -> np.ndarray:
    with Image.open(payload.file) as image:
        return np.asarray(image.convert("RGBA"))[..., 3]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("value", ["black", "grey", "white"])
def test_the_grey_that_stands_for_transparent_is_found_at_every_depth(made_fit, depth, value):
    white = (1 << depth) - 1
    clear = {"black": 0, "grey": white // 3, "white": white}[value]
    samples = np.full((48, 64, 1), white if clear != white else 0, np.uint16 if depth == 16 else np.uint8)
    samples[:, :32] = clear
    data = kit.png(samples, depth, 0, chunks=[kit.png_chunk(b"tRNS", struct.pack(">H", clear))])
    alpha = alpha_of(made_fit(data, longest_side_px=32))
    assert (alpha[:, 2:10] == 0).all()
    assert (alpha[:, 22:30] == 255).all()


@pytest.mark.parametrize("clear", [(0x1234, 0x5678, 0x9ABC), (0x1212, 0x5656, 0x9A9A)])
def test_the_colour_of_16_bits_that_stands_for_transparent_is_found(made_fit, clear):
    samples = np.full((48, 64, 3), 0x8000, np.uint16)
    samples[:, :32] = clear
    data = kit.png(samples, 16, 2, chunks=[kit.png_chunk(b"tRNS", struct.pack(">3H", *clear))])
    alpha = alpha_of(made_fit(data, longest_side_px=32))
    assert (alpha[:, 2:10] == 0).all()
    assert (alpha[:, 22:30] == 255).all()


def gif_of_small_frame(*, transparent: bool) -> bytes:
    """A canvas of 64x48 with one frame of 20x10 at 30, 20."""
    frame = kit.saved(kit.quarters(20, 10).convert("P"), "GIF", **({"transparency": 255} if transparent else {}))
    at = frame.index(b",")
    data = bytearray(frame)
    data[6:10] = struct.pack("<2H", 64, 48)
    data[at + 1 : at + 5] = struct.pack("<2H", 30, 20)
    return bytes(data)


@pytest.mark.parametrize("transparent", [False, True])
def test_around_a_small_first_frame_there_is_nothing(made_fit, transparent):
    alpha = alpha_of(made_fit(gif_of_small_frame(transparent=transparent)))
    assert alpha.shape == (48, 64)
    inside = np.zeros((48, 64), bool)
    inside[20:30, 30:50] = True
    assert (alpha[~inside] == 0).all()
    assert (alpha[inside] == 255).all()


@pytest.mark.parametrize("bits", [0, 8])
def test_alpha_that_a_tga_holds_is_kept_whatever_its_header_says(made_fit, bits):
    half = kit.quarters().convert("RGBA")
    half.putalpha(128)
    data = bytearray(kit.saved(half, "TGA"))
    data[17] = data[17] & 0xF0 | bits
    assert (alpha_of(made_fit(bytes(data))) == 128).all()


def test_an_invisible_tga_stays_so_where_its_header_tells_of_alpha(made_fit):
    data = bytearray(kit.tga_of_empty_alpha())
    data[17] |= 8
    assert (alpha_of(made_fit(bytes(data))) == 0).all()


def tga_of_16_bits(flags: np.ndarray, *, told: int, mapped: bool = False, packed: bool = False) -> bytes:
    """Red, with `flags` in the highest bit; `told`: bits of alpha by its header. `mapped`: a palette of two such."""
    height, width = (48, 64) if mapped else flags.shape
    colours = (0x7C00 | flags.astype("<u2") << 15).tobytes()
    kind = (1 if mapped else 2) + 8 * packed
    head = struct.pack("<3B2HB4H2B", 0, mapped, kind, 0, 2 * mapped, 16 * mapped, 0, 0, width, height, 16, told)
    if mapped:
        head = head[:16] + bytes([8, told])
        return head + colours + bytes(width * height // 2) + b"\1" * (width * height // 2)
    if not packed:
        return head + colours
    pixels = [colours[at : at + 2] for at in range(0, len(colours), 2)]
    return head + b"".join(b"\0" + pixel for pixel in pixels)


HALF = np.repeat([[False], [True]], 24, axis=0).repeat(64, axis=1)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("flags", "told"), [(HALF, 0), (HALF | True, 0), (HALF & False, 0), (HALF | True, 1), (HALF & False, 1)]
)
def test_the_flag_of_16_bits_of_a_tga_is_no_alpha_where_not_told_or_the_same_everywhere(made_fit, flags, told, packed):
    payload = made_fit(tga_of_16_bits(flags, told=told, packed=packed), "image.tga")
    with Image.open(payload.file) as image:
        assert image.mode == "RGB"
        assert kit.close([image.getpixel((30, 20))], [(255, 0, 0)], 4)


def test_the_flag_of_16_bits_of_a_tga_is_alpha_where_told_and_not_everywhere_the_same(made_fit):
    alpha = alpha_of(made_fit(tga_of_16_bits(HALF, told=1), "image.tga"))
    # From the bottom; what is set is transparent, as to Pillow and GIMP.
    assert np.array_equal(alpha[::-1], np.where(HALF, 0, 255))


@pytest.mark.parametrize(
    ("flags", "told", "opaque"),
    [((0, 1), 0, True), ((1, 1), 0, True), ((1, 1), 1, True), ((0, 0), 1, True), ((0, 1), 1, False)],
)
def test_the_flag_of_colours_in_a_palette_is_judged_in_the_same_way(made_fit, flags, told, opaque):
    alpha = alpha_of(made_fit(tga_of_16_bits(np.array(flags), told=told, mapped=True), "image.tga"))
    assert (alpha == 255).all() == opaque
    assert (alpha == 255).any()


@pytest.mark.parametrize(("alpha", "told", "opaque"), [(0, 0, True), (128, 0, False), (0, 8, False), (128, 8, False)])
def test_grey_of_a_tga_has_alpha_where_it_is_told_of_or_to_be_seen(made_fit, alpha, told, opaque):
    both = Image.merge("LA", (kit.quarters().convert("L"), Image.new("L", (64, 48), alpha)))
    data = bytearray(kit.saved(both, "TGA"))
    data[17] = data[17] & 0xF0 | told
    assert (alpha_of(made_fit(bytes(data), "image.tga")) == (255 if opaque else alpha)).all()


def test_grey_and_alpha_of_a_profile_are_converted_together(made_fit):
    grey = Image.linear_gradient("L").resize((64, 48))
    both = Image.merge("LA", (grey, Image.new("L", (64, 48), 90)))
    profile = kit.grey_profile(1.0)
    alone = made_fit(kit.saved(grey, "PNG", icc_profile=profile), longest_side_px=32)
    payload = made_fit(kit.saved(both, "PNG", icc_profile=profile), longest_side_px=32)
    assert "colour" in payload.normalised
    assert payload.warnings == ()
    assert (alpha_of(payload) == 90).all()
    with Image.open(payload.file) as image, Image.open(alone.file) as meant:
        difference = np.asarray(image.convert("RGB")).astype(int) - np.asarray(meant.convert("RGB"))
    # Premultiplied meanwhile.
    assert np.abs(difference).max() <= 3


def test_a_grey_profile_of_a_coloured_picture_with_alpha_is_left_out(made_fit):
    image = kit.quarters().convert("RGBA")
    image.putalpha(90)
    payload = made_fit(kit.saved(image, "PNG", icc_profile=kit.grey_profile(1.0)), longest_side_px=32)
    assert "grey" in " ".join(payload.warnings)


def test_white_in_jpeg_2000_of_many_bits_is_white(made_fit):
    for bits in (9, 12, 16):
        samples = np.full((48, 64, 3), (1 << bits) - 1, np.uint16)
        with Image.open(made_fit(kit.jpeg2000(samples, bits)).file) as image:
            assert np.asarray(image.convert("RGB")).min() >= 253


@pytest.mark.parametrize("component", [0x0B, 0x8F], ids=["another depth", "a sign"])
def test_channels_of_jpeg_2000_that_differ_are_not_guessed_at(made_fit, component):
    data = bytearray(kit.jpeg2000(kit.rgb_samples(16).astype(np.uint16), 16))
    size = data.index(b"\xff\x4f\xff\x51")
    assert data[size + 42] == data[size + 48] == 0x0F
    data[size + 48] = component
    with pytest.raises(ImageRejected, match="different depths") as raised:
        made_fit(bytes(data))
    assert raised.value.reason == "unsupported"


def test_what_is_left_of_a_jpeg_2000_of_many_bits_is_no_picture(made_fit):
    data = kit.jpeg2000(np.asarray(kit.noise(64, 48)).astype(np.uint16) * 257, 16)
    with pytest.raises(SourceNotReady) as raised:
        made_fit(data[: len(data) // 2])
    assert raised.value.reason == "truncated"


def bmp_of_16_bits(opaque: np.ndarray, *, top_first: bool = False) -> bytes:
    """Red, with the highest bit for alpha."""
    height, width = opaque.shape
    rows = np.zeros((height, width + width % 2), "<u2")
    rows[:, :width] = 0x7C00 | opaque.astype(np.uint16) << 15
    data = rows[:: 1 if top_first else -1].tobytes()
    signed_height = -height if top_first else height
    header = struct.pack("<IiiHHIIiiII", 108, width, signed_height, 1, 16, 3, len(data), 0, 0, 0, 0)
    header += struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, 0x8000) + b"BGRs" + bytes(48)
    return struct.pack("<2sIHHI", b"BM", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


@pytest.mark.parametrize("top_first", [False, True])
def test_the_highest_of_16_bits_of_a_bitmap_is_alpha_where_it_says_so(made_fit, top_first):
    opaque = np.zeros((48, 63), bool)
    opaque[:12, 20:] = True
    payload = made_fit(bmp_of_16_bits(opaque, top_first=top_first))
    assert np.array_equal(alpha_of(payload), opaque * 255)


def test_a_bitmap_whose_highest_bits_are_all_0_is_not_invisible(made_fit):
    assert (alpha_of(made_fit(bmp_of_16_bits(np.zeros((48, 64), bool)))) == 255).all()

"""JPEG 2000 is shown in the colours, and through the alpha, that its boxes tell."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected
from tests import image_kit as kit

SRGB, LAB = kit.jp2_space(16), kit.jp2_space(14)
RGB_IN_ORDER = ((0, 0, 1), (1, 0, 2), (2, 0, 3))


def picture(depth: type = np.uint8) -> np.ndarray:
    return np.asarray(kit.quarters()).astype(depth) * (257 if depth is np.uint16 else 1)


def with_fourth(fourth: int, *, multiplied: bool = False) -> np.ndarray:
    shown = (picture() * (fourth / 255)).round().astype(np.uint8) if multiplied else picture()
    return np.dstack([shown, np.full(shown.shape[:2], fourth, np.uint8)])


def sent(payload) -> Image.Image:
    with Image.open(payload.file) as image:
        image.load()
        return image


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("method", [2, 3])
def test_a_profile_is_used(made_fit, depth, method):
    icc = kit.rgb_profile(kit.ADOBE_RGB, 2.2)
    payload = made_fit(kit.jp2(picture(depth), kit.jp2_profile(icc, method)), webp_quality=95)
    meant = made_fit(kit.saved(kit.quarters(), "TIFF", icc_profile=icc), webp_quality=95)
    assert "colour" in payload.normalised
    assert kit.close(kit.corners(sent(payload)), kit.corners(sent(meant)), 3)
    assert not kit.close(kit.corners(sent(payload)), kit.QUADRANTS, 12)


def test_the_first_colours_that_are_told_count(made_fit):
    icc = kit.jp2_profile(kit.rgb_profile(kit.ADOBE_RGB, 2.2))
    assert "colour" not in made_fit(kit.jp2(picture(), SRGB, icc)).normalised
    assert "colour" in made_fit(kit.jp2(picture(), kit.jp2_box(b"colr", b"\4\0\0" + bytes(16)), icc, SRGB)).normalised


def test_a_grey_profile_is_used_too(made_fit):
    grey = np.asarray(kit.quarters().convert("L"))
    payload = made_fit(kit.jp2(grey, kit.jp2_profile(kit.grey_profile(1.0))), webp_quality=95)
    assert kit.corners(sent(payload))[0][0] > grey[12, 16] + 30


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("told", [kit.jp2_space(12), kit.jp2_profile(kit.cmyk_profile())], ids=["number", "profile"])
def test_inks_are_no_alpha(made_fit, depth, told):
    inks = np.asarray(kit.quarters().convert("CMYK")).astype(depth) * (257 if depth is np.uint16 else 1)
    payload = made_fit(kit.jp2(inks, told), webp_quality=95)
    tiff = {"icc_profile": kit.cmyk_profile()} if b"acsp" in told else {}
    meant = made_fit(kit.saved(kit.quarters().convert("CMYK"), "TIFF", **tiff), webp_quality=95)
    assert sent(payload).mode == "RGB"
    assert kit.close(kit.corners(sent(payload)), kit.corners(sent(meant)), 3)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_channels_are_put_in_order(made_fit, depth):
    stored = np.ascontiguousarray(picture(depth)[..., ::-1])
    payload = made_fit(kit.jp2(stored, SRGB, kit.jp2_channels((0, 0, 3), (1, 0, 2), (2, 0, 1))))
    assert kit.close(kit.corners(sent(payload)), kit.QUADRANTS, 12)


def test_alpha_in_front_is_put_behind(made_fit):
    stored = np.ascontiguousarray(np.roll(with_fourth(128), 1, axis=-1))
    told = kit.jp2_channels((0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3))
    image = sent(made_fit(kit.jp2(stored, SRGB, told)))
    assert image.getpixel((16, 12))[3] == 128
    assert kit.close(kit.corners(image), kit.QUADRANTS, 12)


@pytest.mark.parametrize(("kind", "multiplied", "alpha"), [(1, False, 128), (2, True, 128), (65535, False, None)])
def test_the_fourth_channel_is_what_the_file_says(made_fit, kind, multiplied, alpha):
    stored = with_fourth(128, multiplied=multiplied)
    image = sent(made_fit(kit.jp2(stored, SRGB, kit.jp2_channels(*RGB_IN_ORDER, (3, kind, 0)))))
    assert image.mode == ("RGB" if alpha is None else "RGBA")
    assert alpha is None or image.getpixel((16, 12))[3] == alpha
    assert kit.close(kit.corners(image), kit.QUADRANTS, 14)


def test_grey_that_was_multiplied_with_alpha_is_undone(made_fit):
    stored = np.full((48, 64, 2), (50, 128), np.uint8)
    told = kit.jp2_channels((0, 0, 1), (1, 1, 0))
    data = kit.saved(Image.fromarray(stored, "LA"), "JPEG2000")
    assert told in data
    image = sent(made_fit(data.replace(told, kit.jp2_channels((0, 0, 1), (1, 2, 0)))))
    assert image.convert("RGBA").getpixel((16, 12)) == pytest.approx((100, 100, 100, 128), abs=2)


def lab_profile() -> bytes:
    icc = kit.rgb_profile(kit.SRGB, 2.2)
    return icc[:16] + b"Lab " + icc[20:]


@pytest.mark.parametrize(
    "boxes",
    [
        [LAB],
        [kit.jp2_profile(lab_profile())],
        [kit.jp2_space(12)],
        [kit.jp2_space(18), kit.jp2_channels((0, 0, 3), (1, 0, 2), (2, 0, 1))],
        [SRGB, kit.jp2_channels((0, 0, 1), (1, 0, 2), (2, 1, 0))],
        [SRGB, kit.jp2_channels((0, 0, 1), (1, 1, 0), (2, 2, 0))],
        [SRGB, kit.jp2_channels((0, 0, 1), (1, 0, 2), (2, 0, 65535))],
    ],
    ids=["Lab", "Lab by profile", "CMYK of three", "sYCC turned", "two colours", "two alphas", "no colour"],
)
def test_what_cannot_be_shown_honestly_is_refused(made_fit, boxes):
    with pytest.raises(ImageRejected) as refused:
        made_fit(kit.jp2(picture(), *boxes))
    assert refused.value.reason == "unsupported"


def test_a_palette_of_inks_and_a_fifth_channel_are_refused(made_fit):
    palette = kit.jp2_box(b"pclr", struct.pack(">H5B", 1, 4, 7, 7, 7, 7) + bytes(4))
    stored = kit.jp2(picture()[..., 0], kit.jp2_space(12), palette)
    five = kit.jp2(picture(), SRGB).replace(struct.pack(">2IH", 48, 64, 3), struct.pack(">2IH", 48, 64, 5))
    for data in (stored, five):
        with pytest.raises(ImageRejected) as refused:
            made_fit(data)
        assert refused.value.reason == "unsupported"


@pytest.mark.parametrize("length", [2, 7])
def test_a_box_shorter_than_its_head_is_damage(made_fit, length):
    data = kit.jp2(picture(), SRGB).replace(struct.pack(">I4s", 15, b"colr"), struct.pack(">I4s", length, b"colr"))
    with pytest.raises(ImageRejected) as refused:
        made_fit(data)
    assert refused.value.reason == "corrupt"


# -- fewer samples than pixels ---------------------------------------------------------------------

YCC_420 = (
    "/0//UQAvAAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAADBwEBBwICBwIC/1IADAAAAAEAAAQEAAH/XAAEQED/kAAK"
    "AAAAAACiAAH/k8+1FJT0A8ApURBegwz4foCQUn30OAg4iTAAAABhIS+zE68YfGAAAAABhIS/LRpvPvtAAAwkI1QoYSEvDR0AAMI5"
    "xPGEhL//f8+0iDu5C8CcQQ7eJZgAAGEhGqFDA8qYMpbCQdE9wU1pCAD+MH/PtJAUAE8BEWIGbXZO87REGBaPsShKXjIDCPMU4YFq"
    "ABUAwLR9iT//2Q=="
)
"""The usual picture, 16x16, by OpenJPEG's own encoder."""


def with_samples(data: bytes, *told: tuple[int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    """The same codestream, whose components stand for so many pixels across and down, of a picture of this size."""
    changed = bytearray(data)
    at = data.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">2I", changed, at + 8, *size)
    struct.pack_into(">2I", changed, at + 24, *size)
    for place, (across, down) in enumerate(told):
        changed[at + 43 + 3 * place : at + 45 + 3 * place] = bytes((across, down))
    return bytes(changed)


def stream(samples: np.ndarray) -> bytes:
    data = kit.jp2(samples)
    return data[data.index(b"\xff\x4f\xff\x51") :]


def ycc(across: int, down: int, depth: type) -> bytes:
    """Neutral grey: what of it is light is told in full, what is colour only `across` and `down`."""
    samples = np.full((48, 64, 3), 128, depth) * depth(257 if depth is np.uint16 else 1)
    return with_samples(stream(samples), (1, 1), (across, down), (across, down))


def test_ycc_of_fewer_samples_of_colour_is_read(made_fit):
    assert kit.close(kit.corners(sent(made_fit(base64.b64decode(YCC_420)))), kit.QUADRANTS, 12)


@pytest.mark.parametrize("told", [[(2, 1)], [(1, 2)], [(2, 2)]], ids=str)
def test_grey_of_fewer_samples_is_not_called_damaged(made_fit, told):
    grey = np.asarray(kit.quarters().convert("L"))
    with pytest.raises(ImageRejected, match="samples") as caught:
        made_fit(with_samples(stream(grey), *told, size=(64 * told[0][0], 48 * told[0][1])))
    assert caught.value.reason == "unsupported"


def test_colours_that_all_have_fewer_samples_are_not_taken_for_others(made_fit):
    with pytest.raises(ImageRejected, match="samples") as caught:
        made_fit(with_samples(stream(picture()), (2, 2), (2, 2), (2, 2), size=(128, 96)))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("across", "down"), [(1, 2), (4, 1)])
def test_deep_colours_that_nothing_makes_rgb_are_not_sent_as_if(made_fit, across, down):
    with pytest.raises(ImageRejected, match="samples") as caught:
        made_fit(ycc(across, down, np.uint16))
    assert caught.value.reason == "unsupported"

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ingestor.images.pixels import shape
from ingestor.policy.sizing import Size
from tests import image_kit as kit


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBX", "CMYK"])
@pytest.mark.parametrize("box", [Size(301, 203), Size(97, 64), Size(20, 13)])
def test_the_result_is_that_of_lanczos_in_floating_point(mode, box):
    image = kit.photograph(700, 470).convert(mode)
    result = np.asarray(shape.resized(image, box)).astype(float)
    meant = kit.lanczos_in_float(image, (box.width, box.height))
    if mode == "L":
        result = result[..., None]
    meant = meant[..., : result.shape[-1]]  # of RGBX there is RGB left
    assert np.abs(result - meant).mean() < 0.6
    assert np.abs(result - meant).max() <= 6


def test_transparent_black_leaves_no_dark_fringe():
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 240, 220, 255), (101, 103, 297, 299))
    pixels = np.asarray(shape.resized(image, Size(133, 133)))
    visible = pixels[pixels[..., 3] > 40]
    assert visible[:, 0].min() >= 250
    assert visible[:, 2].min() >= 214


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_no_fringe_appears_on_the_way_through(made_fit, name):
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 240, 220, 255), (101, 103, 297, 299))
    with Image.open(made_fit(kit.saved(image, name), longest_side_px=133).file) as sent:
        pixels = np.asarray(sent.convert("RGBA"))
    assert pixels[pixels[..., 3] > 60][:, 0].min() >= 235


def test_the_size_that_is_right_already_is_not_touched():
    image = kit.quarters()
    assert shape.resized(image, Size(64, 48)) is image


def test_a_flat_colour_stays_flat_to_the_last_row():
    image = Image.new("RGB", (1001, 777), (12, 200, 99))
    for box in (Size(500, 388), Size(77, 60), Size(1, 1), Size(13, 1)):
        for (low, high), meant in zip(shape.resized(image, box).getextrema(), (12, 200, 99), strict=True):
            assert low == high
            assert abs(low - meant) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_before_or_after_resizing_is_the_same(orientation):
    image = kit.photograph(240, 160)
    box = Size(120, 80)
    after = shape.turned(shape.resized(image, box), orientation)
    before = shape.resized(shape.turned(image, orientation), box if orientation < 5 else box.swapped)
    assert np.abs(np.asarray(after).astype(int) - np.asarray(before).astype(int)).max() <= 3

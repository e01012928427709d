"""Making smaller in light: what a screen would show from afar stays as bright as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ingestor.images.pixels import resample, shape
from ingestor.images.pixels.samples import Samples
from ingestor.policy.sizing import Size
from tests import image_kit as kit

HALF_OF_THE_LIGHT = 188
"""The sRGB value of half of white's light. IEC 61966-2-1."""


def checkerboard(width: int = 400, height: int = 300) -> np.ndarray:
    rows, columns = np.indices((height, width))
    return ((rows + columns) % 2 * 255).astype(np.uint8)


def light(values: np.ndarray) -> np.ndarray:
    shares = values / 255.0
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def middle(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB") if image.mode == "RGBX" else image)[10:-10, 10:-10].astype(float)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBX"])
@pytest.mark.parametrize("box", [Size(170, 127), Size(97, 73), Size(41, 31)])
def test_a_fine_checkerboard_stays_as_bright_as_it_was(mode, box):
    image = Image.fromarray(checkerboard()).convert(mode)
    assert np.abs(middle(shape.resized(image, box, light="linear")) - HALF_OF_THE_LIGHT).max() <= 3
    assert np.abs(middle(shape.resized(image, box)) - 128).max() <= 3


@pytest.mark.parametrize(("name", "options"), [("PNG", {}), ("TIFF", {}), ("JPEG", {"quality": 98})])
def test_it_does_so_on_the_way_through(made_fit, name, options):
    image = Image.fromarray(checkerboard()).convert("RGB")
    with Image.open(made_fit(kit.saved(image, name, **options), longest_side_px=130, light="linear").file) as sent:
        assert middle(sent.convert("L")).mean() == pytest.approx(HALF_OF_THE_LIGHT, abs=2)


def test_it_does_so_with_sixteen_bits(made_fit):
    image = Image.fromarray(checkerboard().astype(np.uint16) * 257)
    with Image.open(made_fit(kit.saved(image, "PNG"), longest_side_px=130, light="linear").file) as sent:
        assert middle(sent.convert("L")).mean() == pytest.approx(HALF_OF_THE_LIGHT, abs=2)


def test_it_does_so_where_it_is_half_transparent():
    pixels = checkerboard()
    image = Image.merge("RGBA", [Image.fromarray(pixels)] * 3 + [Image.new("L", (400, 300), 128)])
    small = middle(shape.resized(image, Size(170, 127), light="linear"))
    assert np.abs(small[..., :3] - HALF_OF_THE_LIGHT).max() <= 3
    assert np.abs(small[..., 3] - 128).max() <= 1


def test_transparent_black_leaves_no_dark_fringe():
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 240, 220, 255), (101, 103, 297, 299))
    pixels = np.asarray(shape.resized(image, Size(133, 133), light="linear"))
    visible = pixels[pixels[..., 3] > 40]
    assert visible[:, 0].min() >= 250
    assert visible[:, 2].min() >= 214


def test_a_photograph_is_that_of_lanczos_in_floating_light():
    photo = kit.photograph(700, 470)
    box = Size(301, 203)
    channels = [
        Image.fromarray(light(np.asarray(channel)).astype(np.float32)).resize(
            (box.width, box.height), Image.Resampling.LANCZOS
        )
        for channel in photo.split()
    ]
    meant = np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 1)
    found = np.asarray(shape.resized(photo, box, light="linear"))
    shown = np.where(meant <= 0.0031308, 12.92 * meant, 1.055 * meant ** (1 / 2.4) - 0.055) * 255
    assert np.abs(found - shown).mean() < 0.6
    assert np.abs(found - shown).max() <= 6
    assert kit.ssim(kit.luma(found), kit.luma(shown)) >= 0.99


def test_every_flat_value_stays_what_it_is():
    for value in (*range(40), *range(40, 256, 13), 255):
        assert shape.resized(Image.new("L", (90, 60), value), Size(37, 25), light="linear").getextrema() == (value,) * 2


@pytest.mark.parametrize("light", ["encoded", "linear"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "LAB"])
def test_how_the_work_is_divided_changes_no_pixel(monkeypatch, mode, light):
    photo = kit.photograph(700, 470).copy()
    photo.putalpha(photo.getchannel(1))
    image = photo if mode == "RGBA" else photo.convert("RGB")
    image = Image.merge("LAB", image.split()) if mode == "LAB" else image.convert(mode)
    box = Size(301, 203)
    whole = shape.resized(image, box, light=light).tobytes()
    monkeypatch.setattr(resample, "_BAND_PIXELS", 301 * 32)
    monkeypatch.setattr(resample, "_STEP_VALUES", 700 * 4 * 9)
    assert shape.resized(image, box, light=light).tobytes() == whole


@pytest.mark.parametrize("light", ["encoded", "linear"])
def test_no_fewer_rows_are_made_at_once_in_light(monkeypatch, light):
    counts = []

    def image_of(work, pixels, count):
        counts.append(count)
        return as_image(work, pixels, count)

    as_image = resample._Work._as_image
    monkeypatch.setattr(resample._Work, "_as_image", image_of)
    shape.resized(kit.photograph(5200, 400), Size(1024, 79), light=light)
    assert counts[0] >= 14


def test_rows_are_given_back_as_they_are_used_up(monkeypatch):
    monkeypatch.setattr(resample, "_BAND_PIXELS", 301 * 32)
    monkeypatch.setattr(resample, "_STEP_VALUES", 700 * 3 * 32)
    pixels = np.asarray(kit.photograph(700, 470)).copy()
    meant = shape.resized(Image.fromarray(pixels), Size(301, 203)).tobytes()
    samples, left = Samples("RGB", pixels), []
    let_go = samples.let_go
    monkeypatch.setattr(samples, "let_go", lambda first: (left.append(first), let_go(first)))
    assert shape.resized(samples, Size(301, 203)).tobytes() == meant
    assert left == sorted(left, reverse=True)
    assert len(left) == 7
    assert left[-1] == 0


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_samples_that_are_averaged_first_give_the_same_picture(mode):
    image, box = kit.photograph(700, 470).convert(mode), Size(40, 27)
    pixels = np.array(image).reshape(470, 700, -1)
    assert shape.resized(Samples(mode, pixels), box).tobytes() == shape.resized(image, box).tobytes()


@pytest.mark.parametrize("shrink", [1.01, 1.5, 2.3, 3.7, 4.4, 4.5, 4.51, 8.9, 9.1])
def test_every_flat_colour_stays_what_it_is(shrink):
    size, colours = (round(30 * shrink), round(20 * shrink)), np.arange(256)
    for low, middle, high in (*colours[:255].reshape(-1, 3), (253, 254, 255)):
        image = Image.new("RGB", size, (low, middle, high))
        assert shape.resized(image, Size(30, 20)).getextrema() == ((low, low), (middle, middle), (high, high))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_last_column_or_row_can_stand_for_less_than_a_pixel(mode):
    image, box, shown = kit.photograph(701, 471), Size(301, 203), (700.375, 470.75)
    image.putalpha(255)
    meant = []
    for channel in image.convert(mode).split():
        floats = Image.fromarray(np.asarray(channel, np.float32))
        meant.append(np.asarray(floats.resize((301, 203), Image.Resampling.LANCZOS, (0, 0, *shown))))
    found = shape.resized(image.convert(mode), box, shown).split()
    assert len(found) == len(meant)
    for channel, floats in zip(found, meant, strict=True):
        assert np.abs(np.asarray(channel) - floats.clip(0, 255)).max() <= 4


def test_inks_are_averaged_as_they_are_stored():
    image = Image.fromarray(checkerboard()).convert("CMYK")
    box = Size(170, 127)
    assert shape.resized(image, box, light="linear").tobytes() == shape.resized(image, box).tobytes()

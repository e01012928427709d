"""Drawings keep every pixel, whatever they came in; photographs, and what was lossy before, do not pay for it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingestor.images import encode, lossless
from tests import image_kit as kit

LINES = ((255, 255, 0), (0, 0, 255), (255, 0, 0), (0, 128, 64))


def drawing(mode: str = "RGB", width: int = 48, height: int = 48) -> Image.Image:
    """Lines a pixel wide, which halved colours blur; in RGBA a part is clear."""
    colours = np.array(LINES, np.uint8)[np.add.outer(np.arange(height) // 5, np.arange(width)) % 4]
    image = Image.fromarray(colours).convert(mode)
    if mode == "RGBA":
        alpha = Image.new("L", image.size, 255)
        alpha.paste(0, (0, 0, width // 3, height // 3))
        image.putalpha(alpha)
    return image


@functools.cache
def of_many_colours(width: int, height: int) -> Image.Image:
    """A drawing of flat parts in more than 256 colours."""
    count = lossless.MOST_COLOURS + 44
    rows, columns = np.arange(height)[:, None] // 12, np.arange(width)[None, :] // 12
    number = (rows * 31 + columns) % count
    return Image.fromarray(np.stack([number % 256, number * 7 % 256, number * 3 // 4], axis=-1).astype(np.uint8))


def seen(image: Image.Image) -> np.ndarray:
    """Pixels with nothing where nothing is seen."""
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def is_exact(file: Path, meant: Image.Image) -> bool:
    with Image.open(file) as sent:
        return bool((seen(sent) == seen(meant)).all())


def is_lossless(file: Path) -> bool:
    return b"VP8L" in file.read_bytes()[:40]


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("BMP", "RGB", {}),
        ("PPM", "RGB", {}),
        ("TGA", "RGB", {}),
        ("TGA", "RGBA", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
        ("PCX", "RGB", {}),
        ("SGI", "RGB", {}),
        ("QOI", "RGBA", {}),
        ("ICO", "RGBA", {}),
        ("ICO", "RGB", {"bitmap_format": "bmp"}),
        ("JPEG2000", "RGB", {}),
        ("JPEG2000", "RGBA", {"no_jp2": True}),
    ],
)
def test_a_drawing_keeps_every_pixel(made_fit, name, mode, options):
    payload = made_fit(kit.saved(drawing(mode), name, **options), "image.tga" if name == "TGA" else "image")
    assert payload.normalised == ("webp",)
    assert is_exact(payload.file, drawing(mode))


def test_so_does_one_that_has_more_colours_and_takes_no_more_bytes_so(made_fit):
    image = of_many_colours(300, 200)
    payload = made_fit(kit.saved(image, "BMP"))
    assert is_exact(payload.file, image)
    assert payload.size_bytes <= len(encode.webp(image, 90))


def test_a_large_drawing_of_few_colours_keeps_every_pixel_and_one_of_many_is_not_tried(made_fit, monkeypatch):
    few, many = drawing(width=600, height=500), of_many_colours(600, 500)
    assert is_exact(made_fit(kit.saved(few, "BMP")).file, few)
    monkeypatch.setattr(encode, "lossless_webp", None)
    assert not is_lossless(made_fit(kit.saved(many, "BMP")).file)


@pytest.mark.parametrize("name", ["BMP", "TIFF", "JPEG2000", "QOI"])
def test_a_photograph_is_what_it_would_be_if_nothing_else_were_tried(made_fit, name):
    photo = kit.photograph(160, 120)
    assert made_fit(kit.saved(photo, name)).file.read_bytes() == encode.webp(photo, 90)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("TIFF", {"compression": "jpeg"}),
        ("AVIF", {}),
        ("JPEG2000", {"irreversible": True, "quality_layers": [60]}),
        ("JPEG2000", {"irreversible": True, "quality_layers": [60], "no_jp2": True}),
    ],
)
def test_what_was_lossy_before_stays_so(made_fit, name, options):
    flat = Image.new("RGB", (160, 120), (200, 30, 30))
    assert not is_lossless(made_fit(kit.saved(flat, name, **options)).file)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_photograph_in_grey_is_none_of_few_colours(made_fit, mode):
    photo = kit.photograph(700, 500).convert("L")
    assert not is_lossless(made_fit(kit.saved(photo.convert(mode), "BMP" if mode == "RGB" else "TIFF")).file)
    steps = photo.point(lambda value: value // 16 * 17)
    payload = made_fit(kit.saved(steps.convert(mode), "BMP" if mode == "RGB" else "TIFF"))
    assert is_exact(payload.file, steps)


def test_one_grey_and_many_steps_of_alpha_are_few_colours(made_fit):
    image = Image.new("RGBA", (600, 500), (40, 40, 40))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    assert is_lossless(made_fit(kit.saved(image, "TIFF")).file)


def test_a_drawing_that_is_made_smaller_is_not_kept_without_loss(made_fit):
    assert not is_lossless(made_fit(kit.saved(drawing(), "BMP"), longest_side_px=40).file)


def test_what_does_not_fit_without_loss_fits_all_the_same(made_fit):
    data = kit.saved(kit.noise(300, 200).quantize(200).convert("RGB"), "BMP")
    assert is_lossless(made_fit(data).file)
    payload = made_fit(data, max_bytes=20_000)
    assert payload.size_bytes <= 20_000
    assert not is_lossless(payload.file)


def test_a_small_picture_that_fits_only_without_loss_is_sent_so(made_fit):
    image = of_many_colours(300, 200)
    limit = (len(encode.lossless_webp(image)) + len(encode.webp(image, 90))) // 2
    payload = made_fit(kit.saved(image, "BMP"), max_bytes=limit)
    assert is_exact(payload.file, image)


def test_the_same_picture_always_gives_the_same_bytes(made_fit):
    for image in (drawing("RGBA"), of_many_colours(300, 200)):
        files = [made_fit(kit.saved(image, "TIFF")).file.read_bytes() for _ in range(2)]
        assert files[0] == files[1]

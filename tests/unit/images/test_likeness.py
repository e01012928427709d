"""What is sent looks like what was found: against a full decode and Lanczos in floating point."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests import image_kit as kit

FORMATS = {
    "JPEG": {"quality": 95},
    "PNG": {"compress_level": 1},
    "TIFF": {},
    "WEBP": {"quality": 97},
}


def likeness(original: bytes, sent: Image.Image) -> float:
    with Image.open(io.BytesIO(original)) as picture:
        meant = kit.lanczos_in_float(picture.convert("RGB"), sent.size)
    return kit.ssim(kit.luma(np.asarray(sent.convert("RGB"))), kit.luma(meant))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("longest_side_px", [1100, 700, 400], ids=["a little smaller", "half", "a quarter"])
def test_a_photograph_made_smaller_is_like_the_reference(made_fit, name, longest_side_px):
    data = kit.saved(kit.photograph(1500, 1000, 11), name, **FORMATS[name])
    with Image.open(made_fit(data, longest_side_px=longest_side_px).file) as sent:
        assert likeness(data, sent) >= 0.98


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_every_photograph_is_like_the_reference(made_fit, seed):
    data = kit.jpeg(kit.photograph(1300, 900, seed), quality=95)
    with Image.open(made_fit(data, longest_side_px=1000).file) as sent:
        assert likeness(data, sent) >= 0.98


def test_a_photograph_that_only_changes_its_format_is_like_itself(made_fit):
    data = kit.saved(kit.photograph(900, 600, 12), "BMP")
    with Image.open(made_fit(data).file) as sent:
        assert likeness(data, sent) >= 0.98


def test_what_stays_lossless_is_the_reference_itself(made_fit):
    data = kit.saved(kit.photograph(900, 600, 13), "PNG", compress_level=1)
    with Image.open(made_fit(data, longest_side_px=600).file) as sent:
        assert sent.format == "PNG"
        assert likeness(data, sent) >= 0.998


def test_colours_of_a_photograph_are_kept(made_fit):
    photo = kit.photograph(900, 600, 14)
    for name, options in FORMATS.items():
        with Image.open(made_fit(kit.saved(photo, name, **options), longest_side_px=600).file) as sent:
            meant = kit.lanczos_in_float(photo, sent.size)
            error = np.asarray(sent.convert("RGB")).astype(float) - meant
        assert np.abs(error.mean(axis=(0, 1))).max() < 0.5, name
        assert np.abs(error).mean() < 3.0, name

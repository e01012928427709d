"""Pictures of more than 8 bits that are stored by a steep curve keep the steps of their shadows."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from ingestor.images.kinds import png as png_reader
from ingestor.images.kinds import tiff_samples
from ingestor.images.pixels import curves
from tests import image_kit as kit

LINEAR, WIDE, GREY = kit.rgb_profile(kit.SRGB, 1.0), kit.rgb_profile(kit.DISPLAY_P3, 1.0), kit.grey_profile(1.0)
SHOWN = np.tile(np.linspace(0, 60, 64)[None, :, None], (48, 1, 3))
"""A ramp of shadows as sRGB has them."""
LIGHT = np.where(SHOWN <= 0.04045 * 255, SHOWN / 255 / 12.92, ((SHOWN / 255 + 0.055) / 1.055) ** 2.4)
DEEP = (LIGHT * 65535 + 0.5).astype(np.uint16)
OPAQUE_BUT_A_ROW = np.where(np.arange(48)[:, None, None] == 47, 0, 65535) * np.ones((1, 64, 1), np.uint16)


def profile_chunk(icc: bytes) -> bytes:
    return kit.png_chunk(b"iCCP", b"x\0\0" + zlib.compress(icc))


def png(samples: np.ndarray, kind: int, *chunks: bytes) -> bytes:
    return kit.png(samples, 16, kind, chunks=chunks)


def with_profile(samples: np.ndarray, photometric: int = 2, icc: bytes = LINEAR, **options: object) -> bytes:
    return kit.tiff_with_profile(kit.tiff(samples, photometric, **options), icc)


GAMA, CICP = kit.png_chunk(b"gAMA", (100000).to_bytes(4, "big")), kit.png_chunk(b"cICP", bytes([1, 8, 0, 1]))
FLOATS = LIGHT.astype(np.float32)

PICTURES = {
    "PNG by profile": lambda: png(DEEP, 2, profile_chunk(LINEAR)),
    "PNG by another profile": lambda: png(DEEP, 2, profile_chunk(WIDE)),
    "PNG by gamma": lambda: png(DEEP, 2, GAMA),
    "PNG by code points": lambda: png(DEEP, 2, CICP),
    "PNG interlaced": lambda: kit.png(DEEP, 16, 2, interlaced=True, chunks=[profile_chunk(LINEAR)]),
    "PNG with alpha": lambda: png(np.dstack([DEEP, OPAQUE_BUT_A_ROW]), 6, profile_chunk(LINEAR)),
    "PNG grey and alpha": lambda: png(np.dstack([DEEP[..., :1], OPAQUE_BUT_A_ROW]), 4, profile_chunk(GREY)),
    "PNG grey": lambda: png(DEEP[..., :1], 0, profile_chunk(GREY)),
    "PNG grey by profile of RGB": lambda: png(DEEP[..., :1], 0, profile_chunk(LINEAR)),
    "TIFF": lambda: with_profile(DEEP),
    "TIFF packed": lambda: with_profile(DEEP, packed=5, predictor=2, rows=7),
    "TIFF planes": lambda: with_profile(DEEP, planar=2),
    "TIFF grey": lambda: with_profile(DEEP[..., :1], 1, GREY),
    "TIFF white is 0": lambda: with_profile(65535 - DEEP[..., :1], 0, GREY),
    "TIFF floats": lambda: with_profile(FLOATS, kind=3),
    "TIFF floats of grey": lambda: with_profile(FLOATS[..., :1], 1, GREY, kind=3),
    "TIFF floats, white is 0": lambda: with_profile(1 - FLOATS[..., :1], 0, GREY, kind=3),
    "TIFF double grey": lambda: with_profile(LIGHT[..., :1], 1, GREY, kind=3),
}


@pytest.mark.parametrize("name", PICTURES)
def test_shadows_keep_their_steps(made_fit, name):
    payload = made_fit(PICTURES[name](), longest_side_px=63, webp_quality=100)
    assert "colour" in payload.normalised
    assert payload.warnings == ()
    with Image.open(payload.file) as image:
        row = np.asarray(image.convert("RGBA"))[20, 2:-2, :3].astype(float)
    meant = np.linspace(0, 60, 63)[2:-2, None]
    assert np.abs(row - meant).max() <= (2 if name.startswith("PNG") else 4)
    assert np.abs(row - meant).mean() <= 1.2
    assert len(np.unique(row[:, 1])) > 40


def test_the_alpha_beside_such_colours_stays(made_fit):
    with Image.open(made_fit(PICTURES["PNG with alpha"](), longest_side_px=63).file) as image:
        assert image.getchannel("A").getextrema()[0] < 128
        assert image.getchannel("A").getpixel((20, 20)) == 255


def test_where_only_8_bits_can_be_read_it_is_told(made_fit, monkeypatch):
    clear = kit.png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    assert made_fit(png(DEEP, 2, profile_chunk(LINEAR), clear), longest_side_px=40).warnings == (curves.STEPS_MAY_SHOW,)
    with monkeypatch.context() as limited:
        limited.setattr(png_reader, "_MOST_DEEP_PIXELS", 1000)
        assert made_fit(PICTURES["PNG by profile"](), longest_side_px=40).warnings == (curves.STEPS_MAY_SHOW,)
    monkeypatch.setattr(tiff_samples, "_MOST_UNPACKED_BYTES", 1000)
    assert made_fit(with_profile(DEEP, packed=5)).warnings == (curves.STEPS_MAY_SHOW,)


def test_a_usual_curve_is_left_to_the_colour_library(made_fit):
    usual = kit.rgb_profile(kit.ADOBE_RGB, 2.2)
    assert curves.of_profile(usual) is None
    assert made_fit(png(DEEP, 2, profile_chunk(usual)), longest_side_px=40).warnings == ()
    assert made_fit(with_profile(DEEP, icc=usual)).warnings == ()


def test_colours_of_hdr_are_told_of_whatever_gamma_stands_beside(made_fit):
    hdr = kit.png_chunk(b"cICP", bytes([9, 16, 0, 1]))
    for samples, kind in ((DEEP, 2), (DEEP[..., :1], 0)):
        assert any("HDR" in warning for warning in made_fit(png(samples, kind, GAMA, hdr), longest_side_px=40).warnings)


def parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(f">HH{len(values)}i", kind, 0, *(round(value * 65536) for value in values))


def table(*points: float) -> bytes:
    numbers = [round(point * 65535) for point in points]
    return b"curv\0\0\0\0" + struct.pack(f">I{len(numbers)}H", len(numbers), *numbers)


@pytest.mark.parametrize(
    "curve",
    [
        table(),
        table(0, 0.2, 0.45, 0.7, 1),
        parametric(0, 1.2),
        parametric(1, 1.3, 1.1, -0.1),
        parametric(2, 1.3, 0.9, -0.1, 0.2),
        parametric(3, 1.3, 0.95, 0.05, 0.6, 0.1),
        parametric(4, 1.3, 0.9, 0.05, 0.6, 0.1, 0.05, 0.02),
    ],
    ids=["linear", "table", "type 0", "type 1", "type 2", "type 3", "type 4"],
)
def test_curves_of_every_kind_mean_what_the_colour_library_says(curve):
    icc = kit.curve_profile(kit.SRGB, curve)
    found = curves.of_profile(icc)
    assert found is not None
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (4, 1, 3))
    by_us = (found.tables[0][np.arange(256) * 257].astype(float) / 257)[40:]
    by_library = np.asarray(
        ImageCms.profileToProfile(
            Image.fromarray(ramp),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    )[0, 40:, 1]
    assert np.abs(by_us - by_library).max() <= 1.6


@pytest.mark.parametrize(
    "icc",
    [
        b"",
        bytes(200),
        LINEAR[:300],
        kit.cmyk_profile(),
        kit.curve_profile(kit.SRGB, b"junk" + bytes(20)),
        kit.curve_profile(kit.SRGB, parametric(1, 1.0, 0.0, 0.0)),
        kit.curve_profile(kit.SRGB, parametric(9)),
        kit.curve_profile(kit.SRGB, table(0, 0, 0)),
        kit.curve_profile(kit.SRGB, table(), {b"A2B0": b"mft1" + bytes(60)}),
    ],
    ids=["none", "zeros", "cut off", "CMYK", "no curve", "by zero", "unknown", "flat", "by table of colours"],
)
def test_what_is_no_steep_curve_is_left_alone(icc):
    assert curves.of_profile(icc) is None

from __future__ import annotations

import sys
from typing import Any

import pytest

from ingestor.errors import ImageRejected
from ingestor.images import read_header
from ingestor.images.header import Header
from ingestor.images.sniffing import format_of
from ingestor.images.source import opened
from ingestor.policy.sizing import Size
from ingestor.ports import NormaliseRules
from tests import image_kit as kit


def header_of(write, data: bytes, **rules: Any) -> Header:
    with opened(write(data, "image.tga"), 10**9) as source:
        return read_header.read(source, format_of(source), NormaliseRules(**rules))[0]


@pytest.mark.parametrize("sample", kit.SAMPLES, ids=lambda sample: sample.id)
def test_size_and_number_of_pictures_are_known_without_decoding(write, sample):
    header = header_of(write, sample.make())
    assert header.size == Size(*sample.size)
    assert header.has_more_pictures == sample.moving
    assert header.orientation == 1
    assert not header.turned_by_decoder


@pytest.mark.parametrize(
    "data",
    [
        kit.saved(kit.quarters(300, 200), "WEBP"),
        kit.saved(kit.quarters(300, 200), "WEBP", lossless=True),
        kit.saved(kit.quarters(300, 200).convert("RGBA"), "WEBP", exif=kit.exif(1)),
    ],
    ids=["VP8", "VP8L", "VP8X"],
)
def test_the_size_of_a_webp_is_known_before_its_canvas_is_allocated(write, data):
    with opened(write(data, "a"), 10**9) as source:
        assert read_header._size_before_opening(source, format_of(source)) == Size(300, 200)
    with pytest.raises(ImageRejected) as caught:
        header_of(write, data, max_pixels=100)
    assert caught.value.reason == "too_many_pixels"


def test_a_format_whose_extra_is_missing_says_how_to_get_it(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(sys.modules, "pillow_heif.HeifImagePlugin", raising=False)
    with pytest.raises(ImageRejected, match=r"pip install 'ingestor\[heif\]'") as caught:
        header_of(write, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("number", range(1, 9))
def test_a_tiff_is_turned_by_its_decoder(write, number):
    told = kit.Image.Exif()
    told[0x0112] = number
    header = header_of(write, kit.saved(kit.quarters(), "TIFF", exif=told))
    assert header.orientation == 1
    assert header.turned_by_decoder == (number != 1)
    assert header.size == (Size(48, 64) if number >= 5 else Size(64, 48))


def test_gamma_counts_only_where_nothing_better_is_told(write):
    gamma = kit.png_chunk(b"gAMA", (50000).to_bytes(4, "big"))
    srgb = kit.png_chunk(b"sRGB", b"\0")
    assert header_of(write, kit.png(kit.rgb_samples(), 8, 2, chunks=[gamma])).gamma == 0.5
    assert header_of(write, kit.png(kit.rgb_samples(), 8, 2, chunks=[srgb, gamma])).gamma is None
    assert header_of(write, kit.jpeg()).gamma is None


@pytest.mark.parametrize("made", ["renamed", "empty", "missing", "late"])
@pytest.mark.parametrize("integrity", ["header", "decode", "strict"])
def test_numbers_of_colours_without_a_palette_are_no_picture(made_fit, inspected, made, integrity):
    palette, end = kit.png_chunk(b"PLTE", b"".join(map(bytes, kit.QUADRANTS))), kit.png_chunk(b"IEND", b"")
    instead = {"renamed": kit.png_chunk(b"pppp", palette[8:-4]), "empty": kit.png_chunk(b"PLTE", b"")}
    data = kit.palette_png().replace(palette, instead.get(made, b""))
    if made == "late":
        data = data.replace(end, palette + end)
    for run in (made_fit, inspected):
        with pytest.raises(ImageRejected, match="palette") as caught:
            run(data, integrity=integrity)
        assert caught.value.reason == "corrupt"

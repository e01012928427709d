from __future__ import annotations

import io

import pytest
from PIL import Image

from ingestor.images import style
from ingestor.images.style import JpegStyle
from tests import image_kit as kit


def style_of(data: bytes) -> JpegStyle:
    return style.of(Image.open(io.BytesIO(data), formats=["JPEG"]))


@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_the_fineness_of_colour_is_known(number, name):
    assert style_of(kit.jpeg(subsampling=number)).subsampling == name


def test_tables_are_known_where_they_are_used_as_everybody_does():
    assert len(style_of(kit.jpeg()).tables) == 2
    assert len(style_of(kit.jpeg(kit.quarters().convert("L"))).tables) == 1
    assert style_of(kit.cmyk_jpeg()).tables is None


def test_a_turn_by_a_quarter_turns_the_tables_and_twice_is_none():
    first = style_of(kit.jpeg(quality=60))
    turned = style.turned(first, 6)
    assert turned.tables != first.tables
    assert turned.tables[0][1] == first.tables[0][8]
    assert style.turned(turned, 8).tables == first.tables
    assert style.turned(first, 3) == first


def test_colour_that_was_halved_sideways_only_is_not_halved_upwards_too():
    assert style.turned(JpegStyle(subsampling="4:2:2"), 6).subsampling == "4:4:4"
    assert style.turned(JpegStyle(subsampling="4:2:2"), 3).subsampling == "4:2:2"


def test_a_resized_picture_keeps_the_fineness_and_not_the_tables():
    assert style.resized(style_of(kit.jpeg(subsampling=0))) == JpegStyle(subsampling="4:4:4")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_sent_has_the_fineness_of_the_original(made_fit, number):
    data = kit.jpeg(kit.photograph(200, 120), subsampling=number)
    sent = made_fit(data, longest_side_px=100).file.read_bytes()
    assert style_of(sent).subsampling == style_of(data).subsampling

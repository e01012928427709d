from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingestor.images import exif
from tests import image_kit as kit


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", range(1, 9))
def test_an_orientation_is_read_and_made_upright_in_place(order, number):
    block = kit.exif(number, make="A camera", order=order)
    assert exif.orientation_of(block) == number
    assert exif.orientation_of(exif.PREFIX + block) == number
    upright = exif.upright(block)
    assert exif.orientation_of(upright) == 1
    assert len(upright) == len(block)
    assert b"A camera" in upright


def test_no_exif_means_upright():
    assert exif.orientation_of(None) == 1
    assert exif.orientation_of(b"") == 1
    assert exif.orientation_of(kit.exif(make="x")) == 1


@pytest.mark.parametrize("number", [0, 9, 65535])
def test_a_number_that_means_nothing_means_upright(number):
    assert exif.orientation_of(kit.exif(number)) == 1


@pytest.mark.parametrize("number", range(1, 9))
def test_the_smallest_exif_is_understood_by_pillow(number):
    told = Image.Exif()
    told.load(exif.orientation_only(number))
    assert told[0x0112] == number
    assert exif.orientation_of(exif.orientation_only(number)) == number


def test_the_thumbnail_of_a_turned_picture_is_forgotten():
    told = Image.Exif()
    told[0x0112] = 6
    block = bytearray(told.tobytes())
    link = len(block) - 4
    block[link:] = b"\0\0\0\x20"
    assert exif.upright(bytes(block))[link:] == bytes(4)


@given(st.binary(max_size=200), st.sampled_from([b"", b"MM\0*", b"II*\0", b"Exif\0\0MM\0*\0\0\0\x08"]))
def test_any_bytes_say_something_between_one_and_eight(tail, head):
    block = head + tail
    assert 1 <= exif.orientation_of(block) <= 8
    assert len(exif.upright(block)) == len(block)
    assert exif.orientation_of(exif.upright(block)) == 1


def test_xmp_is_told_that_the_picture_is_upright():
    attribute = b'<rdf:Description tiff:Orientation="6" tiff:Make="x"/>'
    element = b"<tiff:Orientation>8</tiff:Orientation>"
    assert exif.upright_xmp(attribute) == attribute.replace(b"6", b"1")
    assert exif.upright_xmp(element) == element.replace(b"8", b"1")
    assert exif.upright_xmp(kit.XMP) == kit.XMP

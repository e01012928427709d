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


@pytest.mark.parametrize("number", range(2, 9))
def test_the_smallest_exif_is_understood_by_pillow(number):
    told = Image.Exif()
    told.load(exif.smallest(number))
    assert told[0x0112] == number
    assert exif.orientation_of(exif.smallest(number)) == number


def test_what_is_upright_and_in_srgb_needs_no_exif():
    assert exif.smallest(1) == b""


@pytest.mark.parametrize("number", [1, 6])
def test_the_smallest_exif_of_adobe_rgb_is_understood_by_pillow(number):
    block = exif.smallest(number, adobe_rgb=True)
    told = Image.Exif()
    told.load(block)
    assert told.get_ifd(0x8769)[0xA001] == 65535
    assert told.get_ifd(0xA005) == {1: "R03"}
    assert told.get(0x0112, 1) == number
    assert exif.is_adobe_rgb(block)
    assert exif.orientation_of(block) == number


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("index", "space", "expected"),
    [
        ("R03", 65535, True),
        ("R03", 2, True),
        ("R03", 1, False),
        ("R03", None, False),
        ("R98", 65535, False),
        ("R98", 1, False),
        (None, 65535, False),
    ],
)
def test_adobe_rgb_is_what_both_the_number_and_the_index_say(order, index, space, expected):
    block = kit.camera_exif(index=index, space=space, order=order)
    assert exif.is_adobe_rgb(block) is expected
    assert exif.is_adobe_rgb(exif.PREFIX + block) is expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_in_srgb_now_says_so_in_place(order):
    block = kit.camera_exif(order=order, orientation=6)
    patched = exif.in_srgb(block)
    told = Image.Exif()
    told.load(patched)
    assert len(patched) == len(block)
    assert told.get_ifd(0x8769)[0xA001] == 1
    assert told.get_ifd(0xA005) == {1: "R98"}
    assert (told[0x0112], told[0x013B]) == (6, "SECRETNAME")
    assert not exif.is_adobe_rgb(patched)


def test_exif_that_say_nothing_of_adobe_rgb_are_left_alone():
    for block in (kit.camera_exif(index=None), kit.camera_exif(index="R98", space=1), kit.exif(6), b"", b"II*\0"):
        assert exif.in_srgb(block) == block
    assert not exif.is_adobe_rgb(None)


@given(st.data())
def test_damaged_exif_of_adobe_rgb_never_raise(data):
    block = bytearray(kit.camera_exif())
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(block[: data.draw(st.integers(0, len(block)))])
    assert len(exif.in_srgb(cut)) == len(cut)


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

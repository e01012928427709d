"""Zeros that were never a part of the picture, and those that are."""

from __future__ import annotations

import pytest
from PIL import Image

from ingestor.images.kinds import jpeg_holes
from ingestor.images.kinds.jpeg_markers import Walk
from tests import image_kit as kit


def holed(data: bytes, count: int) -> bytes:
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    return data[:middle] + bytes(count) + data[middle + count :]


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_zeros_within_a_photograph_are_a_hole(mode, optimize):
    data = kit.jpeg(kit.photograph(300, 200).convert(mode), quality=92, optimize=optimize)
    assert not jpeg_holes.has_hole(Walk(data))
    assert jpeg_holes.has_hole(Walk(holed(data, 128)))


def test_zeros_at_the_end_may_be_padding():
    data = kit.jpeg(kit.photograph(300, 200), quality=92)
    assert not jpeg_holes.ends_in_zeros(Walk(data))
    for count in (128, 5000):
        padded = data[:-2] + bytes(count) + data[-2:]
        assert not jpeg_holes.has_hole(Walk(padded))
        assert jpeg_holes.ends_in_zeros(Walk(padded))
        assert jpeg_holes.without_zeros_at_end(padded) == data[:-2] + bytes(2) + data[-2:]
    assert jpeg_holes.without_zeros_at_end(data) == data


@pytest.mark.parametrize("quality", [5, 75, 100])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_zeros_of_a_flat_picture_are_its_blocks(mode, quality):
    picture = Image.new("RGB", (1600, 1200), "white")
    picture.paste(kit.photograph(200, 100), (0, 0))
    for image in (picture, Image.new("RGB", (1600, 1200), "black")):
        data = kit.jpeg(image.convert(mode), quality=quality, optimize=True)
        assert not jpeg_holes.has_hole(Walk(data))
        assert not jpeg_holes.ends_in_zeros(Walk(data))


def test_nothing_is_told_of_what_is_no_sequential_picture_or_has_no_scan():
    progressive = holed(kit.jpeg(kit.photograph(300, 200), progressive=True), 500)
    for data in (
        progressive,
        b"\xff\xd8",
        b"\xff\xd8\xff\xc4\0\2\xff\xda\0\2\xff\xd9",
        b"\xff\xd8\xff\xda\0\3\3\xff\xd9",
    ):
        assert not jpeg_holes.has_hole(Walk(data))
        assert not jpeg_holes.ends_in_zeros(Walk(data))
        assert jpeg_holes.without_zeros_at_end(data) == data

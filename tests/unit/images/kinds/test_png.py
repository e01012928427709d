"""The faster decoder of PNGs sees what Pillow sees, and leaves to Pillow what is not its kind."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import SourceNotReady
from ingestor.images import read_header
from ingestor.images.kinds import png
from ingestor.images.pixels.samples import Samples
from ingestor.images.sniffing import format_of
from ingestor.images.source import opened
from ingestor.ports import NormaliseRules
from tests import image_kit as kit


def samples_of(write, data: bytes) -> Samples | None:
    with opened(write(data, "image.png"), 10**9) as source:
        header, undecoded = read_header.read(source, format_of(source), NormaliseRules())
        return png.samples(source, header, undecoded.take())


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_the_pixels_are_those_that_pillow_sees(write, level):
    photo = kit.photograph(321, 203, 4)
    data = kit.saved(photo, "PNG", compress_level=level, icc_profile=kit.rgb_profile(kit.SRGB, 2.2))
    found = samples_of(write, data)
    assert found is not None
    assert (found.mode, found.size) == ("RGB", (321, 203))
    assert (np.asarray(found.image()) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize(
    "chunk", [b"gAMA\x00\x00\xb1\x8f", b"sRGB\0", b"sBIT\5\6\5", b"tIME\x07\xea\x0b\x1c\x01\x02\x03"]
)
def test_what_a_chunk_tells_besides_does_not_change_the_values(write, chunk):
    values = kit.rgb_samples()
    found = samples_of(write, kit.png(values, 8, 2, chunks=[kit.png_chunk(chunk[:4], chunk[4:])]))
    assert found is not None
    assert (np.asarray(found.image()) == values).all()


OTHERS = {
    "16 bits": kit.png(kit.rgb_samples(16), 16, 2),
    "grey": kit.png(kit.grey_samples(8), 8, 0),
    "a palette": kit.palette_png(),
    "alpha": kit.saved(kit.quarters().convert("RGBA"), "PNG"),
    "a transparent colour": kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"tRNS", bytes(6))]),
    "interlaced": kit.png(kit.rgb_samples(), 8, 2, interlaced=True),
    "several pictures": kit.animation("PNG"),
    "another format": kit.jpeg(),
    "no end": kit.png(kit.rgb_samples(), 8, 2)[:-40],
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_all_other_kinds_are_left_to_pillow(write, data):
    assert samples_of(write, data) is None


def test_a_png_whose_end_is_missing_is_told_as_pillow_tells_it(made_fit):
    with pytest.raises(SourceNotReady) as caught:
        made_fit(kit.saved(kit.photograph(600, 400, 4), "PNG")[:-5000], longest_side_px=200)
    assert caught.value.reason == "truncated"

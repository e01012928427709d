"""Of an AVIF is shown what its clean aperture leaves of it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ingestor.images.kinds.avif import clean_aperture
from tests import image_kit as kit

WHOLE = (64, 1, 48, 1, 0, 1, 0, 1)
TOP_LEFT = (30, 1, 20, 1, -17, 1, -14, 1)
"""Of 64x48: 30x20 from the corner on."""


def sent(payload) -> Image.Image:
    with Image.open(payload.file) as image:
        image.load()
        return image


def test_the_aperture_is_what_is_sent(made_fit):
    payload = made_fit(kit.avif_with(kit.quarters(), kit.clap(*TOP_LEFT)), webp_quality=95)
    assert (payload.width_px, payload.height_px) == (30, 20)
    shown = sent(payload)
    assert shown.size == (30, 20)
    assert kit.close(kit.corners(shown), [kit.QUADRANTS[0]] * 4, 25)


def test_the_aperture_counts_before_the_picture_is_turned(made_fit):
    left_half, turned_left = kit.clap(32, 1, 48, 1, -16, 1, 0, 1), kit.jp2_box(b"irot", b"\1")
    payload = made_fit(kit.avif_with(kit.quarters(), left_half, turned_left), webp_quality=95)
    assert (payload.width_px, payload.height_px) == (48, 32)
    top, bottom = kit.QUADRANTS[0], kit.QUADRANTS[2]
    assert kit.close(kit.corners(sent(payload)), [top, bottom, top, bottom], 25)


def test_a_plan_tells_the_size_of_the_aperture(inspected):
    planned = inspected(kit.avif_with(kit.quarters(), kit.clap(*TOP_LEFT)))
    assert (planned.width_px, planned.height_px) == (30, 20)


@pytest.mark.parametrize(
    ("told", "edges"),
    [
        (WHOLE, (0, 0, 64, 48)),
        (TOP_LEFT, (0, 0, 30, 20)),
        ((62, 2, 48, 1, 33, 2, 0, 1), (33, 0, 64, 48)),
        ((65, 1, 48, 1, 0, 1, 0, 1), None),
        ((30, 1, 20, 1, -18, 1, 0, 1), None),
        ((31, 1, 20, 1, 0, 1, 0, 1), None),
        ((0, 1, 20, 1, 0, 1, 0, 1), None),
        ((30, 0, 20, 1, 0, 1, 0, 1), None),
    ],
    ids=["whole", "corner", "fractions", "too wide", "outside", "half pixels", "nothing", "divided by 0"],
)
def test_edges_that_cannot_be_are_passed_over(made_fit, told, edges):
    data = kit.avif_with(kit.quarters(), kit.clap(*told))
    assert clean_aperture(data, (64, 48)) == edges
    payload = made_fit(data)
    size = (64, 48) if edges is None else (edges[2] - edges[0], edges[3] - edges[1])
    assert (payload.width_px, payload.height_px) == size


def test_a_file_without_an_aperture_has_none():
    data = kit.saved(kit.quarters(), "AVIF")
    assert clean_aperture(data, (64, 48)) is None
    for length in range(0, len(data), 7):
        assert clean_aperture(data[:length], (64, 48)) is None
    with Image.open(io.BytesIO(kit.avif_with(kit.quarters(), kit.clap(*TOP_LEFT)))) as pillows:
        assert pillows.size == (64, 48)

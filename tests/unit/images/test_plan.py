from __future__ import annotations

import pytest

from ingestor.images import read_header
from ingestor.images.plan import Plan, plan
from ingestor.images.sniffing import format_of
from ingestor.images.source import opened
from ingestor.policy.sizing import Size
from ingestor.ports import NormaliseRules
from tests import image_kit as kit


def plan_for(write, data: bytes, **rules: object) -> Plan:
    settings = NormaliseRules(**rules)  # type: ignore[arg-type]
    with opened(write(data, "image"), 10**9) as source:
        header, _ = read_header.read(source, format_of(source), settings)
        return plan(source, header, settings)


def test_what_complies_passes(write):
    what = plan_for(write, kit.jpeg())
    assert what.passes
    assert what.fits_but_for_bytes
    assert (what.format, what.box, what.upright) == ("JPEG", Size(64, 48), Size(64, 48))


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        (kit.jpeg(exif=b"Exif\0\0" + kit.exif(3)), {}),
        (kit.jpeg(), {"longest_side_px": 60}),
        (kit.animation("WEBP"), {}),
        (kit.saved(kit.quarters(), "BMP"), {}),
    ],
    ids=["turned", "large", "moving", "of another format"],
)
def test_what_needs_new_pixels_does_not_pass(write, data, rules):
    what = plan_for(write, data, **rules)
    assert not what.passes
    assert not what.fits_but_for_bytes


def test_too_many_bytes_alone_leave_the_pixels_alone(write):
    what = plan_for(write, kit.jpeg(), max_bytes=100)
    assert not what.passes
    assert what.fits_but_for_bytes
    assert what.format == "WEBP"


def test_a_turned_picture_is_planned_upright(write):
    what = plan_for(write, kit.jpeg(exif=b"Exif\0\0" + kit.exif(6)), longest_side_px=32)
    assert (what.box, what.upright) == (Size(32, 24), Size(24, 32))


def test_a_png_that_has_no_chance_is_not_tried_as_one(write):
    large = kit.saved(kit.noise(200, 100), "PNG")
    assert plan_for(write, large, longest_side_px=100, max_bytes=10_000).format == "WEBP"
    assert plan_for(write, large, longest_side_px=100, max_bytes=30_000).format == "PNG"


def test_a_jpeg_that_becomes_smaller_may_stay_one(write):
    large = kit.jpeg(kit.noise(200, 100))
    assert plan_for(write, large, longest_side_px=100, max_bytes=10_000).format == "JPEG"
    assert plan_for(write, large, max_bytes=10_000).format == "WEBP"


def test_steps_are_told_in_order(write):
    what = plan_for(write, kit.animation("GIF"), longest_side_px=32)
    told = what.steps(colour=True, size=Size(32, 24), written_as="WEBP")
    assert told == ("first_frame", "colour", "resized", "webp")

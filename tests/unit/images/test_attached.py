from __future__ import annotations

import pytest

from ingestor.images import attached, exif
from ingestor.images.attached import Attached
from tests import image_kit as kit

ROOM = 10_000_000


def carried(found: Attached, **more: object) -> tuple[Attached, list[str]]:
    return attached.to_carry(found, **{"turn": 1, "stripped": False, "room_bytes": ROOM, **more})  # type: ignore[arg-type]


def test_metadata_are_carried_and_the_profile_is_not_since_pixels_are_srgb():
    block = kit.exif(1, make="Camera")
    kept, odd = carried(Attached(icc=b"profile", exif=block, xmp=kit.XMP))
    assert kept == Attached(exif=block, xmp=kit.XMP)
    assert odd == []


def test_what_was_turned_says_that_it_is_upright():
    kept, _ = carried(Attached(exif=kit.exif(6, make="Camera"), xmp=b'tiff:Orientation="6"'))
    assert exif.orientation_of(kept.exif) == 1
    assert kept.xmp == b'tiff:Orientation="1"'


def test_what_was_in_adobe_rgb_says_that_it_is_in_srgb():
    for turn in (1, 6):
        kept, _ = carried(Attached(exif=kit.camera_exif(orientation=6)), turn=turn)
        assert not exif.is_adobe_rgb(kept.exif)
        assert b"SECRETNAME" in kept.exif
        assert exif.orientation_of(kept.exif) == turn


def test_what_is_kept_turned_says_so():
    kept, _ = carried(Attached(exif=kit.exif(6, make="Camera")), turn=6)
    assert exif.orientation_of(kept.exif) == 6
    assert b"Camera" in kept.exif
    told_elsewhere, _ = carried(Attached(), turn=8)
    assert exif.orientation_of(told_elsewhere.exif) == 8


def test_stripping_leaves_nothing_but_how_it_is_turned():
    found = Attached(icc=b"profile", exif=kit.exif(6, make="Camera"), xmp=kit.XMP)
    assert carried(found, stripped=True) == (Attached(), [])
    kept, _ = carried(found, stripped=True, turn=6)
    assert kept.xmp is None
    assert b"Camera" not in kept.exif
    assert exif.orientation_of(kept.exif) == 6


def test_metadata_never_take_more_than_a_tenth_of_the_room():
    kept, odd = carried(Attached(exif=kit.exif(1) + bytes(2000), xmp=bytes(2000)), room_bytes=10_000)
    assert kept == Attached()
    assert len(odd) == 2


def test_what_no_jpeg_segment_holds_stays_behind_with_a_warning():
    large = Attached(exif=kit.exif(6) + bytes(70_000), xmp=bytes(70_000))
    kept, odd = attached.for_jpeg(large, turn=6)
    assert kept.xmp is None
    assert exif.orientation_of(kept.exif) == 6
    assert len(kept.exif) < 100
    assert len(odd) == 2


def test_large_metadata_do_not_keep_a_jpeg_from_being_sent(made_fit):
    data = kit.jpeg_with(
        kit.jpeg(kit.photograph(200, 100)), kit.jpeg_segment(0xE1, b"Exif\0\0" + kit.exif(6) + bytes(65_000))
    )
    payload = made_fit(data)
    assert payload.normalised == ("turned",)
    assert payload.mime_type == "image/jpeg"


@pytest.mark.parametrize("part", ["icc", "exif", "xmp"])
def test_size_counts_every_part(part):
    assert Attached(**{part: bytes(1000)}).size_bytes >= 1000 + Attached().size_bytes

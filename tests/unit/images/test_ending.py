from __future__ import annotations

import pytest

from ingestor.images.ending import DEFINITE, is_cut_off
from ingestor.images.source import opened
from ingestor.policy.formats import BY_NAME
from tests import image_kit as kit

SAMPLES = [sample for sample in kit.SAMPLES if sample.format in DEFINITE]
SEVERAL_PICTURES = ("JPEG MPO", "JPEG Ultra HDR")
"""In more than half of such a file the first picture may be whole."""


def cut_off(write, data: bytes, name: str) -> bool:
    with opened(write(data, "image"), 10**9) as source:
        return is_cut_off(source, BY_NAME[name])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_whole_file_is_not_cut_off_whatever_is_appended(write, sample):
    data = sample.make()
    assert not cut_off(write, data, sample.format)
    if sample.format != "TIFF":
        assert not cut_off(write, data + bytes(8), sample.format)


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if sample.format in ("AVIF", "HEIF")], ids=lambda one: one.id
)
def test_what_phones_append_to_the_boxes_is_no_box_that_is_cut_off(write, sample):
    appended = b"/>\n</x:xmpmeta>\n" + bytes(range(200)) + b"SEFH" + bytes(12) + b"SEFT"
    assert not cut_off(write, sample.make() + appended, sample.format)


@pytest.mark.parametrize("appended", [b"/>\n", b"\r\n", bytes(3), b"a note of some program", bytes(range(7, 250))])
@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_a_still_picture_of_which_no_part_is_missing_is_whole_whatever_is_behind_it(write, name, appended):
    data = kit.saved(kit.quarters(), "AVIF") if name == "AVIF" else kit.heic()
    assert not cut_off(write, data + appended, name)
    assert cut_off(write, data[:-9], name)


@pytest.mark.parametrize("appended", [b"\n", bytes(100), b"a note of some program", bytes(range(7, 250)) * 9])
def test_a_qoi_ends_with_its_mark_whatever_is_behind_it(write, appended):
    data = kit.saved(kit.photograph(60, 40), "QOI")
    assert not cut_off(write, data + appended, "QOI")
    assert cut_off(write, data[:-1], "QOI")
    assert cut_off(write, data[:-9] + b"\1", "QOI")


@pytest.mark.parametrize(
    ("sample", "share"),
    [
        pytest.param(sample, share, id=f"{sample.id}-{share}")
        for share in (0.1, 0.35, 0.6, 0.85)
        for sample in SAMPLES
        if share <= 0.5 or sample.what not in SEVERAL_PICTURES
    ],
)
def test_every_part_of_a_file_is_cut_off(write, sample, share):
    data = sample.make()
    length = max(13, int(len(data) * share))
    assert cut_off(write, data[:length], sample.format)


def test_a_gif_without_its_trailer_is_whole(write):
    assert not cut_off(write, kit.animation("GIF").rstrip(b";"), "GIF")


def test_a_format_that_tells_no_end_is_never_cut_off(write):
    assert not cut_off(write, kit.sun()[:500], "SUN")

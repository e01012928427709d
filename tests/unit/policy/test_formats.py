"""The tables of the README are true: every format is read, every reason can happen to somebody."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest
from PIL import Image

from ingestor.images.normalise import normalise, prepare
from ingestor.policy import formats
from ingestor.ports import NormaliseRules
from tests import image_kit as kit

HEIC = kit.Sample(what="HEIC", format="HEIF", make=kit.heic, tolerance=30)
SAMPLES = [*kit.SAMPLES, HEIC]


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    prepare(NormaliseRules())


def made_fit(data: bytes, folder: Path, name: str, **rules: object):
    (folder / name).write_bytes(data)
    return normalise(folder / name, folder / "out", NormaliseRules(**rules), time.perf_counter())  # type: ignore[arg-type]


def meant(sample: kit.Sample) -> list[tuple[int, ...]]:
    if not sample.grey:
        return list(kit.QUADRANTS)
    return [
        (value,) * 3 for value in (Image.new("RGB", (1, 1), c).convert("L").getpixel((0, 0)) for c in kit.QUADRANTS)
    ]


def test_every_format_has_samples():
    assert {sample.format for sample in SAMPLES} == set(formats.BY_NAME)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
@pytest.mark.parametrize("rules", [{}, {"longest_side_px": 40}], ids=["as large as it is", "made smaller"])
def test_every_kind_of_every_format_is_made_fit(tmp_path, sample, rules):
    if sample.format == "HEIF" and importlib.util.find_spec("pillow_heif") is None:
        pytest.skip("needs the extra [heif]")
    row = formats.BY_NAME[sample.format]
    payload = made_fit(sample.make(), tmp_path, f"image{row.suffixes[0]}", **rules)
    with Image.open(payload.file) as image:
        image.load()
        assert image.size == (payload.width_px, payload.height_px)
        assert max(image.size) <= rules.get("longest_side_px", 4096)
        assert kit.close(kit.corners(image), meant(sample), sample.tolerance + 6)
    assert payload.mime_type in formats.MIME_TYPES.values()
    assert payload.is_source == (
        row.accepted_as is not None and not rules and not sample.moving and not sample.rarely_read
    )
    assert ("webp" in payload.normalised) == (row.accepted_as is None)
    assert ("first_frame" in payload.normalised) == sample.moving


# A TGA without its signature is told by its suffix only.
@pytest.mark.parametrize("row", [row for row in formats.FORMATS if row.name != "TGA"], ids=lambda row: row.name)
def test_a_wrong_suffix_misleads_nobody(tmp_path, row):
    sample = next(sample for sample in SAMPLES if sample.format == row.name)
    if row.extra is not None and importlib.util.find_spec("pillow_heif") is None:
        pytest.skip("needs the extra")
    assert made_fit(sample.make(), tmp_path, "image.jpg").width_px == sample.size[0]


def test_no_suffix_belongs_to_two_formats():
    all_suffixes = [suffix for row in formats.FORMATS for suffix in row.suffixes]
    assert len(all_suffixes) == len(set(all_suffixes)) == len(formats.SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in all_suffixes)


def test_every_format_that_the_api_takes_can_be_written():
    assert set(formats.FILE_SUFFIX) == set(formats.MIME_TYPES)
    assert set(formats.MIME_TYPES.values()) == {"image/jpeg", "image/png", "image/webp"}


def test_the_format_table_has_a_line_for_every_row():
    lines = formats.format_table().splitlines()
    assert len(lines) == 2 + len(formats.FORMATS)
    for row, line in zip(formats.FORMATS, lines[2:], strict=True):
        assert row.title in line
        assert all(f"`{suffix}`" in line for suffix in row.suffixes)
        assert ("[heif]" in line) == (row.extra == "heif")


def test_the_reason_table_has_a_line_for_every_reason():
    lines = formats.reason_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(formats.REASONS)


def test_a_reason_stands_for_one_thing_only():
    assert set(formats.REASONS) & set(formats.NOT_READY) == {"truncated"}

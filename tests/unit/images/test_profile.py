from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import features

from ingestor.images import profile
from ingestor.policy.formats import BY_NAME, FORMATS
from ingestor.ports import NormaliseRules

RULES = NormaliseRules()


def test_the_profile_names_every_library_that_shapes_bytes():
    told = profile.profile(BY_NAME["AVIF"], "WEBP", RULES)
    for library, version in (("webp", "webp"), ("avif", "avif"), ("lcms", "littlecms2")):
        assert f"{library}-{features.version(version)}" in told
    assert "pillow-" in told
    assert "simplejpeg-" in told


def test_it_changes_with_the_recipe(monkeypatch):
    before = profile.profile(BY_NAME["BMP"], "WEBP", RULES)
    monkeypatch.setattr(profile, "RECIPE", profile.RECIPE + 1)
    assert profile.profile(BY_NAME["BMP"], "WEBP", RULES) != before


@pytest.mark.parametrize(
    "change",
    [
        {"longest_side_px": 2048},
        {"max_bytes": 5_000_000},
        {"webp_quality": 80},
        {"metadata": "strip"},
        {"orientation": "keep"},
        {"light": "linear"},
    ],
)
def test_it_changes_with_what_can_change_bytes(change):
    row = BY_NAME["PNG"]
    assert profile.profile(row, "WEBP", replace(RULES, **change)) != profile.profile(row, "WEBP", RULES)


@pytest.mark.parametrize("change", [{"max_pixels": 1}, {"integrity": "header"}, {"animation": "reject"}])
def test_it_does_not_change_with_what_only_decides_whether_bytes_are_made(change):
    row = BY_NAME["PNG"]
    assert profile.profile(row, "WEBP", replace(RULES, **change)) == profile.profile(row, "WEBP", RULES)


def test_every_pair_of_formats_has_its_own_profile():
    told = {profile.profile(row, written, RULES) for row in FORMATS for written in ("JPEG", "PNG", "WEBP")}
    assert len(told) == 3 * len(FORMATS)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.formats import SUFFIXES
from ingestor.stages.discover.rules import SUSPICIOUS, NameRules
from tests.ledger_kit import folder_settings

ROOT = Path("/in")


def rules(**fields: Any) -> NameRules:
    return NameRules(folder_settings(ROOT, **fields))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_image_suffix_is_taken_whatever_its_case(suffix: str) -> None:
    for name in (f"x{suffix}", f"x{suffix.upper()}", f"a/b/x{suffix.title()}"):
        assert rules().verdict(name) is None


@pytest.mark.parametrize("name", ["x.txt", "x", "x.jpg.json", "jpg", "x.jpg ", "x.jpg.bak"])
def test_what_has_no_image_suffix_is_not_taken(name: str) -> None:
    assert rules().verdict(name) == "not_an_image_name"


@pytest.mark.parametrize(
    "name",
    [
        *(".x.jpg", "._x.jpg", ".DS_Store", "~$x.jpg", "x.jpg~", "x.jpg.filepart", "x.jpg.part", "x.jpg.partial"),
        *("x.jpg.tmp", "x.tmp", "x.jpg.TMP", "x.jpg.temp", "x.jpg.crdownload", "x.jpg.download", "x.jpg.opdownload"),
        *(".x.jpg.swp", "Thumbs.db", "thumbs.DB", "desktop.ini", "a/@eaDir/x.jpg", "@eadir/a/x.jpg", "#recycle/x.jpg"),
        *("$RECYCLE.BIN/x.jpg", "System Volume Information/x.jpg", "lost+found/x.jpg", ".git/x.jpg", "a/.b/c/x.jpg"),
    ],
)
def test_what_is_being_written_and_what_lies_about_is_ignored(name: str) -> None:
    assert rules().verdict(name) == "ignored"
    assert rules(include=["*"]).verdict(name) == "ignored"


@pytest.mark.parametrize(
    "name", ["~x.jpg", "$x.jpg", "x~1.jpg", "part.jpg", "tmp.x.jpg", "@eaDir.jpg", "a..jpg", "-.jpg"]
)
def test_what_only_looks_like_it_is_taken(name: str) -> None:
    assert rules().verdict(name) is None


def test_a_file_of_an_ignored_directory_s_name_is_not_ignored_for_it() -> None:
    assert rules(include=["*"]).verdict("lost+found") is None


@pytest.mark.parametrize(
    ("patterns", "path", "verdict"),
    [
        (["*.png"], "a/x.png", "excluded"),
        (["*.png"], "x.jpg", None),
        (["/x.jpg"], "x.jpg", "excluded"),
        (["/x.jpg"], "a/x.jpg", None),
        (["raw/"], "raw/x.jpg", "ignored"),
        (["raw/"], "a/raw/b/x.jpg", "ignored"),
        (["raw/"], "raw", "not_an_image_name"),
        (["*.jpg", "!keep.jpg"], "keep.jpg", None),
        (["*.jpg", "!keep.jpg"], "x.jpg", "excluded"),
        (["a/**/x.jpg"], "a/b/c/x.jpg", "excluded"),
        (["x?.jpg"], "xé.jpg", "excluded"),
        (["x*y.jpg"], "x\ny.jpg", "excluded"),
        (["x*.jpg"], "x\udcff.jpg", "excluded"),
    ],
)
def test_exclude_is_read_as_gitignore_is(patterns: list[str], path: str, verdict: str | None) -> None:
    assert rules(exclude=patterns).verdict(path) == verdict


@pytest.mark.parametrize(
    ("patterns", "path", "verdict"),
    [
        (["*.jpg"], "a/x.jpg", None),
        (["*.jpg"], "x.png", "not_included"),
        (["*"], "x.weird", None),
        (["/hero/*"], "hero/x.jpg", None),
        (["/hero/*"], "other/x.jpg", "not_included"),
    ],
)
def test_include_replaces_the_suffixes(patterns: list[str], path: str, verdict: str | None) -> None:
    assert rules(include=patterns).verdict(path) == verdict


def test_exclude_wins_over_include() -> None:
    assert rules(include=["*.jpg"], exclude=["x*"]).verdict("x.jpg") == "excluded"


def test_a_folder_that_is_not_recursive_takes_its_own_files_only() -> None:
    assert rules(recursive=False).verdict("x.jpg") is None
    assert rules(recursive=False).verdict("a/x.jpg") == "not_recursive"


def test_an_after_action_s_own_target_is_not_looked_into(tmp_path: Path) -> None:
    settings = folder_settings(
        tmp_path, after_upload=f"move:{tmp_path}/done/[x]", on_quarantine=f"move:{tmp_path}/bad", exclude=["other"]
    )
    found = NameRules(settings)
    assert not found.enters("done/[x]")
    assert found.enters("done/x")
    assert found.enters("done")
    assert not found.enters("bad")
    assert found.verdict("bad/x.jpg") == "ignored"
    assert found.verdict("bad.jpg") is None


def test_the_target_is_known_through_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    settings = folder_settings(tmp_path / "link", after_upload=f"move:{tmp_path}/real/done")
    assert not NameRules(settings).enters("done")


@given(st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_the_short_way_never_takes_what_the_long_way_would_not(name: str) -> None:
    found = rules()
    for full in (name, *(name + suffix for suffix in (".jpg", ".PNG", ".tmp"))):
        if full.endswith(found.plain_suffixes) and full[0] not in SUSPICIOUS:
            assert found.verdict_here(full, full) is None


def test_there_is_no_short_way_where_there_are_patterns() -> None:
    assert rules(exclude=["x"]).plain_suffixes == ()
    assert rules(include=["x"]).plain_suffixes == ()

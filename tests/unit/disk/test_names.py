from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.disk import names
from ingestor.disk.names import numbered, open_below, rename_new, sync_directory


@pytest.fixture(params=["by the system's call", "where the system has none"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "where the system has none":
        monkeypatch.setattr(names, "_renameat2", lambda *arguments: errno.ENOSYS)


@pytest.mark.usefixtures("_both_ways")
def test_rename_new_takes_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with open_below(tmp_path, "") as directory:
        rename_new(tmp_path / "a", "b", target_dir=directory)
    assert (tmp_path / "b").read_text() == "a"
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("_both_ways")
def test_rename_new_leaves_an_existing_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with open_below(tmp_path, "") as directory, pytest.raises(FileExistsError):
        rename_new("a", "b", source_dir=directory, target_dir=directory)
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("a", "b")


@pytest.mark.usefixtures("_both_ways")
def test_rename_new_of_a_file_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    with open_below(tmp_path, "") as directory, pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "a", "b", target_dir=directory)
    assert list(tmp_path.iterdir()) == []


def test_open_below_makes_the_directories_between(tmp_path: Path) -> None:
    with open_below(tmp_path, "a/b/c") as directory:
        assert os.path.samestat(os.fstat(directory), os.stat(tmp_path / "a" / "b" / "c"))


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc", "a/../b"])
def test_open_below_refuses_to_leave(tmp_path: Path, path: str) -> None:
    with pytest.raises(OSError, match="leads out") as raised, open_below(tmp_path, path):
        pass
    assert raised.value.errno == errno.EINVAL


def test_open_below_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError) as raised, open_below(tmp_path, "link/x"):  # noqa: PT011 - the code says it
        pass
    assert raised.value.errno in (errno.ELOOP, errno.ENOTDIR)
    assert list((tmp_path / "real").iterdir()) == []


def test_open_below_does_not_make_its_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_below(tmp_path / "root", "a"):
        pass
    assert not (tmp_path / "root").exists()


def test_open_below_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open_below(tmp_path, "a/b"):
        pass
    with pytest.raises(OSError, match="leads out"), open_below(tmp_path, "a/../b"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError), open_below(tmp_path, "file/b"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_sync_directory_needs_a_directory(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "none")


def test_the_first_name_is_the_name_itself() -> None:
    assert [numbered("a.b.jpg", number) for number in (1, 2, 3)] == ["a.b.jpg", "a.b (2).jpg", "a.b (3).jpg"]


_STEMS = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=250)


@given(stem=_STEMS, number=st.integers(1, 10_000), room=st.integers(0, 20))
def test_a_numbered_name_is_never_too_long_and_keeps_its_suffix(stem: str, number: int, room: int) -> None:
    name = stem + ".jpg"
    found = numbered(name, number, room=room)
    assert len(os.fsencode(found)) + room <= 255
    assert found.endswith(".jpg")


@given(stem=_STEMS, one=st.integers(2, 99), other=st.integers(2, 99))
def test_different_numbers_give_different_names(stem: str, one: int, other: int) -> None:
    assert (numbered(stem + ".jpg", one) == numbered(stem + ".jpg", other)) == (one == other)

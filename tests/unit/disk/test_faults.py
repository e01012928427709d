from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ingestor.disk import check_unchanged, disk_fault, is_same_after_rename, not_ready
from ingestor.errors import SourceNotReady
from tests.ledger_kit import source_of


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOENT, "vanished"),
        (errno.ENOTDIR, "vanished"),
        (errno.EACCES, "unreadable"),
        (errno.EPERM, "unreadable"),
        (errno.EBUSY, "busy"),
        (errno.ETXTBSY, "busy"),
        (errno.EIO, "unreadable"),
    ],
)
def test_an_error_on_a_source_means_later_again(code: int, reason: str) -> None:
    found = not_ready(Path("/in/x.jpg"), OSError(code, os.strerror(code)))
    assert found.reason == reason
    assert str(found).startswith("/in/x.jpg: ")


@pytest.mark.parametrize(
    ("code", "reason", "cure"),
    [
        (errno.ENOSPC, "disk_full", "make room"),
        (errno.EDQUOT, "disk_full", "quota"),
        (errno.EROFS, "disk_read_only", "writable"),
        (errno.EACCES, "disk_denied", "let this user write"),
        (errno.EIO, "disk", "system's log"),
        (errno.ENAMETOOLONG, "disk", "too long"),
    ],
)
def test_an_error_on_a_file_of_ours_names_the_path_and_the_cure(code: int, reason: str, cure: str) -> None:
    found = disk_fault(Path("/out"), OSError(code, os.strerror(code)))
    assert found.reason == reason
    assert str(found).startswith("/out: ")
    assert cure in str(found)


def test_a_file_that_is_touched_counts_as_changed(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    source = source_of(tmp_path, "x.jpg")
    check_unchanged(source)
    os.utime(tmp_path / "x.jpg", ns=(1, 1))
    with pytest.raises(SourceNotReady) as raised:
        check_unchanged(source)
    assert raised.value.reason == "changed"


def test_a_link_in_the_place_of_a_file_counts_as_changed(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    source = source_of(tmp_path, "x.jpg")
    os.rename(tmp_path / "x.jpg", tmp_path / "y.jpg")
    (tmp_path / "x.jpg").symlink_to(tmp_path / "y.jpg")
    with pytest.raises(SourceNotReady) as raised:
        check_unchanged(source)
    assert raised.value.reason == "changed"


def test_a_renamed_file_is_the_same_and_its_copy_is_not(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    identity = source_of(tmp_path, "x.jpg").identity
    os.rename(tmp_path / "x.jpg", tmp_path / "y.jpg")
    assert is_same_after_rename(identity, os.lstat(tmp_path / "y.jpg"))
    (tmp_path / "z.jpg").write_bytes(b"x")
    assert not is_same_after_rename(identity, os.lstat(tmp_path / "z.jpg"))

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestor.errors import AccountRefused
from ingestor.files_api import ApiKey

OLD, NEW = "al_live_OLD0123456789", "al_live_NEW0123456789"


def write(file: Path, text: str, mode: int = 0o600) -> Path:
    """As a careful operator does: a new file, renamed into place."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.rename(file)
    return file


def refused(key: ApiKey) -> str:
    with pytest.raises(AccountRefused) as caught:
        key.current()
    assert caught.value.reason == "key"
    assert OLD not in str(caught.value)
    return str(caught.value)


# -- from the environment --------------------------------------------------------------------------


def test_the_environment_has_the_key() -> None:
    key = ApiKey(environment={"AUROUS_API_KEY": f" {OLD}\n"})
    assert key.current() == OLD
    assert key.origin == "$AUROUS_API_KEY"


def test_the_processes_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", OLD)
    assert ApiKey().current() == OLD


@pytest.mark.parametrize("environment", [{}, {"AUROUS_API_KEY": ""}, {"AUROUS_API_KEY": "  \n"}])
def test_a_missing_key_is_told_with_its_cure(environment: dict[str, str]) -> None:
    said = refused(ApiKey(environment=environment))
    assert said == (
        "the environment variable AUROUS_API_KEY is not set; set it, or name a file that holds the key as api.key_file"
    )


@pytest.mark.parametrize("text", [f"{OLD}\n{OLD}", f"{OLD}\r\nX-Evil: 1", "al_live_ü", f"{OLD}\0", "x" * 5000])
def test_what_could_not_be_sent_in_a_header_is_no_key(text: str) -> None:
    assert "holds more than one line of plain characters" in refused(ApiKey(environment={"AUROUS_API_KEY": text}))


def test_a_key_file_goes_before_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path / "key", NEW)
    assert ApiKey(file=file, environment={"AUROUS_API_KEY": OLD}).current() == NEW


# -- from a file -----------------------------------------------------------------------------------


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD + "\n")
    key = ApiKey(file=file)
    assert key.current() == OLD
    write(file, NEW)
    assert key.current() == NEW


def test_a_key_changed_in_place_is_seen_too(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file)
    assert key.current() == OLD
    file.write_text(NEW)
    os.utime(file, ns=(0, 0))
    assert key.current() == NEW


def test_while_the_file_is_being_replaced_the_key_that_worked_is_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file)
    assert key.current() == OLD
    file.unlink()
    assert key.current() == OLD
    key.refused(OLD)
    assert "is not there" in refused(key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o777])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path / "key", OLD, mode)
    assert refused(ApiKey(file=file)) == (f"the key file {file} may be used by others than its owner; chmod 600 {file}")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_may_use_is_read(tmp_path: Path, mode: int) -> None:
    assert ApiKey(file=write(tmp_path / "key", OLD, mode)).current() == OLD


def test_a_file_opened_up_later_is_refused_then(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file)
    assert key.current() == OLD
    file.chmod(0o644)
    assert "chmod 600" in refused(key)
    assert key.is_refused()


def test_a_file_swapped_between_the_look_and_the_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = write(tmp_path / "key", OLD), write(tmp_path / "other", OLD, 0o644)
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *more: real(other, flags, *more))
    assert "may be used by others" in refused(ApiKey(file=file))


def test_a_link_to_a_good_file_is_fine_and_a_pipe_or_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write(tmp_path / "key", OLD))
    assert ApiKey(file=tmp_path / "link").current() == OLD
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    for name in ("pipe", "folder"):
        assert "is not a regular file" in refused(ApiKey(file=tmp_path / name))


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), (f"{OLD}\n\n{OLD}", "more than one line")])
def test_a_file_without_one_key_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(ApiKey(file=write(tmp_path / "key", text)))


def test_bytes_that_are_no_text_are_no_key(tmp_path: Path) -> None:
    file = write(tmp_path / "key", "")
    file.write_bytes(b"\xff\xfe\x00")
    assert "more than one line of plain characters" in refused(ApiKey(file=file))


def test_a_missing_or_unreachable_file_is_told(tmp_path: Path) -> None:
    assert "is not there; make it" in refused(ApiKey(file=tmp_path / "gone"))
    (tmp_path / "a-file").touch()
    assert "cannot be read (Not a directory)" in refused(ApiKey(file=tmp_path / "a-file" / "key"))


# -- refused by the API ----------------------------------------------------------------------------


def test_a_refused_key_stays_refused_until_another_one_is_found(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file)
    assert not key.is_refused()
    key.refused(key.current())
    assert key.is_refused()
    write(file, NEW)
    assert not key.is_refused()
    assert key.current() == NEW


def test_a_refused_key_is_read_again_even_where_the_file_looks_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file)
    assert key.current() == OLD
    before = file.stat()
    with file.open("r+") as handle:
        handle.write(NEW)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    key.refused(OLD)
    assert key.current() == NEW


def test_a_key_that_is_accepted_again_is_not_refused_any_more() -> None:
    key = ApiKey(environment={"AUROUS_API_KEY": OLD})
    key.refused(OLD)
    assert key.is_refused()
    key.accepted()
    assert not key.is_refused()


def test_no_key_at_all_counts_as_refused() -> None:
    assert ApiKey(environment={}).is_refused()


def test_nothing_shows_the_key(tmp_path: Path) -> None:
    key = ApiKey(file=write(tmp_path / "key", OLD))
    key.current()
    assert repr(key) == f"ApiKey(from {tmp_path}/key)"
    assert OLD not in f"{key}{key.origin}"


@pytest.mark.parametrize(("value", "usual"), [(OLD, True), ("og_0123", True), ("sk_123", False), ("al_live_", False)])
def test_the_usual_look_is_that_of_the_contract(value: str, usual: bool) -> None:
    assert ApiKey.looks_usual(value) is usual


def test_each_key_is_told_to_whoever_hides_it_before_it_is_used(tmp_path: Path) -> None:
    hidden: list[str] = []
    file = write(tmp_path / "key", OLD)
    key = ApiKey(file=file, hide=hidden.append)
    key.current()
    write(file, NEW)
    key.current()
    assert set(hidden) == {OLD, NEW}

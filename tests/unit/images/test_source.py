from __future__ import annotations

import errno
import mmap
import os
import socket
import threading

import pytest

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import mapped as mapped_file
from ingestor.images import source
from ingestor.images.source import opened

PLENTY = 300_000_000


def reason(path, **more) -> str:
    with pytest.raises((SourceNotReady, ImageRejected)) as caught, opened(path, more.get("max_pixels", PLENTY)):
        raise AssertionError("it was opened")
    assert path.name in str(caught.value)
    return caught.value.reason


def test_a_missing_file_has_vanished(tmp_path):
    assert reason(tmp_path / "gone.jpg") == "vanished"


def test_a_file_below_a_file_has_vanished(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert reason(tmp_path / "file" / "a.jpg") == "vanished"


def test_an_empty_file_is_not_ready(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert reason(tmp_path / "empty.jpg") == "empty"


def test_a_file_without_permission_is_unreadable(as_nobody):
    (as_nobody / "secret.jpg").write_bytes(b"x")
    (as_nobody / "secret.jpg").chmod(0)
    assert reason(as_nobody / "secret.jpg") == "unreadable"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("ENOENT", "vanished"),
        ("ESTALE", "vanished"),
        ("EACCES", "unreadable"),
        ("ELOOP", "unreadable"),
        ("EIO", "busy"),
    ],
)
def test_every_error_of_the_system_means_later(tmp_path, code, word):
    number = getattr(errno, code)
    assert source.not_ready(tmp_path / "a.jpg", OSError(number, os.strerror(number))).reason == word


def test_a_folder_a_pipe_and_a_socket_are_no_files(tmp_path, monkeypatch):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        # The address of a socket is short, the path of a test is not.
        monkeypatch.chdir(tmp_path)
        listener.bind("socket.jpg")
        assert reason(tmp_path / "folder.jpg") == "not_a_file"
        assert reason(tmp_path / "pipe.jpg") == "not_a_file"
        assert reason(tmp_path / "socket.jpg") in ("not_a_file", "unreadable")


def test_a_file_larger_than_any_picture_is_refused_unread(tmp_path):
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(200_000_000)
    assert reason(tmp_path / "large.jpg", max_pixels=1_000_000) == "too_many_bytes"


def test_parts_and_the_whole_are_the_same_bytes(tmp_path, monkeypatch):
    data = os.urandom(20_000)
    (tmp_path / "a").write_bytes(data)
    for in_memory in (source.IN_MEMORY_BYTES, 100):
        monkeypatch.setattr(source, "IN_MEMORY_BYTES", in_memory)
        with opened(tmp_path / "a", PLENTY) as file:
            assert file.head == data[: source.HEAD_BYTES]
            assert file.tail(7) == data[-7:]
            assert file.at(5000, 10) == data[5000:5010]
            assert file.at(19_995, 10) == data[-5:]
            assert file.at(30_000, 10) == b""
            assert file.stream().read() == data
            assert file.whole() == data
            assert file.at(5000, 10) == data[5000:5010]
            file.forget()
            assert file.whole() == data


@pytest.fixture
def mapped(monkeypatch):
    """Files of a page and more are not held."""
    monkeypatch.setattr(source, "_HELD_BYTES", mmap.PAGESIZE)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(3 * mmap.PAGESIZE))
    return path


def test_a_large_file_that_is_gone_through_is_not_held(mapped, large):
    with opened(large, PLENTY) as file:
        seen = file.once(bytes)
        with file.in_passing(0) as data:
            assert isinstance(data, mmap.mmap)
            assert data[:] == large.read_bytes()
            assert (file._whole, file._found) == (None, {})
        assert file.once(bytes) == seen


def test_what_was_given_back_is_read_again(mapped, large, monkeypatch):
    monkeypatch.setattr(source, "_GIVE_BACK_SECONDS", 0.0)
    with opened(large, PLENTY) as file, file.in_passing(0) as data:
        for _ in range(1000):
            assert data[-mmap.PAGESIZE :] == large.read_bytes()[-mmap.PAGESIZE :]
    assert "give back" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("mode", ["r+b", "wb"])
@pytest.mark.parametrize("checked", [1, mmap.PAGESIZE, mmap.PAGESIZE + 1])
def test_what_was_checked_of_a_large_file_stays_whoever_writes_to_it(mapped, large, checked, mode, monkeypatch):
    monkeypatch.setattr(source, "_GIVE_BACK_SECONDS", 0.0)
    data, other = large.read_bytes(), bytes(3 * mmap.PAGESIZE)
    with opened(large, PLENTY) as file:
        file.whole()
        with file.in_passing(checked) as passing:
            assert passing[:] == data
            with large.open(mode) as written:  # "wb" makes it empty first, which takes private copies away too
                written.write(other)
            for _ in range(1000):
                assert passing[:checked] == data[:checked]
            assert passing[-1:] == b"\0"
    assert large.read_bytes() == other


def test_a_large_file_that_was_checked_to_its_end_or_grows_is_held(mapped, large):
    with opened(large, PLENTY) as file:
        with large.open("ab") as written:
            written.write(b"more")
        for checked in (3 * mmap.PAGESIZE, 3 * mmap.PAGESIZE + 4):
            with file.in_passing(checked) as passing:
                assert passing == large.read_bytes()


def test_a_file_that_must_be_held_is_gone_through_all_the_same(mapped, large, monkeypatch):
    data = large.read_bytes()

    with opened(large, PLENTY) as file:
        file.replace(data[: 2 * mmap.PAGESIZE])
        with file.in_passing(0) as passing:
            assert passing == data[: 2 * mmap.PAGESIZE]
    # This file system maps no files.
    monkeypatch.setattr(mapped_file, "_map", lambda *_: mapped_file._FAILED)
    with opened(large, PLENTY) as file, file.in_passing(0) as passing:
        assert passing == data


def test_without_another_thread_a_large_file_is_read_too(mapped, large, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with opened(large, PLENTY) as file, file.in_passing(0) as data:
        assert data[:] == large.read_bytes()

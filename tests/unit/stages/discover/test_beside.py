"""A program beside ours lists what we would list, and its end costs nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.disk import programs
from ingestor.stages.discover import DropFolder, Piece, beside, lister
from ingestor.stages.discover.beside import Lists
from ingestor.stages.discover.lister import Listed
from ingestor.stages.discover.rules import SUSPICIOUS
from tests.ledger_kit import folder_settings

SUFFIXES = (".jpg", ".png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"image")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MANY", 0)


@pytest.fixture
def lists() -> Iterator[Lists]:
    made = Lists(SUFFIXES, SUSPICIOUS, 3)
    yield made
    made.close()


def program_of(lists: Lists) -> subprocess.Popen[bytes]:
    assert lists._program is not None
    return lists._program


def named(parts: list[Listed]) -> list[str]:
    return sorted(name for part in parts for name in part.plain)


def walked(root: Path, **fields: Any) -> list[tuple[Any, ...]]:
    def told(piece: Piece) -> tuple[Any, ...]:
        contexts = (piece.marks.context, piece.marks.contexts)
        return piece.directory, dict(piece.marks.by_name), contexts, piece.skipped, piece.subdirectories, piece.whole

    return [told(piece) for piece in DropFolder(folder_settings(root, **fields)).walk()]


@pytest.mark.parametrize("fields", [{}, {"recursive": False}, {"exclude": ["*.png"]}])
def test_it_lists_what_a_call_lists(root: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    write(
        root, "b.jpg", "a\nb.png", "d/x.webp", "d/e/y.JPG", "d/e/.hidden.jpg", "c/notes.txt", "c/f/g/h.jpg", "z/~w.jpg"
    )
    (root / "b.jpg.json").write_text("{}")
    (root / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"x")
    (root / "link.jpg").symlink_to(root / "b.jpg")
    (root / "elsewhere").symlink_to(root / "c")
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe.png")
    by_call = walked(root, **fields)
    monkeypatch.setattr(beside, "MANY", 0)
    assert walked(root, **fields) == by_call
    assert len(by_call) == (1 if "recursive" in fields else 8)


def test_it_is_started_only_once_there_are_many(root: Path, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MANY", 5)
    write(root, *(f"{number}.jpg" for number in range(5)))
    assert len(named(list(lists.ask(str(root), follow=True)))) == 5
    assert lists._program is None
    assert len(named(list(lists.ask(str(root), follow=True)))) == 5
    assert program_of(lists).poll() is None


def test_a_large_directory_is_its_own_reason(root: Path, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_LARGE_BYTES", 1)
    write(root, "a.jpg")
    assert named(list(lists.ask(str(root), follow=True))) == ["a.jpg"]
    assert program_of(lists).poll() is None


@pytest.mark.usefixtures("at_once")
def test_several_directories_may_be_asked_for_and_errors_stand_in_their_place(root: Path, lists: Lists) -> None:
    write(root, *(f"a/{number}.jpg" for number in range(7)), "b/x.png")
    (root / "link").symlink_to(root / "a")
    first, gone, link, second = (lists.ask(f"{root}/{name}", follow=False) for name in ("a", "gone", "link", "b"))
    parts = list(first)
    assert [part.is_last for part in parts] == [False, False, True]
    assert len(named(parts)) == 7
    with pytest.raises(FileNotFoundError):
        list(gone)
    with pytest.raises(NotADirectoryError):
        list(link)
    assert named(list(second)) == ["x.png"]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("read", [0, 1, 2])
def test_one_that_is_killed_is_replaced_by_calls_and_no_file_comes_twice(root: Path, lists: Lists, read: int) -> None:
    write(root, *(f"a/{number}.jpg" for number in range(8)), "b/x.png", "c/y.png")
    first, second = lists.ask(f"{root}/a", follow=False), lists.ask(f"{root}/b", follow=False)
    parts = [next(first) for _ in range(read)]
    # What it has written already may still be read.
    program_of(lists).send_signal(signal.SIGKILL)
    program_of(lists).wait()
    assert named(parts + list(first)) == [f"{number}.jpg" for number in range(8)]
    assert named(list(second)) == ["x.png"]
    assert named(list(lists.ask(f"{root}/c", follow=False))) == ["y.png"]


@pytest.mark.usefixtures("at_once")
def test_where_no_process_can_be_started_calls_do(root: Path, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.sys, "executable", "/nowhere/python")
    write(root, "a.jpg")
    assert named(list(lists.ask(str(root), follow=True))) == ["a.jpg"]


@pytest.mark.usefixtures("at_once")
def test_it_knows_no_secret_and_is_gone_with_the_walk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", "al_live_secret")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(beside.subprocess, "Popen", start)
    write(root, "a.jpg", "d/b.jpg", "e/c.jpg")
    walk = DropFolder(folder_settings(root)).walk()
    next(walk)
    (program,) = started
    assert b"secret" not in Path(f"/proc/{program.pid}/environ").read_bytes()
    walk.close()
    assert program.returncode == -signal.SIGKILL


@pytest.mark.parametrize("ends", [b"", lister.framed(b"3\0.~\0.jpg")])
def test_it_ends_when_nobody_asks_any_more(ends: bytes) -> None:
    done = subprocess.run(programs.command(lister.__file__), input=ends, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_ends_when_nobody_listens_any_more(root: Path) -> None:
    write(root, "a.jpg")
    asked = lister.framed(b"3\0.~\0.jpg") + 1000 * lister.framed(b"1" + os.fsencode(root))
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:
        done = subprocess.run(
            programs.command(lister.__file__),
            input=asked,
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestor.errors import SourceNotReady
from ingestor.stages import fingerprint as stage
from ingestor.stages.fingerprint import fingerprint
from tests.ledger_kit import source_of

_PIECE = stage.PIECE_BYTES


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "x.jpg").write_bytes(b"image")
    return tmp_path / "x.jpg"


async def reason_of(path: Path, change: Callable[[], None]) -> str:
    source = source_of(path.parent, path.name)
    change()
    with pytest.raises(SourceNotReady) as raised:
        await asyncio.wait_for(fingerprint(source), 5)
    assert str(path) in str(raised.value)
    return raised.value.reason


@pytest.mark.parametrize("size", [1, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE])
async def test_the_digest_is_sha256_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "x.jpg").write_bytes(content)
    assert await fingerprint(source_of(tmp_path, "x.jpg")) == hashlib.sha256(content).hexdigest()


async def test_a_file_is_read_in_one_hop_to_a_thread(file: Path, hops: Counter[str]) -> None:
    await fingerprint(source_of(file.parent, file.name))
    assert hops.total() == 1


async def test_names_of_any_bytes_can_be_read(tmp_path: Path) -> None:
    for raw in (b"\xff.jpg", b"a\nb.jpg", "é😀.jpg".encode(), b"-x.jpg", b"x" * 251 + b".jpg"):
        name = os.fsdecode(raw)
        (tmp_path / name).write_bytes(b"image")
        assert await fingerprint(source_of(tmp_path, name)) == hashlib.sha256(b"image").hexdigest()


async def test_a_file_that_is_gone_has_vanished(file: Path) -> None:
    assert await reason_of(file, file.unlink) == "vanished"


async def test_a_directory_that_became_a_file_has_taken_its_files_along(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.jpg").write_bytes(b"image")

    def change() -> None:
        (tmp_path / "d" / "x.jpg").unlink()
        (tmp_path / "d").rmdir()
        (tmp_path / "d").write_text("")

    assert await reason_of(tmp_path / "d" / "x.jpg", change) == "vanished"


async def test_a_file_with_other_bytes_has_changed(file: Path) -> None:
    assert await reason_of(file, lambda: file.write_bytes(b"imagE") and None) == "changed"


async def test_a_touched_file_has_changed(file: Path) -> None:
    assert await reason_of(file, lambda: os.utime(file, ns=(1, 1))) == "changed"


async def test_a_replaced_file_has_changed(file: Path) -> None:
    def replace() -> None:
        file.with_name("new").write_bytes(b"image")
        os.replace(file.with_name("new"), file)

    assert await reason_of(file, replace) == "changed"


async def test_a_link_in_the_file_s_place_is_not_followed(file: Path, tmp_path: Path) -> None:
    def link() -> None:
        os.rename(file, tmp_path / "y.jpg")
        file.symlink_to(tmp_path / "y.jpg")

    assert await reason_of(file, link) == "changed"


async def test_a_fifo_in_the_file_s_place_is_not_waited_for(file: Path) -> None:
    def fifo() -> None:
        file.unlink()
        os.mkfifo(file)

    assert await reason_of(file, fifo) == "changed"


async def test_a_directory_in_the_file_s_place_has_changed_it(file: Path) -> None:
    def directory() -> None:
        file.unlink()
        file.mkdir()

    assert await reason_of(file, directory) in ("changed", "unreadable")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.open("ab").write(b"more"),
        lambda path: os.truncate(path, 10),
        lambda path: os.utime(path, ns=(1, 1)),
        lambda path: os.replace(path.with_name("other.jpg"), path),
        lambda path: path.unlink(),
    ],
    ids=["grown", "cut", "touched", "replaced", "removed"],
)
async def test_what_happens_to_a_file_while_it_is_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(os.urandom(2 * _PIECE))
    (tmp_path / "other.jpg").write_bytes(b"other")
    hashed = stage.hashed

    def change_meanwhile(*arguments):
        digest = hashed(*arguments)
        change(path)
        return digest

    monkeypatch.setattr(stage, "hashed", change_meanwhile)
    with pytest.raises(SourceNotReady) as raised:
        await fingerprint(source_of(tmp_path, "x.jpg"))
    assert raised.value.reason in ("changed", "vanished")


async def test_a_file_that_may_not_be_read_is_not_ready(as_nobody: Path) -> None:
    file = as_nobody / "x.jpg"
    file.write_bytes(b"image")
    file.chmod(0)
    assert await reason_of(file, lambda: None) == "unreadable"


async def test_an_error_of_the_disk_is_not_the_image_s_fault(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, flags: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stage, "open_regular", fail)
    assert await reason_of(file, lambda: None) == "unreadable"

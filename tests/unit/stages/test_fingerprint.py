from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ingestor.disk import programs
from ingestor.errors import SourceNotReady
from ingestor.model import Digest, SourceFile
from ingestor.stages.fingerprint import Hasher, beside, hasher
from ingestor.stages.fingerprint import fingerprint as in_this_process
from tests.fakes import FakeClock
from tests.ledger_kit import source_of

_PIECE = hasher.PIECE_BYTES
Fingerprint = Callable[[SourceFile], Awaitable[Digest]]


@pytest.fixture(params=["in this process", "beside it"])
async def fingerprint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fingerprint]:
    if request.param == "in this process":
        yield in_this_process
        return
    monkeypatch.setattr(beside, "MANY", 1)
    made = Hasher(FakeClock())
    yield made.fingerprint
    await made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "x.jpg").write_bytes(b"image")
    return tmp_path / "x.jpg"


ReasonOf = Callable[[Path, Callable[[], None]], Awaitable[str]]


@pytest.fixture
def reason_of(fingerprint: Fingerprint) -> ReasonOf:
    async def of(path: Path, change: Callable[[], None]) -> str:
        source = source_of(path.parent, path.name)
        change()
        with pytest.raises(SourceNotReady) as raised:
            await asyncio.wait_for(fingerprint(source), 5)
        assert str(path) in str(raised.value)
        return raised.value.reason

    return of


@pytest.mark.parametrize("size", [1, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE])
async def test_the_digest_is_sha256_of_the_whole_file(tmp_path: Path, size: int, fingerprint: Fingerprint) -> None:
    content = os.urandom(size)
    (tmp_path / "x.jpg").write_bytes(content)
    assert await fingerprint(source_of(tmp_path, "x.jpg")) == hashlib.sha256(content).hexdigest()


async def test_a_file_is_read_in_one_hop_to_a_thread(file: Path, hops: Counter[str]) -> None:
    await in_this_process(source_of(file.parent, file.name))
    assert hops.total() == 1


async def test_names_of_any_bytes_can_be_read(tmp_path: Path, fingerprint: Fingerprint) -> None:
    for raw in (b"\xff.jpg", b"a\nb.jpg", "é😀.jpg".encode(), b"-x.jpg", b"x" * 251 + b".jpg"):
        name = os.fsdecode(raw)
        (tmp_path / name).write_bytes(b"image")
        assert await fingerprint(source_of(tmp_path, name)) == hashlib.sha256(b"image").hexdigest()


async def test_a_file_that_is_gone_has_vanished(file: Path, reason_of: ReasonOf) -> None:
    assert await reason_of(file, file.unlink) == "vanished"


async def test_a_directory_that_became_a_file_has_taken_its_files_along(tmp_path: Path, reason_of: ReasonOf) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.jpg").write_bytes(b"image")

    def change() -> None:
        (tmp_path / "d" / "x.jpg").unlink()
        (tmp_path / "d").rmdir()
        (tmp_path / "d").write_text("")

    assert await reason_of(tmp_path / "d" / "x.jpg", change) == "vanished"


async def test_a_file_with_other_bytes_has_changed(file: Path, reason_of: ReasonOf) -> None:
    assert await reason_of(file, lambda: file.write_bytes(b"imagE") and None) == "changed"


async def test_a_touched_file_has_changed(file: Path, reason_of: ReasonOf) -> None:
    assert await reason_of(file, lambda: os.utime(file, ns=(1, 1))) == "changed"


async def test_a_replaced_file_has_changed(file: Path, reason_of: ReasonOf) -> None:
    def replace() -> None:
        file.with_name("new").write_bytes(b"image")
        os.replace(file.with_name("new"), file)

    assert await reason_of(file, replace) == "changed"


async def test_a_link_in_the_file_s_place_is_not_followed(file: Path, tmp_path: Path, reason_of: ReasonOf) -> None:
    def link() -> None:
        os.rename(file, tmp_path / "y.jpg")
        file.symlink_to(tmp_path / "y.jpg")

    assert await reason_of(file, link) == "changed"


async def test_a_fifo_in_the_file_s_place_is_not_waited_for(file: Path, reason_of: ReasonOf) -> None:
    def fifo() -> None:
        file.unlink()
        os.mkfifo(file)

    assert await reason_of(file, fifo) == "changed"


async def test_a_directory_in_the_file_s_place_has_changed_it(file: Path, reason_of: ReasonOf) -> None:
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
    hashed = hasher.hashed

    def change_meanwhile(*arguments):
        digest = hashed(*arguments)
        change(path)
        return digest

    monkeypatch.setattr(hasher, "hashed", change_meanwhile)
    with pytest.raises(SourceNotReady) as raised:
        await in_this_process(source_of(tmp_path, "x.jpg"))
    assert raised.value.reason in ("changed", "vanished")


async def test_a_file_that_may_not_be_read_is_not_ready(as_nobody: Path, reason_of: ReasonOf) -> None:
    file = as_nobody / "x.jpg"
    file.write_bytes(b"image")
    file.chmod(0)
    assert await reason_of(file, lambda: None) == "unreadable"


async def test_an_error_of_the_disk_is_not_the_image_s_fault(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hasher, "hashed", fail)
    with pytest.raises(SourceNotReady, match=r"Input/output error") as raised:
        await in_this_process(source_of(file.parent, file.name))
    assert raised.value.reason == "unreadable"


# -- the program beside this process ---------------------------------------------------------------


@pytest.fixture
async def beside_us() -> AsyncIterator[Hasher]:
    made = Hasher(FakeClock())
    yield made
    await made.close()


def program_of(hashes: Hasher) -> subprocess.Popen[bytes]:
    assert hashes._program is not None
    return hashes._program._process


async def test_it_is_started_once_many_come_within_a_second(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MANY", 3)
    source, clock = source_of(file.parent, file.name), FakeClock()
    hashes = Hasher(clock)
    for _ in range(5):
        await hashes.fingerprint(source)
        clock.advance(0.6)
    assert hashes._program is None
    for _ in range(3):
        await hashes.fingerprint(source)
    program = program_of(hashes)
    clock.advance(60.0)
    assert await hashes.fingerprint(source) == hashlib.sha256(b"image").hexdigest()
    assert program_of(hashes) is program
    await hashes.close()
    assert program.returncode == -signal.SIGKILL


async def test_no_thread_is_asked_any_more(
    file: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch, hops: Counter[str]
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    await beside_us.fingerprint(source_of(file.parent, file.name))
    assert hops.total() == 0


async def test_each_gets_the_answer_to_its_own_question(
    tmp_path: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    contents = [os.urandom(200_000 if number % 3 else 10) for number in range(200)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    sources = [source_of(tmp_path, f"{number}.jpg") for number in range(200)]
    (tmp_path / "77.jpg").unlink()
    answers = await asyncio.gather(*map(beside_us.fingerprint, sources), return_exceptions=True)
    gone = answers.pop(77)
    assert isinstance(gone, SourceNotReady)
    assert gone.reason == "vanished"
    del contents[77]
    assert answers == [hashlib.sha256(content).hexdigest() for content in contents]


async def test_who_does_not_wait_any_more_takes_nobody_s_answer(
    tmp_path: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    await beside_us.fingerprint(source_of(tmp_path, "a.jpg"))
    waits = asyncio.create_task(beside_us.fingerprint(source_of(tmp_path, "a.jpg")))
    await asyncio.sleep(0)
    waits.cancel()
    assert await beside_us.fingerprint(source_of(tmp_path, "b.jpg")) == hashlib.sha256(b"b.jpg").hexdigest()


@pytest.mark.parametrize("closed", [False, True])
async def test_one_that_ends_costs_nobody_an_answer_and_another_follows(
    tmp_path: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    content = os.urandom(3_000_000)
    (tmp_path / "x.jpg").write_bytes(content)
    source = source_of(tmp_path, "x.jpg")
    await beside_us.fingerprint(source)
    program = program_of(beside_us)
    program.send_signal(signal.SIGSTOP)  # so that all of them wait
    waiting = [asyncio.create_task(beside_us.fingerprint(source)) for _ in range(10)]
    await asyncio.sleep(0)
    if closed:
        await beside_us.close()
    else:
        program.send_signal(signal.SIGKILL)
    assert await asyncio.gather(*waiting) == 10 * [hashlib.sha256(content).hexdigest()]
    if not closed:
        beside_us._clock.advance(2.0)
        assert await beside_us.fingerprint(source) == hashlib.sha256(content).hexdigest()
        assert program_of(beside_us).pid != program.pid
    assert program.returncode == -signal.SIGKILL


async def test_where_no_process_can_be_started_this_one_does(
    file: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(programs.sys, "executable", "/nowhere/python")
    assert await beside_us.fingerprint(source_of(file.parent, file.name)) == hashlib.sha256(b"image").hexdigest()
    assert beside_us._program is None


async def test_it_knows_no_secret(file: Path, beside_us: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", "al_live_secret")
    monkeypatch.setattr(beside, "MANY", 1)
    await beside_us.fingerprint(source_of(file.parent, file.name))
    assert b"secret" not in Path(f"/proc/{program_of(beside_us).pid}/environ").read_bytes()


@pytest.mark.parametrize("asked", [b"", b"/no/such/file.jpg\0/half/a/pa"])
def test_it_ends_when_nobody_asks_any_more(asked: bytes) -> None:
    done = subprocess.run(programs.command(hasher.__file__), input=asked, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_a_large_file_that_is_being_read_keeps_nobody_from_ending(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(1 << 40)
    hashes = Hasher(FakeClock())
    reading = asyncio.create_task(hashes.fingerprint(source_of(tmp_path, "a.jpg")))
    await asyncio.sleep(0.05)
    await hashes.close()
    with pytest.raises(SourceNotReady):
        await asyncio.wait_for(reading, 5)

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import DiskFault
from ingestor.ledger import SqliteLedger
from ingestor.stages.manifest import Manifest, file
from ingestor.stages.manifest import manifest as manifest_module
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    made = SqliteLedger(empty_ledger_in(tmp_path), clock)
    yield made
    await made.close()


@pytest.fixture
def walk(ledger: SqliteLedger, clock: FakeClock) -> Walk:
    return Walk(ledger, clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "manifest.jsonl"


async def opened(path: Path, ledger: SqliteLedger) -> Manifest:
    manifest = Manifest(path, ledger)
    await manifest.open()
    return manifest


async def with_lines(walk: Walk, number: int, begin: int = 0) -> None:
    for index in range(begin, begin + number):
        await walk.uploaded(sighting(f"{index}.jpg"), content(index))


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"}\n")
    return [json.loads(line) for line in text.splitlines()]


def paths(path: Path) -> list[str]:
    return [line["path"] for line in lines(path)]


# -- appending


async def test_opening_makes_an_empty_file_for_its_owner_alone(path: Path, ledger: SqliteLedger) -> None:
    await opened(path, ledger)
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_line_is_what_the_interface_promises(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    promised = await walk.uploaded(sighting("a/b.jpg"), content(1, campaign="launch-2026"))
    await manifest.flush()
    (line,) = lines(path)
    assert list(line) == [
        *("v", "seq", "at", "event", "folder", "path", "source", "sha256", "idempotency_key", "generation", "file_id"),
        *("purpose", "mime_type", "size_bytes", "width_px", "height_px", "created_at", "expires_at", "metadata"),
        *("replayed", "normalised", "sent_sha256", "request_id"),
    ]
    assert (line["v"], line["event"], line["path"], line["file_id"]) == (1, "uploaded", "a/b.jpg", promised.file_id)
    assert (line["at"], line["expires_at"]) == ("2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z")


async def test_every_flush_writes_what_is_new_and_no_more(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    for number in range(4):
        await with_lines(walk, 1, number)
        await manifest.flush()
        await manifest.flush()
        assert paths(path) == [f"{index}.jpg" for index in range(number + 1)]


async def test_more_lines_than_one_write_takes_are_all_written(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.stages.manifest.manifest._GROUP", 3)
    manifest = await opened(path, ledger)
    await with_lines(walk, 10)
    await manifest.flush()
    assert len(lines(path)) == 10


async def test_flushes_at_once_write_each_line_once(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)

    async def one(number: int) -> None:
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
        await manifest.flush()
        assert f"{number}.jpg" in paths(path)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert sorted(paths(path)) == sorted(f"{number}.jpg" for number in range(20))
    assert [line["seq"] for line in lines(path)] == sorted(line["seq"] for line in lines(path))


async def test_two_writers_of_one_file_write_each_line_once(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    one, other = await opened(path, ledger), await opened(path, ledger)
    for number in range(10):
        await with_lines(walk, 1, number)
        await asyncio.gather(one.flush(), other.flush())
    assert paths(path) == [f"{number}.jpg" for number in range(10)]


async def test_a_path_whose_bytes_are_not_utf8_is_escaped_and_any_other_is_readable(
    path: Path, ledger: SqliteLedger, walk: Walk
) -> None:
    manifest = await opened(path, ledger)
    names = ["é😀.jpg", "\udcff.jpg", 'new\nline"\\.jpg']
    for number, name in enumerate(names):
        await walk.uploaded(sighting(name), content(number))
    await manifest.flush()
    assert paths(path) == names
    assert "é😀.jpg".encode() in path.read_bytes()
    assert b"\\udcff.jpg" in path.read_bytes()
    assert path.read_bytes().count(b"\n") == 3


async def test_a_file_that_was_deleted_under_us_is_made_anew(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 2)
    await manifest.flush()
    path.unlink()
    await with_lines(walk, 1, 2)
    await manifest.flush()
    assert paths(path) == ["0.jpg", "1.jpg", "2.jpg"]


async def test_a_torn_end_that_appears_under_us_is_cut_off(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 2)
    await manifest.flush()
    with path.open("ab") as out:
        out.write(b'{"v": 1, "seq": 3, "at"')
    await with_lines(walk, 1, 2)
    await manifest.flush()
    assert paths(path) == ["0.jpg", "1.jpg", "2.jpg"]


async def test_a_file_that_becomes_somebody_else_s_under_us_is_set_aside(
    path: Path, ledger: SqliteLedger, walk: Walk
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 2)
    await manifest.flush()
    path.write_text("shopping list\n")
    await with_lines(walk, 1, 2)
    await manifest.flush()
    assert paths(path) == ["0.jpg", "1.jpg", "2.jpg"]
    assert path.with_name("manifest.jsonl.other").read_text() == "shopping list\n"


async def test_whoever_holds_the_file_is_waited_for(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 1)
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    flush = asyncio.create_task(manifest.flush())
    await asyncio.sleep(0.02)
    assert not flush.done()
    os.close(holder)
    await flush
    assert len(lines(path)) == 1


async def test_whoever_waits_for_a_file_that_is_replaced_meanwhile_writes_to_the_new_one(
    path: Path, ledger: SqliteLedger, walk: Walk
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 1)
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    flush = asyncio.create_task(manifest.flush())
    await asyncio.sleep(0.02)
    path.with_name("new").write_bytes(b"")
    os.replace(path.with_name("new"), path)
    os.close(holder)
    await flush
    assert len(lines(path)) == 1


async def test_those_who_come_while_a_flush_runs_share_the_next_one(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, asked = await opened(path, ledger), 0
    lines_after = ledger.lines_after

    async def counted(seq: int, limit: int) -> Any:
        nonlocal asked
        asked += 1
        return await lines_after(seq, limit)

    monkeypatch.setattr(ledger, "lines_after", counted)
    await with_lines(walk, 10)
    await asyncio.gather(*(manifest.flush() for _ in range(10)))
    assert asked == 2
    assert len(lines(path)) == 10


async def test_under_load_those_who_come_a_moment_later_share_a_flush(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 5)
    await manifest.flush()
    written: list[int] = []
    append = manifest_module.append
    monkeypatch.setattr(
        manifest_module, "append", lambda of, data: (append(of, data), written.append(data.count(b"\n")))
    )
    monkeypatch.setattr(manifest_module, "_LINGER_SECONDS", 0.5)

    async def later(number: int) -> None:
        await with_lines(walk, 1, begin=number)
        await manifest.flush()
        assert f"{number}.jpg" in paths(path)

    await with_lines(walk, 2, begin=5)
    async with manifest._alone:  # as a flush before them holds it
        two = [asyncio.create_task(manifest.flush()) for _ in range(2)]
        await asyncio.sleep(0)
    await asyncio.gather(*two, later(7), later(8))
    assert written == [4]


async def test_who_comes_alone_waits_for_nobody(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "_LINGER_SECONDS", 60.0)
    manifest = await opened(path, ledger)
    for begin in (0, 5):
        await with_lines(walk, 5, begin=begin)
        await asyncio.wait_for(manifest.flush(), 20)
    assert len(paths(path)) == 10


async def test_who_waited_for_a_flush_that_failed_flushes(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, append = await opened(path, ledger), file.append
    await with_lines(walk, 1)

    def fail_once(*arguments: Any) -> None:
        monkeypatch.setattr("ingestor.stages.manifest.manifest.append", append)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ingestor.stages.manifest.manifest.append", fail_once)
    first, second = await asyncio.gather(manifest.flush(), manifest.flush(), return_exceptions=True)
    assert isinstance(first, DiskFault)
    assert second is None
    assert len(lines(path)) == 1


async def test_a_flush_that_is_cancelled_leaves_nothing_held(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    manifest = await opened(path, ledger)
    held = descriptors_of(path)
    for number in range(8):
        await with_lines(walk, 1, number)
        flush = asyncio.create_task(manifest.flush())
        for _ in range(number):
            await asyncio.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
    await manifest.flush()
    assert paths(path) == [f"{number}.jpg" for number in range(8)]
    assert descriptors_of(path) == held


def descriptors_of(path: Path) -> int:
    """How many of our own lead to this file, or one beside it of its name."""
    return sum(os.path.realpath(link).startswith(str(path)) for link in Path("/proc/self/fd").iterdir())


# -- disks


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_a_disk_at_fault_leaves_no_part_of_a_line_and_is_no_longer_at_fault_when_cured(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 1)
    await manifest.flush()
    await with_lines(walk, 1, 1)
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            return write(descriptor, data[: len(data) // 2])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(file.os, "write", half)
        with pytest.raises(DiskFault, match=r"manifest\.jsonl"):
            await manifest.flush()
        assert paths(path) == ["0.jpg"]
    await manifest.flush()
    assert paths(path) == ["0.jpg", "1.jpg"]


async def test_a_line_that_is_not_on_disk_is_not_there(
    path: Path, ledger: SqliteLedger, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 1)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(file.os, "fdatasync", fail)
        with pytest.raises(DiskFault):
            await manifest.flush()
        assert path.read_bytes() == b""
    await manifest.flush()
    assert paths(path) == ["0.jpg"]


async def test_a_file_in_the_place_of_the_folder_is_a_disk_fault(tmp_path: Path, ledger: SqliteLedger) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(DiskFault, match="manifest"):
        await Manifest(tmp_path / "var" / "manifest.jsonl", ledger).open()


# -- repair at the start


@pytest.fixture
async def whole(path: Path, ledger: SqliteLedger, walk: Walk) -> bytes:
    """The manifest's bytes when all is well: six lines of six paths."""
    manifest = await opened(path, ledger)
    await with_lines(walk, 6)
    await manifest.flush()
    return path.read_bytes()


async def test_a_whole_file_is_left_as_it_is(path: Path, ledger: SqliteLedger, whole: bytes) -> None:
    inode = path.stat().st_ino
    await opened(path, ledger)
    assert path.read_bytes() == whole
    assert path.stat().st_ino == inode


async def test_a_file_torn_at_any_byte_becomes_whole_again(path: Path, ledger: SqliteLedger, whole: bytes) -> None:
    for length in [0, 1, 5, 6, *range(7, len(whole), 97), len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        await opened(path, ledger)
        assert path.read_bytes() == whole, length
    assert os.listdir(path.parent) == ["manifest.jsonl"]


def _without(number: int, whole: bytes) -> bytes:
    every = whole.splitlines(keepends=True)
    return b"".join(every[:number] + every[number + 1 :])


@pytest.mark.parametrize("number", range(6))
async def test_a_missing_line_comes_back(path: Path, ledger: SqliteLedger, whole: bytes, number: int) -> None:
    path.write_bytes(_without(number, whole))
    await opened(path, ledger)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "stray", [b"garbage\n", b"\n", b"\x00" * 50 + b"\n", b'{"v": 1}\n', b"[1]\n", b'{"v": 1, "seq": ']
)
@pytest.mark.parametrize("number", [0, 3, 6])
async def test_what_is_no_line_of_ours_goes(
    path: Path, ledger: SqliteLedger, whole: bytes, stray: bytes, number: int
) -> None:
    every = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*every[:number], stray, *every[number:]]))
    await opened(path, ledger)
    assert path.read_bytes() == whole


async def test_lines_twice_or_in_another_order_are_put_right(path: Path, ledger: SqliteLedger, whole: bytes) -> None:
    every = whole.splitlines(keepends=True)
    for wrong in ([*every, every[2]], [*every[::-1]], [every[0], every[0], *every[1:]]):
        path.write_bytes(b"".join(wrong))
        await opened(path, ledger)
        assert path.read_bytes() == whole


async def test_a_deleted_file_is_made_anew(path: Path, ledger: SqliteLedger, whole: bytes) -> None:
    path.unlink()
    await opened(path, ledger)
    assert path.read_bytes() == whole


async def test_a_manifest_outlives_its_ledger_and_numbers_go_on(
    path: Path, tmp_path: Path, whole: bytes, clock: FakeClock
) -> None:
    (tmp_path / "new").mkdir()
    fresh = SqliteLedger(empty_ledger_in(tmp_path / "new"), clock)
    manifest = await opened(path, fresh)
    assert path.read_bytes() == whole
    await with_lines(Walk(fresh, clock), 2, 10)
    await manifest.flush()
    assert path.read_bytes().startswith(whole)
    numbers = [line["seq"] for line in lines(path)]
    assert numbers == sorted(set(numbers))
    assert paths(path)[-2:] == ["10.jpg", "11.jpg"]
    after = path.read_bytes()
    await opened(path, fresh)
    assert path.read_bytes() == after
    # And damage done later costs none of the older ledger's lines.
    path.write_bytes(_without(7, after) + b"torn")
    await opened(path, fresh)
    assert path.read_bytes() == after
    await fresh.close()


async def test_a_ledger_restored_from_yesterday_keeps_today_s_lines(
    path: Path, tmp_path: Path, ledger: SqliteLedger, walk: Walk, clock: FakeClock
) -> None:
    manifest = await opened(path, ledger)
    await with_lines(walk, 2)
    (tmp_path / "old").mkdir()
    await ledger.close()
    (tmp_path / "old" / "ledger.db").write_bytes((tmp_path / "ledger.db").read_bytes())
    again = SqliteLedger(tmp_path / "ledger.db", clock)
    await with_lines(Walk(again, clock), 2, 2)
    manifest = await opened(path, again)
    await again.close()
    restored = SqliteLedger(tmp_path / "old" / "ledger.db", clock)
    manifest = await opened(path, restored)
    await with_lines(Walk(restored, clock), 1, 4)
    await manifest.flush()
    assert paths(path) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    await restored.close()


async def test_another_ledger_s_manifest_is_set_aside_and_not_added_to(
    path: Path, tmp_path: Path, whole: bytes, clock: FakeClock
) -> None:
    clock.advance(1)
    (tmp_path / "new").mkdir()
    other = SqliteLedger(empty_ledger_in(tmp_path / "new"), clock)
    await with_lines(Walk(other, clock), 3, 20)
    await opened(path, other)
    assert paths(path) == ["20.jpg", "21.jpg", "22.jpg"]
    assert path.with_name("manifest.jsonl.other").read_bytes() == whole
    await other.close()


async def test_a_file_that_is_no_manifest_is_set_aside_and_never_lost(
    path: Path, ledger: SqliteLedger, walk: Walk
) -> None:
    path.parent.mkdir()
    await with_lines(walk, 1)
    for number in (1, 2):
        path.write_text(f"my thesis, part {number}")
        await opened(path, ledger)
        assert paths(path) == ["0.jpg"]
    assert path.with_name("manifest.jsonl.other").read_text() == "my thesis, part 1"
    assert path.with_name("manifest.jsonl.other2").read_text() == "my thesis, part 2"


async def test_a_number_beyond_all_reason_does_not_use_the_numbers_up(
    path: Path, ledger: SqliteLedger, whole: bytes, walk: Walk
) -> None:
    path.write_bytes(whole + b'{"v": 1, "seq": 9223372036854775807, "at": "x", "event": "uploaded"}\n')
    manifest = await opened(path, ledger)
    await with_lines(walk, 1, 6)
    await manifest.flush()
    assert len(lines(path)) == 7


async def test_a_repair_that_fails_leaves_the_file_as_it_was(
    path: Path, ledger: SqliteLedger, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = _without(2, whole)
    path.write_bytes(damaged)

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file.os, "fsync", fail)
        with pytest.raises(DiskFault):
            await opened(path, ledger)
    assert path.read_bytes() == damaged
    assert os.listdir(path.parent) == ["manifest.jsonl"]
    await opened(path, ledger)
    assert path.read_bytes() == whole


# -- compaction


async def _renewed(walk: Walk, numbers: range) -> None:
    for number in numbers:
        await walk.renewed(sighting(f"{number}.jpg"), content(number))


async def test_compaction_leaves_the_last_line_of_each_path_in_order(
    path: Path, ledger: SqliteLedger, whole: bytes, walk: Walk
) -> None:
    await _renewed(walk, range(1, 3))
    await _renewed(walk, range(2, 4))
    manifest = await opened(path, ledger)
    before = lines(path)
    assert await manifest.compact() == 4
    last = {line["path"]: line for line in before}
    assert lines(path) == sorted(last.values(), key=lambda line: line["seq"])
    assert await manifest.compact() == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_compacted_file_is_appended_to_and_repaired_as_any_other(
    path: Path, ledger: SqliteLedger, whole: bytes, walk: Walk
) -> None:
    await _renewed(walk, range(3))
    manifest = await opened(path, ledger)
    await manifest.compact()
    await with_lines(walk, 1, 6)
    await manifest.flush()
    after = path.read_bytes()
    assert len(lines(path)) == 7
    await opened(path, ledger)
    assert path.read_bytes() == after
    for damaged in (after[:-9], _without(2, after), b""):
        path.write_bytes(damaged)
        await opened(path, ledger)
        assert path.read_bytes() == after


async def test_compaction_keeps_names_of_any_bytes_apart(path: Path, ledger: SqliteLedger, walk: Walk) -> None:
    names = ["é.jpg", "e\u0301.jpg", "\udcff.jpg", '"\\".jpg', "\\udcff.jpg", "a\n.jpg"]
    for number, name in enumerate(names):
        await walk.uploaded(sighting(name), content(number))
        await walk.uploaded(sighting(name, folder="other"), content(number + 10))
    manifest = await opened(path, ledger)
    assert await manifest.compact() == 0
    for number, name in enumerate(names):
        await walk.renewed(sighting(name), content(number))
    await manifest.flush()
    assert await manifest.compact() == len(names)
    assert sorted(paths(path)) == sorted(names * 2)


async def test_an_empty_manifest_is_compact(path: Path, ledger: SqliteLedger) -> None:
    assert await (await opened(path, ledger)).compact() == 0
    assert path.read_bytes() == b""


async def test_a_compaction_that_fails_changes_nothing(
    path: Path, ledger: SqliteLedger, whole: bytes, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _renewed(walk, range(3))
    manifest = await opened(path, ledger)
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file.os, "fsync", fail)
        with pytest.raises(DiskFault):
            await manifest.compact()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["manifest.jsonl"]
    # As after a crash: the ledger lists less than the file has, which is whole all the same.
    manifest = await opened(path, ledger)
    assert path.read_bytes() == before
    assert await manifest.compact() == 3


async def test_lines_of_an_older_ledger_are_compacted_as_well(
    path: Path, tmp_path: Path, whole: bytes, clock: FakeClock
) -> None:
    (tmp_path / "new").mkdir()
    fresh = SqliteLedger(empty_ledger_in(tmp_path / "new"), clock)
    manifest = await opened(path, fresh)
    await with_lines(Walk(fresh, clock), 3, 4)
    await manifest.flush()
    assert await manifest.compact() == 2
    assert paths(path) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg"]
    after = path.read_bytes()
    await opened(path, fresh)
    assert path.read_bytes() == after
    await fresh.close()


async def test_forgetting_leaves_the_manifest_whole(
    path: Path, ledger: SqliteLedger, whole: bytes, walk: Walk, clock: FakeClock
) -> None:
    await _renewed(walk, range(3))
    await ledger.miss("inbox", "", ["0.jpg", "5.jpg"], "gone")
    clock.advance(3 * 24 * 3600)
    await ledger.expire()
    assert await ledger.prune(clock.now()) == 0
    await opened(path, ledger)
    before = path.read_bytes()
    assert [line["event"] for line in lines(path)] == ["uploaded"] * 6 + ["expired"] * 6
    clock.advance(3 * 24 * 3600)
    assert await ledger.prune(clock.now()) == 2
    await opened(path, ledger)
    assert path.read_bytes() == before

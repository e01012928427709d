"""Disks that are full or read-only, real ones where root may mount: all pauses, nothing is corrupt, all goes on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ingestor.errors import DiskFault
from ingestor.ledger import LedgerLock, SqliteLedger
from ingestor.model import Lane
from ingestor.settings import AfterAction, AfterKind
from ingestor.stages.after import put_away
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting, source_of

DISK_BYTES = 8_000_000


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(b"x" * 4096):
                pass

    def make_room(self) -> None:
        self._filler.unlink()

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount; the unit tests inject the same faults")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(disk: Disk, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    made = SqliteLedger(disk.path / "ledger.db", clock)
    await made.open()
    yield made
    await made.close()


def integrity(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return found


async def until_full(walk: Walk, begin: int) -> int:
    """Upload until the disk is full; how many were promised to be remembered."""
    for number in range(begin, begin + 5_000):
        try:
            await walk.uploaded(sighting(f"{number}.jpg"), content(number))
        except DiskFault as fault:
            assert fault.reason == "disk_full"
            assert "ledger.db" in str(fault)
            return number
    raise AssertionError("the disk was never full")


async def test_a_ledger_on_a_full_disk_pauses_keeps_every_promise_and_goes_on(
    disk: Disk, ledger: SqliteLedger, clock: FakeClock
) -> None:
    walk = Walk(ledger, clock)
    for number in range(30):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
    number = 30
    for _ in range(2):
        disk.fill()
        number = await until_full(walk, number)
        with pytest.raises(DiskFault):
            await ledger.set_fact("x", 1)
        assert len(await ledger.entries(states=["live"])) == number
        disk.make_room()
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
        number += 1
    await ledger.close()
    assert integrity(disk.path / "ledger.db") == "ok"
    again = SqliteLedger(disk.path / "ledger.db", clock)
    await again.open()
    assert len(await again.entries(states=["live"])) == number
    await again.close()


async def test_a_ledger_can_be_closed_and_opened_while_its_disk_is_full(disk: Disk, clock: FakeClock) -> None:
    ledger = SqliteLedger(disk.path / "ledger.db", clock)
    await ledger.open()
    await ledger.set_fact("x", 1)
    disk.fill()
    with contextlib.suppress(DiskFault):
        await ledger.set_fact("y", "y" * 100_000)
    await ledger.close()
    again = SqliteLedger(disk.path / "ledger.db", clock)
    with contextlib.suppress(DiskFault):
        await again.open()
    disk.make_room()
    await again.open()
    assert await again.fact("x") == 1
    await again.close()
    assert integrity(disk.path / "ledger.db") == "ok"


async def test_a_new_ledger_on_a_full_disk_says_so_and_is_made_when_there_is_room(disk: Disk, clock: FakeClock) -> None:
    disk.fill()
    ledger = SqliteLedger(disk.path / "ledger.db", clock)
    with pytest.raises(DiskFault) as raised:
        await ledger.open()
    assert raised.value.reason in ("disk_full", "disk")
    disk.make_room()
    await ledger.open()
    await ledger.set_fact("x", 1)
    await ledger.close()


async def test_a_ledger_whose_disk_becomes_read_only_pauses_and_goes_on(
    disk: Disk, ledger: SqliteLedger, clock: FakeClock
) -> None:
    await ledger.set_fact("x", 1)
    with open_for_writing_nowhere(ledger):
        disk.remount("ro")
        try:
            other = SqliteLedger(disk.path / "ledger.db", clock)
            with pytest.raises(DiskFault) as raised:
                await other.open()
            await other.close()
            assert raised.value.reason == "disk_read_only"
            assert "ledger.db" in str(raised.value)
            with pytest.raises(DiskFault) as raised:
                LedgerLock(disk.path / "ledger.db", "ingestor watch").acquire()
            assert raised.value.reason == "disk_read_only"
        finally:
            disk.remount("rw")
    again = SqliteLedger(disk.path / "ledger.db", clock)
    await again.open()
    assert await again.fact("x") == 1
    await again.close()


@contextlib.contextmanager
def open_for_writing_nowhere(ledger: SqliteLedger) -> Iterator[None]:
    """A file that is open for writing keeps its disk from becoming read-only."""
    ledger._shut_down()
    ledger._is_closed = True
    yield


async def test_a_manifest_on_a_full_disk_never_has_a_part_of_a_line(
    tmp_path: Path, disk: Disk, clock: FakeClock
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    manifest = Manifest(disk.path / "manifest.jsonl", ledger)
    await manifest.open()
    walk = Walk(ledger, clock)
    for number in range(20):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number, text="x" * 900))
    disk.fill()
    with pytest.raises(DiskFault) as raised:
        await manifest.flush()
    assert raised.value.reason == "disk_full"
    assert "manifest.jsonl" in str(raised.value)
    assert (disk.path / "manifest.jsonl").read_bytes() == b""
    with pytest.raises(DiskFault):
        await Manifest(disk.path / "manifest.jsonl", ledger).open()
    assert (disk.path / "manifest.jsonl").read_bytes() == b""
    disk.make_room()
    await manifest.flush()
    assert (disk.path / "manifest.jsonl").read_bytes().count(b"}\n") == 20
    await ledger.close()


async def test_a_manifest_is_repaired_and_compacted_only_where_there_is_room(
    tmp_path: Path, disk: Disk, clock: FakeClock
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    path = disk.path / "manifest.jsonl"
    manifest = Manifest(path, ledger)
    await manifest.open()
    walk = Walk(ledger, clock)
    for number in range(20):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number, text="x" * 900))
        await walk.renewed(sighting(f"{number}.jpg"), content(number, text="x" * 900))
    await manifest.flush()
    whole = path.read_bytes()
    disk.fill()
    with pytest.raises(DiskFault):
        await manifest.compact()
    assert path.read_bytes() == whole
    damaged = b"".join(whole.splitlines(keepends=True)[2:])
    os.truncate(path, len(damaged))
    with path.open("r+b") as out:
        out.write(damaged)
    with pytest.raises(DiskFault):
        await Manifest(path, ledger).open()
    assert path.read_bytes() == damaged
    disk.make_room()
    await Manifest(path, ledger).open()
    # Of the two lines that were lost, the ledger lists the newer one: compaction had begun with it.
    assert path.read_bytes().count(b"\n") == 39
    assert await Manifest(path, ledger).compact() == 19
    assert sorted(os.listdir(disk.path)) == ["manifest.jsonl"]
    await ledger.close()


async def test_a_file_is_moved_to_a_full_disk_only_when_there_is_room(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jpg").write_bytes(os.urandom(4_000_000))
    before = (tmp_path / "in" / "x.jpg").read_bytes()
    source = source_of(tmp_path / "in", "x.jpg")
    action = AfterAction(kind=AfterKind.MOVE, dir=disk.path / "out")
    (disk.path / "out").mkdir()
    disk.fill()
    with pytest.raises(DiskFault) as raised:
        await put_away(source, action)
    assert raised.value.reason == "disk_full"
    assert str(disk.path / "out") in str(raised.value)
    assert (tmp_path / "in" / "x.jpg").read_bytes() == before
    assert os.listdir(disk.path / "out") == []
    disk.make_room()
    assert await put_away(source, action) == str(disk.path / "out" / "x.jpg")
    assert (disk.path / "out" / "x.jpg").read_bytes() == before
    assert os.listdir(tmp_path / "in") == []


async def test_a_file_is_not_taken_from_or_moved_to_a_read_only_disk(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jpg").write_bytes(b"image")
    (disk.path / "y.jpg").write_bytes(b"image")
    disk.remount("ro")
    try:
        for root, name, target in (
            (tmp_path / "in", "x.jpg", disk.path / "out"),
            (disk.path, "y.jpg", tmp_path / "out"),
        ):
            with pytest.raises(DiskFault) as raised:
                await put_away(source_of(root, name), AfterAction(kind=AfterKind.MOVE, dir=target))
            assert raised.value.reason == "disk_read_only"
        with pytest.raises(DiskFault) as raised:
            await put_away(source_of(disk.path, "y.jpg"), AfterAction(kind=AfterKind.DELETE))
        assert raised.value.reason == "disk_read_only"
    finally:
        disk.remount("rw")
    assert (tmp_path / "in" / "x.jpg").exists()
    assert (disk.path / "y.jpg").exists()


async def test_a_full_disk_fails_a_group_of_changes_and_each_is_told(
    disk: Disk, ledger: SqliteLedger, clock: FakeClock
) -> None:
    disk.fill()
    walk = Walk(ledger, clock)
    await until_full(walk, 0)
    ends = []
    for number in range(3):
        with pytest.raises(DiskFault) as raised:
            await ledger.take([sighting(f"more-{number}-{index}.jpg") for index in range(200)], Lane.FRESH, None)
        ends.append(raised.value.reason)
    assert ends == ["disk_full"] * 3
    assert await ledger.count_waiting() <= 1
    disk.make_room()
    await ledger.take([sighting("more.jpg")], Lane.FRESH, None)

"""Disks that are full, read-only or failing, under a daemon that runs: it pauses, says so, and goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.runtime.backfill import Ended
from ingestor.stages.manifest import file as manifest_file
from tests.faults.kit import Disk, Inside, check_created_once, check_manifest, events, inside, mounted, picture
from tests.home import Home, until
from tests.samples import photograph


@pytest.fixture
def quick(home: Home) -> Home:
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    return home


def drop(home: Home, *names: str, first: int = 0) -> set[str]:
    for number, name in enumerate(names, first):
        (home.inbox / name).write_bytes(picture(number))
    return set(names)


async def paused(program: Inside, *reasons: str) -> None:
    """The daemon has said which disk is at fault, and how."""
    await until(lambda: "disk_paused" in program.observer.events())
    told = program.observer.of("disk_paused")[-1]
    assert told["reason"] in reasons, told


async def resumed(program: Inside) -> None:
    await until(lambda: program.observer.events().count("disk_resumed") >= 1)


@contextlib.contextmanager
def full(disk: Disk) -> Iterator[None]:
    disk.fill()
    yield
    disk.make_room()


async def test_a_full_disk_under_ledger_and_manifest_is_waited_for(quick: Home) -> None:
    with mounted(quick.folder / "var", size_bytes=16_000_000) as disk:
        async with inside(quick) as program, program.watching():
            await quick.until_listed(drop(quick, "before.png"))
            with full(disk):
                names = drop(quick, *(f"{number}.png" for number in range(60)), first=10)
                await paused(program, "disk_full", "disk")
            await quick.until_listed(names)
            await resumed(program)
        assert set(events(quick, names).values()) == {"uploaded"}
        with contextlib.closing(sqlite3.connect(quick.folder / "var" / "ledger.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        check_created_once(quick)
        check_manifest(quick)


async def test_a_full_disk_under_the_manifest_alone_is_waited_for_and_no_line_is_torn(quick: Home) -> None:
    quick.settings["manifest"] = "list/manifest.jsonl"
    quick.save()
    with mounted(quick.folder / "list", size_bytes=100_000) as disk:
        manifest = quick.folder / "list" / "manifest.jsonl"
        async with inside(quick) as program, program.watching():
            with full(disk):
                names = drop(quick, *(f"{number}.png" for number in range(20)))
                await paused(program, "disk_full")
                (quick.inbox / "bad.png").write_text("no image")
                await until(lambda: quick.sandbox.stats()["created_total"] >= 5)
            await until(lambda: manifest.read_bytes().count(b"\n") == len(names) + 1)
            await resumed(program)
            lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert sorted(line["event"] for line in lines) == ["quarantined", *["uploaded"] * len(names)]
    check_created_once(quick)


async def test_a_daemon_that_starts_on_a_full_disk_waits_for_room(quick: Home) -> None:
    quick.settings["manifest"] = "list/manifest.jsonl"
    quick.save()
    drop(quick, "one.png")
    with mounted(quick.folder / "list", size_bytes=100_000) as disk:
        async with inside(quick) as program:
            await program.backfill()
        (quick.folder / "list" / "manifest.jsonl").unlink()
        disk.fill()
        async with inside(quick) as program, program.started() as daemon:
            await paused(program, "disk_full")
            assert not program.observer.of("scan_end")
            daemon.stop()
        async with inside(quick) as program, program.started():
            await paused(program, "disk_full")
            disk.make_room()
            await until(lambda: bool(program.observer.of("scan_end")))
        lines = (quick.folder / "list" / "manifest.jsonl").read_bytes()
        assert lines.count(b"\n") == 1


async def test_a_full_spool_is_waited_for_and_blames_no_image(quick: Home) -> None:
    buffer = io.BytesIO()
    photograph(1200, 900, 1).save(buffer, "TIFF")
    with mounted(quick.folder / "var" / "spool", size_bytes=50_000) as disk:
        async with inside(quick) as program, program.watching():
            with full(disk):
                (quick.inbox / "to-make-fit.tiff").write_bytes(buffer.getvalue())
                await paused(program, "disk_full")
            disk.remount("size=4000000")
            await quick.until_listed({"to-make-fit.tiff"})
            await resumed(program)
    assert events(quick, ["to-make-fit.tiff"]) == {"to-make-fit.tiff": "uploaded"}


@pytest.mark.parametrize("fault", ["disk_full", "disk_read_only"])
async def test_where_uploaded_images_go_may_be_full_or_read_only_for_a_while(quick: Home, fault: str) -> None:
    quick.settings["folders"][0]["after_upload"] = "move:done"
    quick.save()
    with mounted(quick.folder / "done", size_bytes=200_000) as disk:
        async with inside(quick) as program, program.watching():
            disk.fill()
            if fault == "disk_read_only":
                disk.remount("ro")
            names = drop(quick, *(f"{number}.png" for number in range(3)))
            await paused(program, fault)
            await until(lambda: all((quick.inbox / name).exists() for name in names))
            if fault == "disk_read_only":
                disk.remount("rw")
            disk.make_room()
            await until(lambda: all((quick.folder / "done" / name).exists() for name in names))
            await until(lambda: not any((quick.inbox / name).exists() for name in names))
            await resumed(program)
    assert set(events(quick, names).values()) == {"uploaded"}
    check_created_once(quick)


async def test_where_quarantined_images_go_may_be_full_for_a_while(quick: Home) -> None:
    quick.settings["folders"][0]["on_quarantine"] = "move:bad"
    quick.save()
    (quick.inbox / "bad.png").write_text("no image")
    with mounted(quick.folder / "bad", size_bytes=50_000) as disk:
        disk.fill()
        async with inside(quick) as program:
            report = await program.backfill()
        assert (report.ended, report.tally.quarantined) == (Ended.DONE, 1)
        assert (quick.inbox / "bad.png").exists()
        async with inside(quick) as program, program.watching():
            await until(lambda: "put_away_failed" in program.observer.events())
            disk.make_room()
            await until(lambda: (quick.folder / "bad" / "bad.error.json").exists())
            await until(lambda: not (quick.inbox / "bad.png").exists())
    assert [line["event"] for line in quick.manifest()] == ["quarantined"], "told once"


async def test_a_manifest_that_could_not_tell_of_a_quarantined_image_does_so_later(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(quick) as program, program.watching():
        with monkeypatch.context() as broken:
            broken.setattr(manifest_file.os, "fdatasync", _fails)
            (quick.inbox / "bad.png").write_text("no image")
            await until(lambda: "put_away_failed" in program.observer.events())
            assert quick.manifest() == []
        await quick.until_listed({"bad.png"})
        ends = program.observer.of("image_end")
    assert [end["outcome"] for end in ends] == ["quarantined"]
    assert len(quick.manifest()) == 1


async def test_a_disk_that_fails_is_waited_for_and_status_forgets_it_when_nothing_is_left(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(quick) as program, program.watching():
        with monkeypatch.context() as broken:
            broken.setattr(manifest_file.os, "fdatasync", _fails)
            drop(quick, "one.png")
            await paused(program, "disk")
            (quick.inbox / "one.png").unlink()
        await resumed(program)


def _fails(descriptor: int) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_backfill_waits_for_a_full_disk_until_its_deadline(quick: Home, tmp_path: Path) -> None:
    quick.settings["manifest"] = "list/manifest.jsonl"
    quick.save()
    names = drop(quick, "one.png", "two.png")
    with mounted(quick.folder / "list", size_bytes=50_000) as disk:
        disk.fill()
        async with inside(quick) as program:
            report = await program.backfill(deadline_seconds=30.0)
        assert report.ended is Ended.OUT_OF_TIME
        assert report.tally.quarantined == 0
        disk.make_room()
        async with inside(quick) as program:
            report = await program.backfill()
        assert (report.ended, report.tally.deferred) == (Ended.DONE, 0)
        assert (quick.folder / "list" / "manifest.jsonl").read_bytes().count(b"\n") == len(names)
    check_created_once(quick)


async def test_a_scan_that_has_to_write_waits_for_room_too(quick: Home) -> None:
    names = drop(quick, *(f"{number}.png" for number in range(3)))
    with mounted(quick.folder / "var", size_bytes=16_000_000) as disk:
        async with inside(quick) as program:
            await program.backfill()
        for name in names:
            (quick.inbox / name).unlink()
        drop(quick, "more.png", first=50)
        async with inside(quick) as program:
            disk.fill()
            running = asyncio.create_task(program.backfill())
            await paused(program, "disk_full", "disk")
            assert not running.done()
            disk.make_room()
            report = await asyncio.wait_for(running, 60)
        assert (report.ended, report.tally.uploaded) == (Ended.DONE, 1)

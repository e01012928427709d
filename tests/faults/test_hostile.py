"""Folders as they should not be: every name, every kind of file, and files that change while they are looked at."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestor.ledger import SqliteLedger
from ingestor.model import Lane
from ingestor.runtime import folder_watch, watch_program, watching, watching_beside
from ingestor.runtime.backfill import Ended
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.tally import Tally
from ingestor.stages.discover import DropFolder
from tests.fakes import FakeClock, RecordingObserver
from tests.faults.kit import check_created_once, check_manifest, inside, mounted, picture
from tests.faults.world import Hooked
from tests.home import Home, Running, until
from tests.ledger_kit import folder_settings

NAMES: dict[str, bytes] = {
    "newline": b"a\nb.png",
    "not UTF-8": b"\xff\xfe caf\xe9.png",
    "255 bytes": b"x" * 251 + b".png",
    "255 bytes of emoji": "😀".encode() * 62 + b"abc.png",
    "leading dashes": b"--config=x.png",
    "a single dash": b"-.png",
    "spaces": b"  a  b  .png",
    "backslashes": b"a\\b\\xff.png",
    "quotes": b"\"'`$(id);.png",
    "placeholders": b"{relpath}{{name}}%s.png",
    "control characters": b"\x01\x1b[31m\x7f.png",
    "right to left": "\u202egnp.exe.png".encode(),
    "upper case": b"UPPER.PNG",
}


@pytest.fixture
def quick(home: Home) -> Home:
    home.settings["folders"][0] |= {"settle": "0s", "rescan": "20s"}
    home.save()
    return home


async def test_names_of_every_kind_are_taken_listed_and_put_away(quick: Home) -> None:
    quick.settings["folders"][0] |= {"after_upload": "move:done", "metadata": {"original": "{relpath}"}}
    quick.save()
    for number, name in enumerate(NAMES.values()):
        (quick.inbox / os.fsdecode(name)).write_bytes(picture(number))
    deep = quick.inbox / os.fsdecode(b"d\xffr\n") / "-x"
    deep.mkdir(parents=True)
    (deep / "in.png").write_bytes(picture(99))
    expected = {os.fsdecode(name) for name in NAMES.values()} | {os.fsdecode(b"d\xffr\n/-x/in.png")}

    ran = await quick.run("backfill", "--json")

    assert ran.code == 0, ran.err
    assert ran.json["uploaded"] == len(expected)
    assert quick.present().keys() == expected
    assert {line["event"] for line in quick.manifest()} == {"uploaded"}
    assert all((quick.folder / "done" / path).is_file() for path in expected)
    assert not [path for path in quick.inbox.rglob("*") if path.is_file()]
    check_created_once(quick)
    exported = await quick.run("manifest")
    assert {json.loads(line)["path"] for line in exported.out.splitlines()} == expected
    explained = await quick.run("explain", "--json", "inbox/--config=x.png")
    assert explained.code == 0, explained.err
    second = await quick.run("backfill", "--json")
    assert (second.code, second.json["discovered"]) == (0, 0)


async def test_a_rename_in_case_alone_is_a_second_path_of_the_same_upload(quick: Home) -> None:
    (quick.inbox / "Photo.PNG").write_bytes(picture(1))
    async with inside(quick) as program, program.watching():
        await quick.until_listed({"Photo.PNG"})
        (quick.inbox / "Photo.PNG").rename(quick.inbox / "photo.png")
        await quick.until_listed({"photo.png"})
    present = quick.present()
    assert present["photo.png"]["file_id"] == present["Photo.PNG"]["file_id"]
    assert quick.sandbox.stats()["created_total"] == 1


# -- what is no regular file


class Opened:
    """Which paths are opened in this process."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and isinstance(arguments[0], str | bytes):
            self.paths.add(os.fsdecode(arguments[0]))


def make_odd_things(home: Home) -> set[str]:
    """Everything with an image's name that is none; the names."""
    outside = home.folder / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(picture(50))
    inbox = home.inbox
    (inbox / "loop.png").symlink_to("loop.png")
    (inbox / "dangling.png").symlink_to("nowhere")
    (inbox / "to-a-file.png").symlink_to(outside / "secret.png")
    (inbox / "to-a-directory").symlink_to(outside)
    (inbox / "up").symlink_to("..")
    os.mkfifo(inbox / "fifo.png")
    (inbox / "directory.png").mkdir()
    (inbox / "directory.png" / "inside.png").write_bytes(picture(51))
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(inbox):
        listener.bind("socket.png")
    names = {"loop.png", "dangling.png", "to-a-file.png", "fifo.png", "socket.png"}
    with contextlib.suppress(PermissionError):
        os.mknod(inbox / "device.png", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
        names.add("device.png")
    return names


async def test_links_pipes_sockets_and_devices_are_passed_over_and_never_opened(quick: Home) -> None:
    odd = make_odd_things(quick)
    (quick.inbox / "good.png").write_bytes(picture(1))
    (quick.inbox / "good.png.json").symlink_to(quick.folder / "outside" / "secret.json")
    opened = Opened()
    opened.on = True
    async with inside(quick) as program:
        report = await program.backfill()
    opened.on = False
    assert report.ended is Ended.DONE
    assert quick.present().keys() == {"good.png", "directory.png/inside.png"}
    assert quick.present()["good.png"]["reason"] == "bad_sidecar", "a link beside it is not followed"
    assert report.tally.skipped_reasons["symlink"] == 3
    assert report.tally.skipped_reasons["not_a_file"] == len(odd) - 3
    assert not {path for path in opened.paths if Path(path).name in odd}
    assert not any("outside" in path or "/up/" in path for path in opened.paths)


async def test_a_file_that_becomes_something_else_leaves_the_line_and_comes_back_as_a_file(quick: Home) -> None:
    path = quick.inbox / "one.png"
    hooked = Hooked()
    kinds: list[Callable[[], None]] = [
        lambda: path.mkdir(),
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(quick.folder / "elsewhere.png"),
    ]
    (quick.folder / "elsewhere.png").write_bytes(picture(77))
    async with inside(quick, observer=hooked) as program, program.watching():
        for number, make in enumerate(kinds):

            def become(folder: str, name: str, make: Callable[[], None] = make) -> None:
                path.unlink()
                make()

            hooked.acts = [("fingerprint", become)]
            path.write_bytes(picture(number))
            await until(lambda: not hooked.acts)
            await until_not_waiting(program.ledger)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            path.write_bytes(picture(100 + number))
            await until(lambda number=number: len(quick.manifest()) == number + 1)
    assert {line["event"] for line in quick.manifest()} == {"uploaded"}
    assert quick.sandbox.stats()["created_total"] == len(kinds)


async def until_not_waiting(ledger: Any) -> None:
    async with asyncio.timeout(20):
        while await ledger.count_waiting():
            await asyncio.sleep(0.02)


# -- files that change or vanish in every stage

STAGES = ["fingerprint", "describe", "normalise", "upload", "manifest", "after"]


def _in_place(path: Path, fresh: bytes) -> None:
    path.write_bytes(fresh)


def _replaced(path: Path, fresh: bytes) -> None:
    beside = path.with_name("fresh.part")
    beside.write_bytes(fresh)
    beside.replace(path)


def _same_size_and_time(path: Path, fresh: bytes) -> None:
    """As a program does that sets the old time again."""
    before = path.stat()
    path.write_bytes(fresh)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {"in place": _in_place, "replaced": _replaced, "with its old time": _same_size_and_time}


@pytest.mark.parametrize("after", ["keep", "move:done", "delete"])
async def test_a_file_that_changes_in_any_stage_ends_as_what_it_is_and_is_never_lost(
    quick: Home, after: str, subtests: pytest.Subtests
) -> None:
    quick.settings["folders"][0]["after_upload"] = after
    quick.save()
    hooked = Hooked()
    fresh: dict[str, bytes] = {}
    async with inside(quick, observer=hooked) as program, program.watching():
        for number, (stage, change) in enumerate((stage, change) for stage in STAGES for change in CHANGES):
            with subtests.test(f"{stage}, {change}"):
                name = f"{number}.png"
                fresh[name] = picture(1000 + number)

                def act(folder: str, path: str, change: str = change, name: str = name) -> None:
                    CHANGES[change](quick.inbox / path, fresh[name])

                hooked.path, hooked.acts = name, [(stage, act)]
                (quick.inbox / name).write_bytes(picture(number))
                await until(lambda name=name: is_listed_as(quick, name, fresh[name]), 30)
        if after != "keep":
            await until(lambda: not list(quick.inbox.glob("*.png")))
    if after == "move:done":
        kept = {path.read_bytes() for path in (quick.folder / "done").iterdir()}
        assert set(fresh.values()) <= kept
    assert {line["event"] for line in quick.manifest()} == {"uploaded"}
    check_created_once(quick)
    check_manifest(quick)


def is_listed_as(home: Home, name: str, content: bytes) -> bool:
    line = home.present().get(name)
    return line is not None and line["sha256"] == hashlib.sha256(content).hexdigest()


async def test_a_file_that_vanishes_in_any_stage_is_nobody_s_fault(quick: Home) -> None:
    hooked = Hooked()
    async with inside(quick, observer=hooked) as program, program.watching():
        for number, stage in enumerate(STAGES):
            hooked.path = f"{number}.png"
            hooked.acts = [(stage, lambda folder, path: (quick.inbox / path).unlink())]
            (quick.inbox / f"{number}.png").write_bytes(picture(number))
            await until(lambda: not hooked.acts)
            await until_not_waiting(program.ledger)
        told = {(end["outcome"], end.get("reason")) for end in hooked.of("image_end")}
    assert told <= {("snoozed", "vanished"), ("snoozed", "changed"), ("uploaded", None)}, told
    assert {line["event"] for line in quick.manifest()} <= {"uploaded"}


async def test_an_image_that_is_rewritten_slowly_under_the_worker_is_not_blamed(quick: Home) -> None:
    quick.settings["folders"][0]["settle"] = "1s"
    quick.save()
    whole = picture(7, side=64)
    hooked = Hooked()

    def begin_anew(folder: str, path: str) -> None:
        (quick.inbox / path).write_bytes(whole[: len(whole) // 2])

    async with inside(quick, observer=hooked) as program, program.watching():
        hooked.acts = [("normalise", begin_anew)]
        (quick.inbox / "one.png").write_bytes(picture(6, side=64))
        await until(lambda: not hooked.acts)
        with (quick.inbox / "one.png").open("ab") as file:
            file.write(whole[len(whole) // 2 :])
        await until(lambda: is_listed_as(quick, "one.png", whole))
    assert {line["event"] for line in quick.manifest()} == {"uploaded"}


async def test_hard_links_of_one_file_are_each_listed_and_put_away(quick: Home) -> None:
    quick.settings["folders"][0]["after_upload"] = "move:done"
    quick.save()
    names = {f"{number}.png" for number in range(8)}
    (quick.inbox / "0.png").write_bytes(picture(1))
    for name in names - {"0.png"}:
        os.link(quick.inbox / "0.png", quick.inbox / name)
    async with inside(quick) as program, program.watching():
        await quick.until_listed(names)
        await until(lambda: not list(quick.inbox.iterdir()))
    assert {path.name for path in (quick.folder / "done").iterdir()} == names
    assert quick.sandbox.stats()["created_total"] == 1


# -- what may not be read

DROP_RIGHTS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Permissions count for root as well, from here on."""


@pytest.fixture
def plain_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started have no other rights than those of the files."""
    start = asyncio.create_subprocess_exec

    async def start_without(program: str, *arguments: str, **more: Any) -> asyncio.subprocess.Process:
        return await start(program, "-c", DROP_RIGHTS, *arguments, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_without)
    monkeypatch.setattr(Home, "is_warm", False)


@pytest.mark.usefixtures("plain_rights")
async def test_a_backfill_leaves_what_may_not_be_read_to_the_next_run(quick: Home) -> None:
    (quick.inbox / "closed.png").write_bytes(picture(1))
    (quick.inbox / "closed.png").chmod(0)
    (quick.inbox / "open.png").write_bytes(picture(2))
    ran = await quick.run("backfill", "--json")
    assert (ran.json["uploaded"], ran.json["deferred"], ran.json["quarantined"]) == (1, 1, 0)
    assert [(problem["path"], problem["reason"]) for problem in ran.json["problems"]] == [
        (str(quick.inbox / "closed.png"), "unreadable")
    ]
    (quick.inbox / "closed.png").chmod(0o644)
    ran = await quick.run("backfill", "--json")
    assert (ran.code, ran.json["uploaded"]) == (0, 1)


@pytest.mark.usefixtures("plain_rights")
async def test_what_may_not_be_read_is_told_and_taken_when_it_may(home: Home) -> None:
    home.settings["folders"][0] |= {"rescan": "300ms"}
    home.save()
    closed = home.inbox / "closed"
    closed.mkdir()
    (closed / "inside.png").write_bytes(picture(1))
    (home.inbox / "closed.png").write_bytes(picture(2))
    (home.inbox / "closed.png").chmod(0)
    (home.inbox / "open.png").write_bytes(picture(3))
    closed.chmod(0)
    try:
        async with home.watching() as running:
            await home.until_listed({"open.png"})
            skipped = await running.until_logged("skipped")
            assert skipped["reason"] == "unreadable_directory"
            assert str(closed) in skipped["message"]
            await until(lambda: any(line.get("reason") == "unreadable" for line in ends(running)))
            assert home.present().keys() == {"open.png"}
            closed.chmod(0o755)
            (home.inbox / "closed.png").chmod(0o644)
            await home.until_listed({"open.png", "closed.png", "closed/inside.png"})
            assert await running.stop() == 0
    finally:
        closed.chmod(0o755)
    assert {line["event"] for line in home.manifest()} == {"uploaded"}


def ends(running: Running) -> list[dict[str, Any]]:
    return [line for line in running.log if line["event"] == "image_end"]


# -- folders that come and go


@pytest.fixture
def watched_mount(quick: Home) -> Home:
    quick.settings["folders"][0] |= {"path": "mount", "name": "mount", "on_source_delete": "purge"}
    (quick.folder / "mount").mkdir()
    quick.inbox = quick.folder / "mount"
    quick.save()
    return quick


async def test_a_folder_that_is_unmounted_says_nothing_about_its_files(watched_mount: Home) -> None:
    home = watched_mount
    names = {"1.png", "sub/2.png"}

    def fill() -> None:
        (home.inbox / "sub").mkdir(exist_ok=True)
        for number, name in enumerate(sorted(names)):
            (home.inbox / name).write_bytes(picture(number))

    with mounted(home.inbox):
        fill()
        async with inside(home) as program, program.watching():
            await home.until_listed(names)
            before = home.present()
            scans = len(program.observer.of("scan_end"))
            os.system(f"umount --lazy {home.inbox}")
            await until(lambda: len(program.observer.of("scan_end")) >= scans + 3)
            assert list(home.inbox.iterdir()) == []
            assert {entry.reason for entry in await program.ledger.entries()} == {None}, "nothing is missed"
            with mounted(home.inbox):
                fill()
                (home.inbox / "3.png").write_bytes(picture(3))
                await home.until_listed({*names, "3.png"})
                await until_not_waiting(program.ledger)
                scans = len(program.observer.of("scan_end"))
                await until(lambda: len(program.observer.of("scan_end")) >= scans + 2)
                states = {entry.path: entry.state for entry in await program.ledger.entries()}
        os.system(f"mount -t tmpfs tmpfs {home.inbox}")  # for the outer block to unmount
    assert states == dict.fromkeys([*names, "3.png"], "live")
    present = home.present()
    assert {name: present[name]["file_id"] for name in names} == {name: before[name]["file_id"] for name in names}
    assert home.sandbox.stats()["created_total"] == 3
    assert "DELETE /v1/files/{id}" not in json.dumps(home.sandbox.stats()["requests"])


async def test_a_folder_that_is_taken_away_and_made_anew_is_watched_again(quick: Home) -> None:
    async with inside(quick) as program, program.watching():
        for number in range(2):
            quick.inbox.rename(quick.folder / f"away-{number}")
            await until(lambda number=number: len(program.observer.of("folder_gone")) == number + 1)
            quick.inbox.mkdir()
            (quick.inbox / f"{number}.png").write_bytes(picture(number))
            await quick.until_listed({f"{number}.png"})
            (quick.inbox / f"later-{number}.png").write_bytes(picture(10 + number))
            await quick.until_listed({f"later-{number}.png"})
    assert quick.sandbox.stats()["created_total"] == 4


# -- events that lie, are lost, or cannot be had


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
async def test_a_folder_of_a_network_or_fuse_file_system_is_polled(
    quick: Home, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_file_system_of", lambda root: kind)
    monkeypatch.setattr(watching, "awatch", None)  # would fail if it were asked
    async with inside(quick) as program, program.watching():
        told = program.observer.of("watch_mode")[0]
        assert (told["mode"], told["degraded"]) == ("poll", False)
        assert kind in told["why"]
        (quick.inbox / "sub").mkdir()
        (quick.inbox / "sub" / "one.png").write_bytes(picture(1))
        await quick.until_listed({"sub/one.png"})


@pytest.mark.parametrize(
    ("limit", "number", "sysctl"),
    [
        ("max_inotify_watches", 1, "fs.inotify.max_user_watches"),
        ("max_inotify_instances", 0, "fs.inotify.max_user_instances"),
    ],
)
async def test_where_inotify_has_reached_its_limits_the_folder_is_polled_and_the_log_says_what_to_raise(
    home: Home, limit: str, number: int, sysctl: str
) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    lower = f"echo {number} > /proc/sys/user/{limit}"
    if os.spawnvp(os.P_WAIT, "unshare", [*namespace, f"{lower} 2>/dev/null"]):
        pytest.skip("this machine has no user namespaces with limits of their own")
    start = asyncio.create_subprocess_exec

    async def start_limited(program: str, *arguments: str, **more: Any) -> Any:
        return await start(*namespace, f'{lower}; exec "$0" "$@"', program, *arguments, **more)

    for name in ("a", "b", "c"):
        (home.inbox / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", start_limited)
        patch.setattr(home, "is_warm", False)
        async with home.watching() as running:
            await until(lambda: any(line["event"] == "watch_mode" and line["mode"] == "poll" for line in running.log))
            told = [line for line in running.log if line["event"] == "watch_mode"][-1]
            assert told["degraded"] is True
            assert sysctl in told["why"]
            (home.inbox / "c" / "one.png").write_bytes(picture(1))
            await home.until_listed({"c/one.png"})
            assert await running.stop() == 0


async def test_where_the_limit_is_reached_later_a_new_directory_is_not_left_alone(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(quick) as program, program.watching():
        assert program.observer.of("watch_mode")[-1]["mode"] == "native"

        def no_room() -> None:
            raise watching.EventsUnavailable(watching.why_no_events(OSError(errno.ENOSPC, "")))

        monkeypatch.setattr(folder_watch, "check_room", no_room)
        await until(lambda: program.observer.of("watch_mode")[-1]["mode"] == "poll")
        assert watching.WATCHES_SYSCTL in program.observer.of("watch_mode")[-1]["why"]
        (quick.inbox / "one.png").write_bytes(picture(1))
        await quick.until_listed({"one.png"})


async def test_a_large_folder_is_looked_at_while_it_is_not_watched_yet_and_once_more_when_it_is(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_beside, "MANY", 1)
    (quick.inbox / "before.png").write_bytes(picture(1))
    quick.settings["folders"][0]["rescan"] = "1h"
    quick.save()
    async with inside(quick) as program, program.watching():
        await until(lambda: len(program.observer.of("scan_end")) == 2)
        assert program.observer.of("watch_mode")[-1]["mode"] == "native"
        (quick.inbox / "one.png").write_bytes(picture(2))
        await quick.until_listed({"before.png", "one.png"})
        assert program.observer.of("file_event")


async def test_where_nothing_can_be_started_a_large_folder_is_watched_all_the_same(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_beside, "MANY", 0)
    monkeypatch.setattr(watch_program, "__file__", "/nowhere/watch_program.py")
    quick.settings["folders"][0]["rescan"] = "1h"
    quick.save()
    async with inside(quick) as program, program.watching():
        await until(lambda: len(program.observer.of("scan_end")) == 2)
        (quick.inbox / "one.png").write_bytes(picture(1))
        await quick.until_listed({"one.png"})
        assert program.observer.of("file_event")


async def test_events_that_were_lost_in_a_full_queue_are_made_up_for_by_the_rescan(home: Home) -> None:
    home.settings["folders"][0] |= {"rescan": "500ms"}
    home.save()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, other = home.inbox / "one.tmp", home.inbox / "other.tmp"
    one.touch()
    other.touch()
    async with home.watching() as running:
        assert (await running.until_logged("watch_mode"))["mode"] == "native"
        running.process.send_signal(signal.SIGSTOP)
        await until(lambda: set(thread_states(running.process.pid)) == {"T"})
        # Two files in turn, as the kernel tells a repeated event once.
        for _ in range(most // 2 + 10):
            os.utime(one)
            os.utime(other)
        (home.inbox / "lost.png").write_bytes(picture(1))
        running.process.send_signal(signal.SIGCONT)
        await home.until_listed({"lost.png"})
        await until(lambda: any(line.get("rescued") for line in running.log if line["event"] == "scan_end"))
        assert await running.stop() == 0


def thread_states(pid: int) -> list[str]:
    """Of each thread, as proc(5) has them."""
    return [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]


async def test_a_directory_of_a_hundred_thousand_files_is_taken_piece_by_piece_and_known_again(tmp_path: Path) -> None:
    number = 100_000
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for index in range(number):
        os.close(os.open(inbox / f"{index}.png", os.O_CREAT | os.O_WRONLY))
    for index in range(0, number, 10):
        os.truncate(inbox / f"{index}.png", 1)
    clock, tally = FakeClock(datetime(2046, 1, 1, tzinfo=UTC)), Tally()
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    folder = DropFolder(folder_settings(inbox, settle="0s"))
    feeder = Feeder(folder, ledger=ledger, clock=clock, observer=RecordingObserver(), fed=lambda: None, tally=tally)
    scan = await feeder.scan(Lane.BACKFILL)
    assert (scan.files, scan.new, tally.discovered) == (number, number, number)
    assert await ledger.count_waiting() == number // 10
    assert feeder.unsettled == number - number // 10, "what is empty has not settled"
    again = await feeder.scan(Lane.BACKFILL)
    assert (again.files, again.new) == (number, 0)
    await ledger.close()

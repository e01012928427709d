"""A large folder is watched by a program beside ours, which sees what we would see and is gone when we are."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ingestor.disk import programs
from ingestor.runtime import watch_program, watching_beside
from ingestor.runtime.watching import EventsUnavailable
from ingestor.runtime.watching_beside import NotStarted, changes_beside, is_large


class Seen:
    """What has been told so far."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.ended: object = None

    async def until(self, *paths: str) -> None:
        async with asyncio.timeout(20):
            while not self.paths.issuperset(paths):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def watched(root: Path, *, recursive: bool = True) -> AsyncIterator[Seen]:
    seen, ready = Seen(), asyncio.Event()

    async def watch() -> None:
        async with aclosing(changes_beside(root, recursive=recursive, ready=ready)) as batches:
            async for paths in batches:
                seen.paths |= paths

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(20):
        await ready.wait()
    yield seen
    watching.cancel()
    [seen.ended] = await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    processes: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*args: Any, **kwargs: Any) -> asyncio.subprocess.Process:
        processes.append(await start(*args, **kwargs))
        return processes[-1]

    monkeypatch.setattr(watching_beside.asyncio, "create_subprocess_exec", noted)
    return processes


async def test_events_are_told_as_paths_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    async with watched(tmp_path) as seen:
        (tmp_path / "x\ny.jpg").write_bytes(b"1")
        (tmp_path / "a" / "é.jpg").write_bytes(b"1")
        await seen.until("x\ny.jpg", "a/é.jpg")
        (tmp_path / "new").mkdir()
        await seen.until("new")
        (tmp_path / "new" / "later.jpg").write_bytes(b"1")
        await seen.until("new/later.jpg")
        assert "." not in seen.paths


async def test_a_folder_without_those_inside_is_watched_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    async with watched(tmp_path, recursive=False) as seen:
        (tmp_path / "a" / "deep.jpg").write_bytes(b"1")
        (tmp_path / "b.jpg").write_bytes(b"1")
        await seen.until("b.jpg")
        assert "a/deep.jpg" not in seen.paths


async def test_it_knows_no_secret_and_is_gone_with_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[asyncio.subprocess.Process]
) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", "al_live_secret")
    async with watched(tmp_path):
        (program,) = started
        assert b"secret" not in Path(f"/proc/{program.pid}/environ").read_bytes()
    assert program.returncode == -signal.SIGKILL


async def test_one_that_is_killed_is_told(tmp_path: Path, started: list[asyncio.subprocess.Process]) -> None:
    async with watched(tmp_path) as seen:
        started[0].kill()
        await started[0].wait()
        await asyncio.sleep(0.1)
    assert isinstance(seen.ended, EventsUnavailable)


async def test_what_cannot_be_watched_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(EventsUnavailable, match=r"no events: .*path"):
        await anext(changes_beside(tmp_path / "gone", recursive=True, ready=asyncio.Event()))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (f"OSError\0{28}\0No space left on device", "fs.inotify.max_user_watches"),
        (f"OSError\0{24}\0Too many open files", "fs.inotify.max_user_instances"),
        (f"PermissionError\0{13}\0Permission denied", "a directory may not be read"),
        ("RuntimeError\0000\0OS file watch limit reached", "fs.inotify.max_user_watches"),
    ],
)
def test_its_errors_are_told_as_ours_are(told: str, why: str) -> None:
    assert why in watching_beside._why(told)


async def test_where_it_cannot_be_started_that_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ends.py").write_text("")
    monkeypatch.setattr(watch_program, "__file__", str(tmp_path / "ends.py"))
    with pytest.raises(NotStarted):
        await anext(changes_beside(tmp_path, recursive=True, ready=asyncio.Event()))
    monkeypatch.setattr(programs.sys, "executable", "/nowhere/python")
    with pytest.raises(NotStarted):
        await anext(changes_beside(tmp_path, recursive=True, ready=asyncio.Event()))


def test_it_ends_when_nobody_holds_its_input_any_more(tmp_path: Path) -> None:
    command = programs.command(watch_program.__file__, str(tmp_path), "1", packages=True)
    done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_folder_is_large_by_all_that_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_beside, "MANY", 4)
    (tmp_path / "a").mkdir()
    for name in ("a/1", "a/2"):
        (tmp_path / name).touch()
    assert not is_large(tmp_path, True)
    (tmp_path / "a" / "3").touch()
    assert is_large(tmp_path, True)
    assert not is_large(tmp_path, False)
    assert not is_large(tmp_path / "gone", True)

"""A whole program within the test's own process, against the sandbox, on a clock that does not make anybody wait."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.app import assemble
from ingestor.ledger import SqliteLedger
from ingestor.model import LedgerEntry
from ingestor.observe.recent import Recent
from ingestor.runtime.backfill import Backfill, Limits, Report, Selection
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.opening import open_ledger
from ingestor.runtime.parts import Parts
from ingestor.settings import load
from tests.fakes import RecordingObserver
from tests.home import Home, until


class FastClock:
    """A `Clock` that runs `speed` times faster than the machine's: every wait is as long by it, and short for us."""

    def __init__(self, speed: float = 50.0) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)

    def now(self) -> datetime:
        return self._began_at + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


@dataclass
class Inside:
    """The program, put together by `app.assemble` for a `Home`."""

    home: Home
    parts: Parts
    ledger: SqliteLedger
    observer: RecordingObserver

    async def backfill(self, **limits: Any) -> Report:
        """One pass over all folders; whatever comes of it, its numbers add up."""
        selections = [Selection(folder=folder) for folder in self.parts.drop_folders()]
        report = await Backfill(self.parts, selections, Limits(**limits)).run()
        assert report.tally.discovered == report.tally.accounted, report.tally
        return report

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Daemon]:
        """The daemon, past its first scan; stopped at the end, which lets what is in flight finish."""
        async with self.started() as daemon:
            await until(lambda: len(self.observer.of("scan_end")) >= len(self.parts.folders))
            yield daemon

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[Daemon]:
        """The daemon, at its start."""
        daemon = Daemon(self.parts, Recent(self.parts.clock))
        running = asyncio.create_task(daemon.run())
        try:
            yield daemon
            daemon.stop()
            await asyncio.wait_for(asyncio.shield(running), 60)
        finally:
            daemon.abort()
            await asyncio.gather(running, return_exceptions=True)

    async def entry(self, path: str) -> LedgerEntry:
        folder = self.parts.folders[0].name
        return (await self.ledger.find("", [(folder, path)]))[0]


@contextlib.asynccontextmanager
async def inside(
    home: Home, *, patient: bool = True, speed: float = 50.0, observer: RecordingObserver | None = None
) -> AsyncIterator[Inside]:
    """`patient`: refusals of the account are waited out, as by the daemon."""
    settings = load(home.config, {})
    clock, observer = FastClock(speed), observer or RecordingObserver()
    with environment(AUROUS_API_KEY=home.sandbox.api_key):
        async with (
            open_ledger(settings, clock=clock, must_exist=False) as ledger,
            assemble(
                settings, ledger=ledger, folders=settings.folders, observer=observer, patient=patient, clock=clock
            ) as parts,
        ):
            yield Inside(home, parts, ledger, observer)


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """These environment variables, for the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


class Disk:
    """A small file system of its own, at a path that is a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        with (self.path / "filler").open("ab", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(b"x" * 4096):
                pass

    def make_room(self) -> None:
        (self.path / "filler").unlink()

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)


@contextlib.contextmanager
def mounted(path: Path, *, size_bytes: int = 4_000_000) -> Iterator[Disk]:
    """A tmpfs at `path`; the test is skipped where we may not mount."""
    path.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def picture(seed: int, side: int = 8) -> bytes:
    """A small picture of its own."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3)).save(buffer, "PNG")
    return buffer.getvalue()


def check_created_once(home: Home) -> None:
    """No content has two files at the API, whatever became of them."""
    twice = [row for row in home.sandbox.stats()["created"] if row["created"] != 1]
    assert not twice, twice


def check_manifest(home: Home) -> None:
    """Lines in order, none twice, none torn (`Home.manifest` fails on those)."""
    lines = home.manifest()
    numbers = [line["seq"] for line in lines]
    assert numbers == sorted(set(numbers))
    told = Counter((line["path"], line["sha256"], line["event"], line.get("generation")) for line in lines)
    assert all(count == 1 for count in told.values()), told


def events(home: Home, paths: Iterable[str]) -> dict[str, str]:
    """The present state of each path, by the manifest."""
    present = home.present()
    return {path: present[path]["event"] if path in present else "nothing" for path in paths}

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingestor.errors import DiskFault
from ingestor.runtime import retention
from ingestor.runtime.retention import KEPT_DAYS, LOOK_SECONDS, Retention
from tests.fakes import FakeClock, RecordingObserver
from tests.simulated import Inline


class Books:
    """The parts of a ledger and a manifest that are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pruned: list[datetime] = []
        self.compacted = 0
        self.fault: Exception | None = None

    async def prune(self, before: datetime) -> int:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.pruned.append(before)
        return 3

    async def compact(self) -> int:
        self.compacted += 1
        self.path.write_bytes(b"x" * 60)
        return 7


async def run_for(books: Books, clock: FakeClock, observer: RecordingObserver, seconds: float) -> None:
    loop = Retention(books.path, ledger=books, manifest=books, clock=clock, observer=observer)  # type: ignore[arg-type]
    running = asyncio.create_task(loop.run())
    await clock.sleep(seconds)
    running.cancel()


@pytest.fixture(autouse=True)
async def _small_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LARGE_BYTES", 100)
    asyncio.get_running_loop().set_default_executor(Inline(1))


async def test_what_is_long_gone_is_forgotten_and_what_is_not_is_kept(tmp_path: Path) -> None:
    clock, observer, books = FakeClock(), RecordingObserver(), Books(tmp_path / "manifest.jsonl")
    await run_for(books, clock, observer, LOOK_SECONDS * 1.5)
    assert len(books.pruned) == 1
    assert clock.now() - books.pruned[0] >= timedelta(days=KEPT_DAYS)
    assert observer.of("pruned") == [{"paths": 3}]
    assert books.compacted == 0


async def test_a_large_manifest_is_shortened_once_and_again_when_it_has_doubled(tmp_path: Path) -> None:
    clock, observer, books = FakeClock(), RecordingObserver(), Books(tmp_path / "manifest.jsonl")
    books.path.write_bytes(b"x" * 200)
    loop = Retention(books.path, ledger=books, manifest=books, clock=clock, observer=observer)  # type: ignore[arg-type]
    running = asyncio.create_task(loop.run())
    await clock.sleep(LOOK_SECONDS * 1.5)
    assert books.compacted == 1
    books.path.write_bytes(b"x" * 119)
    await clock.sleep(LOOK_SECONDS)
    assert books.compacted == 1
    books.path.write_bytes(b"x" * 121)
    await clock.sleep(LOOK_SECONDS)
    assert books.compacted == 2
    running.cancel()


async def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    clock, observer, books = FakeClock(), RecordingObserver(), Books(tmp_path / "manifest.jsonl")
    books.fault = DiskFault("disk_full", "full")
    await run_for(books, clock, observer, LOOK_SECONDS * 1.5)
    assert len(books.pruned) == 1
    assert observer.events() == ["disk_paused", "pruned", "disk_resumed"]

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ingestor.model import Lane, Sighting
from ingestor.runtime.feeder import Feeder
from ingestor.stages.discover import DropFolder
from tests.fakes import FakeClock, RecordingObserver
from tests.ledger_kit import folder_settings


class SlowLedger:
    """Takes nothing before it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def known(self, folder: str, directory: str, names: Any = None) -> dict[str, Any]:
        return {}

    async def take(self, sightings: list[Sighting], lane: Lane, batch: str | None) -> None:
        self.asked.set()
        await self.go.wait()


async def test_a_file_that_is_about_to_be_in_line_is_not_forgotten_by_whoever_asks_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    ledger: Any = SlowLedger()
    folder = DropFolder(folder_settings(tmp_path, settle="0s"))
    feeder = Feeder(folder, ledger=ledger, clock=FakeClock(), observer=RecordingObserver(), fed=lambda: None)
    taking = asyncio.create_task(feeder.take_one("a.jpg", Lane.FRESH))
    await ledger.asked.wait()
    assert feeder.unsettled == 1
    ledger.go.set()
    await taking
    assert feeder.unsettled == 0

"""What the renewer tells of a folder that has outgrown the quota."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from ingestor.runtime.renewer import LOOK_SECONDS, Renewer
from tests.fakes import FakeClock, RecordingObserver


class Ledger:
    """So many contents that can be renewed, all of them much later."""

    def __init__(self, clock: FakeClock) -> None:
        self.images = 0
        self._clock = clock

    async def confirm_time(self) -> None:
        """It is right."""

    async def renewable(self, folders: Any, before: datetime, **_: Any) -> list[tuple[str, datetime]]:
        return [(str(number), self._clock.now() + timedelta(hours=23)) for number in range(self.images)]

    async def want_renewal(self, content_id: str, batch: None, folders: Any) -> bool:
        return True


async def test_more_than_the_quota_keeps_alive_is_told_once_each_time_it_comes_to_it() -> None:
    clock, observer = FakeClock(), RecordingObserver()
    ledger, per_minute = Ledger(clock), 1.0
    renewer = Renewer(
        ["inbox"],
        serves=["inbox"],
        is_alone=True,
        ledger=ledger,
        clock=clock,
        observer=observer,
        per_minute=lambda: per_minute,
        wake=lambda: None,
    )
    running = asyncio.ensure_future(renewer.run())
    told = []
    for ledger.images in (1128, 1129, 1130, 1128, 1200):
        await clock.sleep(LOOK_SECONDS)
        told.append(len(observer.of("renewals_beyond_quota")))
    assert told == [0, 1, 1, 1, 2]
    assert "1,129 different images" in observer.of("renewals_beyond_quota")[0]["message"]
    per_minute = 2.0
    await clock.sleep(2 * LOOK_SECONDS)
    per_minute = 1.0  # the quota turns out to be smaller
    await clock.sleep(2 * LOOK_SECONDS)
    assert len(observer.of("renewals_beyond_quota")) == 3
    running.cancel()

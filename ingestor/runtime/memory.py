"""What a restart has to remember besides the ledger's rows: the quota's state above all, so that it bursts once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ingestor.errors import DiskFault
from ingestor.ports import Clock, Ledger

SECONDS = 2.0
"""Between two savings: what is spent in between is learned from the first answer after a restart."""


class Memory:
    """Saves each fact that has changed, now and then and at the end."""

    def __init__(self, facts: Mapping[str, Callable[[], Any]], *, ledger: Ledger, clock: Clock) -> None:
        self._facts = facts
        self._ledger = ledger
        self._clock = clock
        self._saved: dict[str, Any] = {}

    async def run(self) -> None:
        while True:
            await self._clock.sleep(SECONDS)
            await self.save()

    async def save(self) -> None:
        """Keep what has changed; a disk at fault is somebody else's to tell, and the next saving comes."""
        with contextlib.suppress(DiskFault):
            for name, fact in self._facts.items():
                value = fact()
                if value != self._saved.get(name):
                    await self._ledger.set_fact(name, value)
                    self._saved[name] = value

"""What a restart has to remember besides the ledger's rows: the quota's state above all, so that it bursts once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from ingestor.errors import DiskFault
from ingestor.ports import Clock, Ledger

SECONDS = 2.0
"""Between two savings: what is spent in between is learned from the first answer after a restart."""
SELDOM_ROUNDS = 30
"""Savings of the others between two of what is large and changes all the time: a minute of it may be lost."""

Facts = Mapping[str, Callable[[], Any]]
"""Names to what each is now."""


class Memory:
    """Saves each fact that has changed, now and then and at the end."""

    def __init__(self, facts: Facts, *, seldom: Facts | None = None, ledger: Ledger, clock: Clock) -> None:
        self._often = facts
        self._seldom = seldom or {}
        self._ledger = ledger
        self._clock = clock
        self._saved: dict[str, Any] = {}

    async def run(self) -> None:
        for number in itertools.count(1):
            await self._clock.sleep(SECONDS)
            await self._save(self._often)
            if number % SELDOM_ROUNDS == 0:
                await self._save(self._seldom)

    async def save(self) -> None:
        """Keep all that has changed."""
        await self._save({**self._often, **self._seldom})

    async def _save(self, facts: Facts) -> None:
        """A disk at fault is somebody else's to tell, and the next saving comes."""
        with contextlib.suppress(DiskFault):
            for name, fact in facts.items():
                value = fact()
                if value != self._saved.get(name):
                    await self._ledger.set_fact(name, value)
                    self._saved[name] = value

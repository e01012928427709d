"""Whether the daemon moves, by real progress: `/healthz` answers by it, and a watchdog can be fed by it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from ingestor.ports import Clock

BEAT_SECONDS = 1.0
LOOP_SECONDS = 10.0
"""An event loop that is later than this is blocked: nothing in it may take a tenth of that."""
ENGINE_SECONDS = 90.0
"""A turn of the engine asks the ledger three times at most, which is waited for 30 s when another process holds it."""


class Phase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"


class Turning(Protocol):
    """The engine as it is seen from here: `engines.EmbeddedEngine`."""

    @property
    def turned_at(self) -> float:
        """When its loop last came round (monotonic)."""

    @property
    def running(self) -> int:
        """How many paths are worked on now."""


class Pulse:
    """What the daemon is about, and whether it gets on with it. `run` until cancelled."""

    def __init__(self, *, clock: Clock, engine: Turning, settling: Callable[[], int]) -> None:
        self.phase = Phase.STARTING
        self._clock = clock
        self._engine = engine
        self._settling = settling
        self._beat_at = clock.monotonic()

    @property
    def settling(self) -> int:
        """How many files are watched until they have settled."""
        return self._settling()

    @property
    def working(self) -> int:
        """How many files are worked on now."""
        return self._engine.running

    async def run(self) -> None:
        while True:
            self._beat_at = self._clock.monotonic()
            await self._clock.sleep(BEAT_SECONDS)

    def stalled(self) -> str | None:
        """What has stood still for too long, in words; None: all moves."""
        now = self._clock.monotonic()
        late = now - self._beat_at - BEAT_SECONDS
        if late > LOOP_SECONDS:
            return f"the event loop has stood still for {late:.0f} s"
        still = now - self._engine.turned_at
        if self.phase is Phase.RUNNING and still > ENGINE_SECONDS:
            return f"the engine has begun nothing and looked at nothing for {still:.0f} s"
        return None

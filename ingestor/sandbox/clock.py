"""The sandbox's own time, which may run faster than ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TypedDict


class ClockState(TypedDict):
    """What continues a clock: an instant of ours, the same one of its own, its pace, the latest told."""

    wall: float
    at: float
    scale: float
    seen: float


class Clock:
    """Epoch seconds that run `scale` times as fast as ours, and on across restarts, never backwards."""

    def __init__(self, scale: float, state: ClockState | None = None) -> None:
        self._wall = time.time()
        self._at = self._wall if state is None else _continued(state, self._wall)
        self._scale = scale
        self._started = time.monotonic()

    @property
    def scale(self) -> float:
        """Its seconds in one of ours."""
        return self._scale

    def now(self) -> float:
        """Epoch seconds of this clock."""
        return self._at + (time.monotonic() - self._started) * self._scale

    def advance(self, seconds: float) -> None:
        """Move forward by seconds of this clock. Raises ValueError on a move backwards."""
        if not 0 <= seconds < float("inf"):
            raise ValueError("the clock moves forward only")
        self._at += seconds

    def real_seconds(self, seconds: float) -> float:
        """How long `seconds` of this clock take for whoever waits outside."""
        return seconds / self._scale

    def state(self) -> ClockState:
        """What continues this clock after a restart."""
        return {"wall": self._wall, "at": self._at, "scale": self._scale, "seen": self.now()}


def _continued(state: ClockState, wall: float) -> float:
    # It goes on while nobody serves, as the API's does; a system clock set back must not take it along.
    return max(state["at"] + (wall - state["wall"]) * state["scale"], state["seen"])


def rfc3339(at: float) -> str:
    """An instant as the API writes it, in whole seconds of UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(at: float) -> str:
    """An instant as HTTP headers write it (RFC 9110, 5.6.7)."""
    return formatdate(at, usegmt=True)

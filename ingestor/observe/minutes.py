"""Numbers for each minute of the last 24 hours, in memory that does not grow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

MINUTES = 1440


class Minutes:
    """A ring of minutes, each with the same few numbers. Time that runs backwards counts for the latest minute."""

    def __init__(self, minutes: int = MINUTES) -> None:
        self._minutes = minutes
        self._latest: int | None = None
        self._rings: dict[str, list[float | None]] = {}

    def add(self, name: str, at: datetime, value: float = 1) -> None:
        """Count for the minute of this instant."""
        ring, slot = self._ring(name), self._slot(at)
        ring[slot] = (ring[slot] or 0) + value

    def put(self, name: str, at: datetime, value: float) -> None:
        """The number of the minute of this instant; the last one said counts."""
        ring, slot = self._ring(name), self._slot(at)
        ring[slot] = value

    def _ring(self, name: str) -> list[float | None]:
        return self._rings.setdefault(name, [None] * self._minutes)

    def _slot(self, at: datetime) -> int:
        self._advance(at)
        assert self._latest is not None
        return self._latest % self._minutes

    def _advance(self, at: datetime) -> None:
        minute = int(at.timestamp() // 60)
        if self._latest is None:
            self._latest = minute
            return
        for passed in range(self._latest + 1, min(minute, self._latest + self._minutes) + 1):
            for ring in self._rings.values():
                ring[passed % self._minutes] = None
        self._latest = max(self._latest, minute)

    def series(self, name: str, at: datetime) -> list[float | None]:
        """The numbers up to the minute of `at`, oldest first; None for a minute of which nothing was said."""
        self._advance(at)
        ring = self._rings.get(name)
        if ring is None or self._latest is None:
            return [None] * self._minutes
        first = (self._latest + 1) % self._minutes
        return ring[first:] + ring[:first]

    def first_at(self, at: datetime) -> datetime:
        """When the oldest minute of `series` began."""
        self._advance(at)
        assert self._latest is not None
        return datetime.fromtimestamp((self._latest + 1 - self._minutes) * 60, UTC)

    # -- over a restart

    def kept(self) -> dict[str, list[list[float]]]:
        """All that was said, as JSON: for each name, minutes since the epoch with their numbers."""
        if self._latest is None:
            return {}
        minutes = range(self._latest + 1 - self._minutes, self._latest + 1)
        return {
            name: [[minute, value] for minute in minutes if (value := ring[minute % self._minutes]) is not None]
            for name, ring in self._rings.items()
        }

    def recall(self, kept: Any, at: datetime) -> None:
        """Take over what was kept, as far as its minutes are among the last ones and nothing else was said of them."""
        self._advance(at)
        assert self._latest is not None
        for name, pairs in kept.items():
            ring = self._ring(name)
            for minute, value in pairs:
                slot = int(minute) % self._minutes
                if self._latest - self._minutes < minute <= self._latest and ring[slot] is None:
                    ring[slot] = float(value)

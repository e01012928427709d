"""The clock of the machine, set right by the API's: ids end by the API's clock, and a machine's may be wrong."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """See `ports.Clock`. All of a process are corrected together: it talks to one API."""

    _correction = timedelta()

    @classmethod
    def correct(cls, seconds: float) -> None:
        """From now on this machine's clock counts as so many seconds slow (negative: fast)."""
        cls._correction = timedelta(seconds=seconds)

    @classmethod
    def correction(cls) -> float:
        """Seconds that are added to what the machine says."""
        return cls._correction.total_seconds()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._correction

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

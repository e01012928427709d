"""What ends by the clock: ids that the API has purged are marked, and the manifest says so."""

from __future__ import annotations

from ingestor.ports import Clock, Ledger, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well

MOST_SECONDS = 60.0
"""Between two looks, at most: an id may have come that ends sooner than those known."""

LEAST_SECONDS = 0.2


class Reaper:
    """Marks ids as expired when they are. Runs until cancelled."""

    def __init__(self, *, ledger: Ledger, manifest: Manifest, clock: Clock, observer: Observer) -> None:
        self._ledger = ledger
        self._manifest = manifest
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        while True:
            await self._clock.sleep(await until_disk_is_well(self._clock, self._observer, self._expire))

    async def _expire(self) -> float:
        """Mark what has ended; seconds until the next look."""
        number = await self._ledger.expire()
        if number:
            await self._manifest.flush()
            self._observer.notice("expired", number=number)
            return LEAST_SECONDS
        next_at = await self._ledger.next_expiry_at()
        if next_at is None:
            return MOST_SECONDS
        return min(MOST_SECONDS, max(LEAST_SECONDS, (next_at - self._clock.now()).total_seconds()))

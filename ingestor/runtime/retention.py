"""What keeps a daemon that runs for years small: rows of files that are long gone go, and the manifest is shortened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from ingestor.ports import Clock, Ledger, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well

LOOK_SECONDS = 3600.0
KEPT_DAYS = 30
"""How long the ledger tells the story of a file that is gone."""
LARGE_BYTES = 256_000_000
"""A manifest from here on is shortened to the present line of each path, and again when it has doubled since."""


class Retention:
    """Prunes and compacts now and then. Runs until cancelled."""

    def __init__(self, path: Path, *, ledger: Ledger, manifest: Manifest, clock: Clock, observer: Observer) -> None:
        """`path` is the manifest's file."""
        self._path = path
        self._ledger = ledger
        self._manifest = manifest
        self._clock = clock
        self._observer = observer
        self._compact_from = LARGE_BYTES

    async def run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await until_disk_is_well(self._clock, self._observer, self._tidy)

    async def _tidy(self) -> None:
        forgotten = await self._ledger.prune(self._clock.now() - timedelta(days=KEPT_DAYS))
        if forgotten:
            self._observer.notice("pruned", paths=forgotten)
        if await self._size() < self._compact_from:
            return
        lines = await self._manifest.compact()
        size = await self._size()
        self._compact_from = max(LARGE_BYTES, 2 * size)
        self._observer.notice("manifest_compacted", lines=lines, bytes=size)

    async def _size(self) -> int:
        try:
            return (await asyncio.to_thread(self._path.stat)).st_size
        except OSError:
            return 0

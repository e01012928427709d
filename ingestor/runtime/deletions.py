"""`on_source_delete: purge`: an image whose every source is gone is deleted at the API as well."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ingestor.errors import EnvironmentFault
from ingestor.model import LedgerEntry
from ingestor.ports import Clock, FilesApi, Ledger, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.stages.discover import device_at

LOOK_SECONDS = 5.0
WHY = "its source was deleted"


class Deletions:
    """Purges what has no source any more. Runs until cancelled.

    That a source is gone is for a whole scan of its folder to say: one that is unmounted says nothing. As what is
    purged does not come back, each source is looked for once more.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        ledger: Ledger,
        manifest: Manifest,
        api: FilesApi,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._folders = folders
        self._ledger = ledger
        self._manifest = manifest
        self._api = api
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        while True:
            await until_disk_is_well(self._clock, self._observer, self._purge)
            await self._clock.sleep(LOOK_SECONDS)

    async def _purge(self) -> None:
        purged = 0
        for content_id, file_id in await self._ledger.forsaken(self._folders):
            if any(may_be_there(entry) for entry in await self._ledger.find(file_id, [])):
                continue
            try:
                await self._api.delete(file_id)
            except EnvironmentFault:
                return  # the API's trouble: it is told by others, and the next look comes
            purged += await self._ledger.purge(content_id, file_id, WHY)
        if purged:
            await self._manifest.flush()
            self._observer.notice("purged", number=purged, why=WHY)


def may_be_there(entry: LedgerEntry) -> bool:
    """Whether a source is at its place, or on a disk that is not there now: an empty mount point says nothing of it."""
    if os.path.lexists(entry.root / entry.path):
        return True
    return device_at(entry.root, posixpath.dirname(entry.path)) != entry.identity.device

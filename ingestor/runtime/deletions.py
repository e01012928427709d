"""`on_source_delete: purge`: an image whose every source is gone is deleted at the API as well."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ingestor.errors import DiskFault, EnvironmentFault
from ingestor.model import LedgerEntry
from ingestor.policy.endings import VANISHED
from ingestor.ports import Clock, FilesApi, Ledger, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.stages.discover import device_at

LOOK_SECONDS = 5.0
WHY = "its source was deleted"


class Deletions:
    """Purges what has no source any more. Runs until cancelled.

    That a source is gone is for a whole scan of its folder to say: one that is unmounted says nothing. As what is
    purged does not come back, each source is looked for once more. The ids that its path had before go with it, those
    of other bytes too; but not where the file goes on under another name.
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
        self._vanished: dict[tuple[str, str], None] = {}
        """Paths that were missed, and whose former ids were not looked at yet, or may be needed still."""
        self._seen_seq = 0

    async def run(self) -> None:
        while True:
            await until_disk_is_well(self._clock, self._observer, self._purge)
            await self._clock.sleep(LOOK_SECONDS)

    async def _purge(self) -> None:
        missed, self._seen_seq = await self._ledger.vanished(self._folders, self._seen_seq)
        self._vanished |= dict.fromkeys(missed)
        purged = 0
        try:
            for content_id, file_id in await self._ledger.forsaken(self._folders):
                if any(may_be_there(entry) for entry in await self._ledger.find(file_id, [])):
                    continue
                await self._api.delete(file_id)
                purged += await self._ledger.purge(content_id, file_id, WHY)
            left = dict(self._vanished)
            while left:
                place, _ = left.popitem()
                copies = await self._copies(place)
                theirs = [place, *((copy.folder, copy.path) for copy in copies if copy.folder in self._folders)]
                number, is_judged = await self._purge_former(theirs, copies)
                purged += number
                for one in theirs:
                    left.pop(one, None)
                    if is_judged:
                        self._vanished.pop(one, None)
        except DiskFault:
            raise
        except EnvironmentFault:
            pass  # the API's trouble: it is told by others, and the next look comes
        if purged:
            await self._manifest.flush()
            self._observer.notice("purged", number=purged, why=WHY)

    async def _purge_former(self, places: Sequence[tuple[str, str]], copies: Sequence[LedgerEntry]) -> tuple[int, bool]:
        """Delete what missed paths of one content had before it; how many, and whether nothing is left to look at."""
        if not all(map(_is_gone, copies)):
            return 0, True
        if any(map(may_be_there, copies)):
            return 0, False
        purged, is_judged = 0, True
        for one in await self._ledger.former_ids(places):
            holders = await self._ledger.entries_of(one.content_id)
            if not all(map(_is_gone, holders)):
                continue
            if any(map(may_be_there, holders)):
                is_judged = False
                continue
            await self._api.delete(one.file_id)
            await self._ledger.purge_former(one, WHY)
            purged += 1
        return purged, is_judged

    async def _copies(self, place: tuple[str, str]) -> Sequence[LedgerEntry]:
        """The path and all others with its content; none where the ledger has forgotten it."""
        entries = await self._ledger.find("", [place])
        if not entries or entries[0].content_id is None:
            return entries
        return await self._ledger.entries_of(entries[0].content_id)


def _is_gone(entry: LedgerEntry) -> bool:
    return entry.reason == VANISHED


def may_be_there(entry: LedgerEntry) -> bool:
    """Whether a source is at its place, or on a disk that is not there now: an empty mount point says nothing of it."""
    if os.path.lexists(entry.root / entry.path):
        return True
    return device_at(entry.root, posixpath.dirname(entry.path)) != entry.identity.device

"""`on_source_delete: purge`: an image whose every source is gone is deleted at the API as well."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ingestor.errors import DiskFault, EnvironmentFault
from ingestor.model import ContentId, FileId, LedgerEntry
from ingestor.policy.endings import VANISHED
from ingestor.ports import Clock, FilesApi, Ledger, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.unknown_files import UnknownFiles
from ingestor.stages.discover import DropFolder, device_at
from ingestor.stages.flights import Flights

LOOK_SECONDS = 5.0
REST_FACTOR = 10
"""A pass over the folders is followed by so many times its time of rest, where that is longer."""
WHY = "its source was deleted"

Place = tuple[str, str]
"""Folder and path."""


class Deletions:
    """Purges what has no source any more. Runs until cancelled.

    That a source is gone is for a whole scan of its folder to say: one that is unmounted says nothing. A file that is
    gone may be there under another name, which nobody has read yet. As what is purged does not come back, an id is
    kept until its source has been gone for as long as a file takes to settle, and then for as long as a file with as
    many bytes, in whatever folder, waits to be read. The ids that its path had before go with it, those of other bytes
    too; but not where the file goes on under another name.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        served: Sequence[DropFolder],
        ledger: Ledger,
        manifest: Manifest,
        api: FilesApi,
        flights: Flights,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """`folders`: those whose deletions are purged; `served`: all that a file may have moved to."""
        self._folders = folders
        self._unknown_files = UnknownFiles(served, ledger=ledger, clock=clock)
        self._patience_seconds = max(LOOK_SECONDS, *(folder.settings.settle for folder in served))
        self._ledger = ledger
        self._manifest = manifest
        self._api = api
        self._flights = flights
        self._clock = clock
        self._observer = observer
        self._forsaken_since: dict[FileId, float] = {}
        self._vanished: dict[Place, float] = {}
        """Paths whose former ids may have to go, and when (monotonic) they were missed."""
        self._seen_seq = 0

    async def run(self) -> None:
        while True:
            seconds = await until_disk_is_well(self._clock, self._observer, self._look)
            await self._clock.sleep(max(LOOK_SECONDS, REST_FACTOR * seconds))

    async def _look(self) -> float:
        """Purge what is gone for certain. Returns how many seconds the folders were looked through."""
        ids = {file_id: _sizes(await self._ledger.find(file_id, [])) for _, file_id in await self._settled()}
        former = [(self._places(place, copies), _sizes(copies)) for place, copies in await self._settled_places()]
        among = frozenset[int]().union(*ids.values(), *(sizes for _, sizes in former))
        if not among:
            return 0.0
        began = self._clock.monotonic()
        unknown = await self._unknown_files.sizes(among)
        seconds = self._clock.monotonic() - began
        if unknown is None:
            return seconds
        # What was unknown a moment ago may be in line by now, or have turned out to be one of these.
        still = await self._ledger.forsaken(self._folders)
        unknown |= await self._ledger.sizes_in_line(among)
        purged = 0
        try:
            for content_id, file_id in still:
                if ids.get(file_id) and not ids[file_id] & unknown:
                    purged += await self._purge(content_id, file_id)
            for places, sizes in former:
                if sizes and not sizes & unknown:
                    purged += await self._purge_former(places)
        except DiskFault:
            raise
        except EnvironmentFault:
            pass  # the API's trouble: it is told by others, and the next look comes
        if purged:
            await self._manifest.flush()
            self._observer.notice("purged", number=purged, why=WHY)
        return seconds

    async def _settled(self) -> Sequence[tuple[ContentId, FileId]]:
        """What has been without a source for so long that a new name of it is not overlooked."""
        forsaken, now = await self._ledger.forsaken(self._folders), self._clock.monotonic()
        self._forsaken_since = {file_id: self._forsaken_since.get(file_id, now) for _, file_id in forsaken}
        return [one for one in forsaken if self._forsaken_since[one[1]] <= now - self._patience_seconds]

    async def _settled_places(self) -> Sequence[tuple[Place, Sequence[LedgerEntry]]]:
        """The same of paths that had other ids before, each with all paths of the content that it had in the end."""
        now = self._clock.monotonic()
        missed, self._seen_seq = await self._ledger.vanished(self._folders, self._seen_seq)
        self._vanished |= dict.fromkeys(missed, now)
        settled = []
        for place in [place for place, since in self._vanished.items() if since <= now - self._patience_seconds]:
            copies = await self._copies(place)
            if all(map(_is_gone, copies)) and await self._ledger.former_ids(self._places(place, copies)):
                settled.append((place, copies))
            else:
                del self._vanished[place]
        return settled

    def _places(self, place: Place, copies: Sequence[LedgerEntry]) -> Sequence[Place]:
        return [place, *((copy.folder, copy.path) for copy in copies if copy.folder in self._folders)]

    async def _copies(self, place: Place) -> Sequence[LedgerEntry]:
        """The path and all others with its content; none where the ledger has forgotten it."""
        entries = await self._ledger.find("", [place])
        if not entries or entries[0].content_id is None:
            return entries
        return await self._ledger.entries_of(entries[0].content_id)

    async def _purge(self, content_id: ContentId, file_id: FileId) -> bool:
        """Raises `EnvironmentFault` where the API is away."""
        if self._flights.is_up(content_id):
            return False  # for how long, nobody knows: the next look comes
        # A file with these bytes that is read meanwhile waits, and finds that it needs another id.
        async with self._flights.alone(content_id):
            if not _sizes(await self._ledger.find(file_id, [])):
                return False
            await self._api.delete(file_id)
            return await self._ledger.purge(content_id, file_id, WHY)

    async def _purge_former(self, places: Sequence[Place]) -> int:
        """The ids that paths had before; not those that another path goes by."""
        purged = 0
        for one in await self._ledger.former_ids(places):
            if self._flights.is_up(one.content_id):
                continue
            async with self._flights.alone(one.content_id):
                holders = await self._ledger.entries_of(one.content_id)
                if holders and not _sizes(holders):
                    continue
                await self._api.delete(one.file_id)
                await self._ledger.purge_former(one, WHY)
                purged += 1
        return purged


def _is_gone(entry: LedgerEntry) -> bool:
    return entry.reason == VANISHED


def _sizes(entries: Sequence[LedgerEntry]) -> frozenset[int]:
    """Of files that are gone; none while one of them may be there."""
    if any(not _is_gone(entry) or may_be_there(entry) for entry in entries):
        return frozenset()
    return frozenset(entry.identity.size_bytes for entry in entries)


def may_be_there(entry: LedgerEntry) -> bool:
    """Whether a source is at its place, or cannot be looked at: an empty mount point says nothing of its disk."""
    try:
        os.lstat(entry.root / entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return device_at(entry.root, posixpath.dirname(entry.path)) != entry.identity.device
    except OSError:
        return True
    return True

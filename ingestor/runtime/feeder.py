"""From a drop folder into the line: scan, compare with the ledger, settle, take."""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ingestor.model import SIDECAR_SUFFIX, Known, Lane, Sighting, Skipped, SourceFile
from ingestor.policy.intake import Intake, intake_of
from ingestor.policy.settling import Observation
from ingestor.ports import Clock, Ledger, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.tally import Tally
from ingestor.stages.discover import NO_MARKS, DropFolder, Piece, device_at
from ingestor.stages.settle import settle

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Pending:
    """A file that has not settled, when it is looked at next, and how often it was found changed."""

    observation: Observation
    look_at: float
    lane: Lane
    changes: int = 0
    in_line: bool = False
    """It has a place in line already, where its end is counted."""


@dataclass(slots=True)
class Scan:
    """What one pass over a folder met."""

    files: int = 0
    skipped: int = 0
    new: int = 0
    """Wanted, and not known to be on their way before."""
    seconds: float = 0.0


class Feeder:
    """Feeds one drop folder's files to the line. A path is looked at again until it has settled or is gone.

    `tally` counts for a backfill, whose `patience` says how many times a file may change under our eyes before it is
    left for another run; None (the daemon): as often as it likes.
    """

    def __init__(
        self,
        folder: DropFolder,
        *,
        ledger: Ledger,
        clock: Clock,
        observer: Observer,
        fed: Callable[[], None],
        batch: str | None = None,
        tally: Tally | None = None,
        patience: int | None = None,
        revive: bool = False,
    ) -> None:
        self.folder = folder
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._fed = fed
        self._batch = batch
        self._tally = tally
        self._patience = patience
        self._revive = revive
        self._pending: dict[str, _Pending] = {}
        self._taking = 0
        self._changed = asyncio.Event()

    @property
    def unsettled(self) -> int:
        """How many files are not settled yet, or have, and are about to be in line."""
        return len(self._pending) + self._taking

    def unsettled_paths(self) -> tuple[str, ...]:
        """Those that have no place in line yet."""
        return tuple(path for path, pending in self._pending.items() if not pending.in_line)

    # -- looking

    async def scan(self, lane: Lane, directory: str = "") -> Scan:
        """One pass over the folder, or over one directory in it, piece by piece."""
        scan = Scan()
        began = self._clock.monotonic()
        async for piece in self.folder.pieces(directory):
            await self._piece(piece, lane, scan)
        if not directory:
            await self._miss_directories()
        scan.seconds = self._clock.monotonic() - began
        return scan

    async def look(self, paths: Iterable[str], lane: Lane) -> None:
        """Look at paths that events have told of. One that waits to settle is looked at in its turn anyway."""
        by_directory: dict[str, list[Sighting]] = {}
        for path in {self._image_of(path) for path in paths}:
            if path in self._pending:
                continue
            sighting = await asyncio.to_thread(self._sighting, path)
            if isinstance(sighting, Sighting):
                by_directory.setdefault(posixpath.dirname(path), []).append(sighting)
        for directory, sightings in by_directory.items():
            names = [posixpath.basename(sighting.source.path) for sighting in sightings]
            known = await self._patiently(self._ledger.known, self.folder.name, directory, names)
            await self._consider([s for s in sightings if self._intake(known, s) is Intake.TAKE], lane)

    async def take_one(self, path: str, lane: Lane) -> None:
        """One file that somebody named, counted as a scan would count it."""
        sighting = await asyncio.to_thread(self._sighting, path)
        seen = (sighting,) if isinstance(sighting, Sighting) else ()
        skipped = () if isinstance(sighting, Sighting) else (sighting or Skipped(path=path, reason="vanished"),)
        directory = posixpath.dirname(path)
        piece = Piece(directory=directory, sightings=seen, skipped=skipped, subdirectories=(), whole=False)
        await self._piece(piece, lane, Scan())

    def look_again(self, source: SourceFile, lane: Lane) -> None:
        """A file in line turned out not to be whole: it settles anew, or leaves the line if it is no file any more."""
        path = source.path
        if path not in self._pending:
            sighting = self._sighting(path)
            identity = sighting.source.identity if isinstance(sighting, Sighting) else source.identity
            now = self._clock.monotonic()
            seen = Observation(identity=identity, since=now)
            self._pending[path] = _Pending(seen, now + self.folder.settings.settle, lane, in_line=True)
            self._changed.set()

    def forget(self, path: str) -> None:
        """Somebody else takes care of this path: it is not looked at any more until an event or a scan meets it."""
        self._pending.pop(path, None)

    @staticmethod
    def _image_of(path: str) -> str:
        """A sidecar's event is about its image."""
        return path.removesuffix(SIDECAR_SUFFIX)

    def _sighting(self, path: str) -> Sighting | Skipped | None:
        try:
            return self.folder.sighting(path)
        except OSError as error:
            return Skipped(path=path, reason="unreadable", message=f"{path}: {error.strerror}")

    async def _piece(self, piece: Piece, lane: Lane, scan: Scan) -> None:
        for skipped in piece.skipped:
            self._skip(skipped)
        scan.skipped += len(piece.skipped)
        scan.files += len(piece.sightings)
        strangers = await self._strangers(piece)
        if not strangers:
            return
        names = [posixpath.basename(sighting.source.path) for sighting in strangers]
        known = await self._patiently(self._ledger.known, self.folder.name, piece.directory, names)
        wanted = []
        for sighting in strangers:
            intake = self._intake(known, sighting)
            self._count(intake, sighting, known)
            if intake is Intake.TAKE or (intake is Intake.IN_LINE and self._batch is not None):
                wanted.append(sighting)
                scan.new += intake is Intake.TAKE and sighting.source.path not in self._pending
        await self._consider(wanted, lane)

    async def _strangers(self, piece: Piece) -> Sequence[Sighting]:
        """Those that need a closer look. All others are live, or have ended and nobody wants them again."""
        if not piece.marks.by_name and (piece.sightings or not piece.whole):
            return piece.sightings
        compared = await self._patiently(
            self._ledger.compare,
            self.folder.name,
            piece.directory,
            piece.marks,
            whole=piece.whole,
            ended=not self._revive,
        )
        await self._miss(piece.directory, compared.missing)
        if self._tally is not None:
            familiar = len(piece.sightings) - len(compared.strangers)
            self._tally.discovered += familiar
            self._tally.already_live += familiar
            self._tally.ended_by_scan += familiar
        return piece.named(compared.strangers)

    async def _miss(self, directory: str, names: Sequence[str], message: str = "the file is gone") -> None:
        """What a whole listing did not have is gone, unless it is only passed over by now.

        An empty mount point says nothing of the disk that belongs there: files that were found on another one than is
        there now are not missed.
        """
        here = f"{self.folder.root}/{directory}" if directory else str(self.folder.root)
        gone = [name for name in names if not os.path.lexists(f"{here}/{name}")]
        device = device_at(self.folder.root, directory) if gone else None
        if device is None:
            return
        known = await self._patiently(self._ledger.known, self.folder.name, directory, gone)
        missed = [name for name, held in known.items() if held.identity.device == device]
        if missed:
            await self._patiently(self._ledger.miss, self.folder.name, directory, missed, message)

    async def _miss_directories(self) -> None:
        """Directories that are gone, with all that was in them: a root that is gone says nothing."""
        for directory in await self._patiently(self._ledger.directories, self.folder.name):
            if not os.path.lexists(f"{self.folder.root}/{directory}"):
                held = await self._patiently(self._ledger.compare, self.folder.name, directory, NO_MARKS, whole=True)
                await self._miss(directory, held.missing, "its directory is gone")

    def _intake(self, known: Mapping[str, Known], sighting: Sighting) -> Intake:
        name = posixpath.basename(sighting.source.path)
        return intake_of(known.get(name), sighting, self._clock.now(), revive=self._revive)

    def _skip(self, skipped: Skipped) -> None:
        if self._tally is not None:
            self._tally.skip(skipped)
        if skipped.message:
            self._observer.notice(
                "skipped",
                folder=self.folder.name,
                path=skipped.path,
                reason=skipped.reason,
                message=skipped.message,
            )

    def _count(self, intake: Intake, sighting: Sighting, known: Mapping[str, Known]) -> None:
        if self._tally is None:
            return
        self._tally.discovered += 1
        path = str(sighting.source.absolute)
        match intake:
            case Intake.LIVE:
                self._tally.already_live += 1
                self._tally.ended_by_scan += 1
            case Intake.ENDED:
                self._tally.discovered -= 1
                self._tally.skip(Skipped(path=path, reason="purged"))
            case Intake.QUARANTINED:
                held = known[posixpath.basename(sighting.source.path)]
                self._tally.ended_by_scan += 1
                self._tally.quarantine(path, held.reason or "", held.message or "", held.request_id)

    async def _patiently(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the ledger gives, however long its disk is at fault: a pass over a folder is not begun anew for it."""
        return await until_disk_is_well(self._clock, self._observer, call, *args, **kwargs)

    # -- settling

    async def _consider(self, sightings: Sequence[Sighting], lane: Lane) -> None:
        """Take what has settled; remember what has not."""
        settled = [sighting for sighting in sightings if self._has_settled(sighting, lane)]
        if not settled:
            return
        self._taking += len(settled)
        try:
            await self._patiently(self._ledger.take, settled, lane, self._batch)
        finally:
            self._taking -= len(settled)
        self._observer.notice("found", folder=self.folder.name, number=len(settled))
        self._fed()

    def _has_settled(self, sighting: Sighting, lane: Lane) -> bool:
        path = sighting.source.path
        before = self._pending.get(path)
        unsettled = settle(
            sighting,
            before.observation if before else None,
            clock=self._clock,
            quiet_seconds=self.folder.settings.settle,
        )
        if unsettled is None:
            self._pending.pop(path, None)
            return True
        changes = self._changes(before, unsettled.observation, empty=unsettled.empty)
        if self._patience is not None and changes > self._patience:
            self._give_up(sighting, empty=unsettled.empty)
            return False
        look_at = self._clock.monotonic() + unsettled.look_again_seconds
        in_line = before is not None and before.in_line
        self._pending[path] = _Pending(unsettled.observation, look_at, lane, changes, in_line)
        self._changed.set()
        return False

    @staticmethod
    def _changes(before: _Pending | None, seen: Observation, *, empty: bool) -> int:
        if before is None:
            return 0
        return before.changes + (empty or seen.since != before.observation.since)

    def _give_up(self, sighting: Sighting, *, empty: bool) -> None:
        path = sighting.source.path
        pending = self._pending.pop(path, None)
        if self._tally is not None and not (pending and pending.in_line):
            reason, why = ("empty", "has no bytes") if empty else ("changing", "is still being written")
            absolute = str(sighting.source.absolute)
            self._tally.defer(absolute, reason, f"{absolute} {why}; the next run looks again")

    async def settle_forever(self) -> None:
        """Look again at whatever has not settled, each in its time."""
        while True:
            self._changed.clear()
            await self._settle_due()
            await self._until_next_look()

    async def _settle_due(self) -> None:
        now = self._clock.monotonic()
        due = [(path, pending) for path, pending in self._pending.items() if pending.look_at <= now]
        by_lane: dict[Lane, list[Sighting]] = {}
        for path, pending in due:
            sighting = await asyncio.to_thread(self._sighting, path)
            if isinstance(sighting, Sighting):
                by_lane.setdefault(pending.lane, []).append(sighting)
            elif self._pending.pop(path, None) is not None:
                await self._gone(path, sighting, in_line=pending.in_line)
        for lane, sightings in by_lane.items():
            await self._consider(sightings, lane)

    async def _gone(self, path: str, skipped: Skipped | None, *, in_line: bool) -> None:
        """It vanished before it settled, or is no regular file any more."""
        skipped = skipped or Skipped(path=path, reason="vanished", message=f"{path}: is gone")
        if in_line:
            absolute = f"{self.folder.root}/{path}"
            why = f"{absolute}: is no file to take any more ({skipped.reason})"
            await self._patiently(self._ledger.vanish, self.folder.name, path, why)
            if self._tally is None or not self._tally.close(absolute):
                return
        if self._tally is not None:
            self._tally.discovered -= 1
            self._tally.skip(skipped)

    async def _until_next_look(self) -> None:
        waits: list[Awaitable[object]] = [self._changed.wait()]
        if self._pending:
            look_at = min(pending.look_at for pending in self._pending.values())
            waits.append(self._clock.sleep(max(0.001, look_at - self._clock.monotonic())))
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

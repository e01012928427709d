"""The pass that `plan` makes: every file looked at, nothing sent, nothing written.

Twice through the folders: first what is wanted and how large it is, then each wanted image's header. A file is hashed
only where another one has its size, since nothing else can be its duplicate.
"""

from __future__ import annotations

import asyncio
import itertools
import posixpath
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from ingestor.errors import ImageRejected, MetadataRejected, SourceNotReady
from ingestor.ledger.overview import Held
from ingestor.model import ContentId, Digest, Known, Sighting, Skipped, SourceState, State
from ingestor.policy.expiry import is_live
from ingestor.policy.intake import Intake, intake_of
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.policy.settling import truncation_is_final
from ingestor.policy.sizing import largest_file_bytes
from ingestor.ports import Clock, ImageWorker
from ingestor.runtime.backfill import Selection
from ingestor.runtime.plan import Books, Plan
from ingestor.stages.describe import describe
from ingestor.stages.discover import DropFolder, Piece
from ingestor.stages.fingerprint import fingerprint

AT_ONCE = 500
"""Images whose headers are asked for before the next ones are; a bound on memory, not on the workers."""

_NO_DIGEST = Digest("")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A file that a backfill would take."""

    folder: DropFolder
    sighting: Sighting
    known: Known | None

    @property
    def path(self) -> str:
        return str(self.sighting.source.absolute)

    @property
    def name(self) -> str:
        return self.sighting.source.absolute.name

    @property
    def size_bytes(self) -> int:
        return self.sighting.source.identity.size_bytes

    @property
    def kind(self) -> str:
        """The name of the count that it belongs to."""
        if self.known is None:
            return "new"
        if self.known.identity != self.sighting.source.identity or self.known.context != self.sighting.context:
            return "changed"
        return "in_line" if self.known.state is SourceState.WAITING else "expired"


@dataclass(frozen=True, slots=True)
class _Bad:
    """A file that would not get through; `is_final`: it would be quarantined, else left for another run."""

    reason: str
    message: str
    is_final: bool
    name: str = ""
    """Of the file that the message is about, where it begins with that."""

    def of_twin(self, name: str) -> _Bad:
        """The same, said of another file with the same bytes."""
        told = f"{self.name}: "
        if not self.name or not self.message.startswith(told):
            return self
        return replace(self, message=f"{name}: {self.message.removeprefix(told)}", name=name)


@dataclass(frozen=True, slots=True)
class _Good:
    """A file that would be uploaded, and what would be done to it."""

    normalised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Live:
    """Its content has a good id already."""


_Verdict = _Good | _Bad | _Live


class Planner:
    """One plan; `looked_at` grows while it is made."""

    def __init__(
        self,
        selections: Sequence[Selection],
        *,
        books: Books,
        images: ImageWorker | None,
        max_pixels: int,
        clock: Clock,
    ) -> None:
        """`images` None: no image is opened, and each counts as one that gets through.

        No file is hashed that is larger than `max_pixels` need.
        """
        self._selections = selections
        self._books = books
        self._images = images
        self._clock = clock
        self._largest_bytes = largest_file_bytes(max_pixels)
        self._plan = Plan()
        self._shared_sizes: frozenset[int] = frozenset()
        self._verdicts: dict[ContentId, asyncio.Future[_Verdict]] = {}
        self.listed = 0
        """Files found so far in the folders."""
        self.looked_at = 0
        """Images so far whose header was read."""

    async def run(self) -> Plan:
        """Raises `LedgerError` and `ImageWorkerLost`."""
        sizes: array[int] = array("Q")
        async for wanted in self._listing(count=True):
            sizes.extend(one.size_bytes for one in wanted)
        if sizes:
            self._shared_sizes = await self._sizes_met_twice(sizes)
            async for wanted in self._listing(count=False):
                for start in range(0, len(wanted), AT_ONCE):
                    await asyncio.gather(*(self._look(one) for one in wanted[start : start + AT_ONCE]))
        return self._plan

    async def _sizes_met_twice(self, sizes: array[int]) -> frozenset[int]:
        ordered = array("Q", sorted(sizes))
        twice = {first for first, second in itertools.pairwise(ordered) if first == second}
        return frozenset(twice) | await self._books.source_sizes(ordered)

    # -- listing

    async def _listing(self, *, count: bool) -> AsyncIterator[list[_Wanted]]:
        """What a backfill would take, a piece of a directory at a time; all else is counted, if asked for."""
        for selection in self._selections:
            for path in selection.only or ("",):
                async for piece in self._pieces(selection.folder, path):
                    yield await self._sorted_out(selection.folder, piece, count=count)

    async def _pieces(self, folder: DropFolder, path: str) -> AsyncIterator[Piece]:
        """The pieces of a directory and those inside it, or a file as a piece of its own."""
        absolute = folder.root / path
        if path and not absolute.is_dir():
            yield _piece_of_one(folder, path)
            return
        async for piece in folder.pieces("" if path == "." else path):
            yield piece

    async def _sorted_out(self, folder: DropFolder, piece: Piece, *, count: bool) -> list[_Wanted]:
        if count:
            self.listed += len(piece.sightings) + len(piece.skipped)
            for skipped in piece.skipped:
                self._skip(folder, skipped)
        if not piece.sightings:
            return []
        names = None if piece.whole else [posixpath.basename(one.source.path) for one in piece.sightings]
        known = await self._books.known(folder.name, piece.directory, names)
        wanted = []
        for sighting in piece.sightings:
            held = known.get(posixpath.basename(sighting.source.path))
            intake = intake_of(held, sighting, self._clock.now(), revive=True)
            if intake in (Intake.TAKE, Intake.IN_LINE):
                wanted.append(_Wanted(folder=folder, sighting=sighting, known=held))
            elif count:
                self._count(intake, sighting, held)
        return wanted

    def _skip(self, folder: DropFolder, skipped: Skipped) -> None:
        self._plan.skipped[skipped.reason] += 1
        if skipped.message:
            self._plan.problem(f"{folder.root}/{skipped.path}", skipped.reason, skipped.message)

    def _count(self, intake: Intake, sighting: Sighting, held: Known | None) -> None:
        match intake:
            case Intake.LIVE:
                self._plan.already_live += 1
                if held is not None and held.expires_at is not None:
                    self._plan.live_until.append(held.expires_at.timestamp())
            case Intake.ENDED:
                self._plan.skipped["purged"] += 1
            case Intake.QUARANTINED:
                reason = (held.reason if held is not None else None) or "unknown"
                self._plan.quarantined[reason] += 1
                message = (held.message if held is not None else None) or ""
                self._plan.problem(str(sighting.source.absolute), reason, message)

    # -- looking

    async def _look(self, wanted: _Wanted) -> None:
        """What would become of one file, counted."""
        try:
            content_id = await self._content_id(wanted)
            if content_id is None:
                self._end(wanted, await self._judge(wanted))
            elif content_id in self._verdicts:
                await self._end_as_twin(wanted, await self._verdicts[content_id])
            else:
                await self._look_first(wanted, content_id)
        except MetadataRejected as error:
            self._end(wanted, _Bad(error.reason, str(error), is_final=True))
        except SourceNotReady as error:
            self._end(wanted, _Bad(error.reason, str(error), is_final=False))

    async def _content_id(self, wanted: _Wanted) -> ContentId | None:
        """What would be uploaded, where it may be the same as something else; None: it is surely of its own."""
        source, settings = wanted.sighting.source, wanted.folder.settings
        if wanted.size_bytes not in self._shared_sizes or wanted.size_bytes > self._largest_bytes:
            await describe(source, _NO_DIGEST, settings)
            return None
        return (await describe(source, await fingerprint(source), settings)).content_id

    async def _look_first(self, wanted: _Wanted, content_id: ContentId) -> None:
        """The first file with this content: the ledger may know it, else its header decides for all of them."""
        verdict: asyncio.Future[_Verdict] = asyncio.get_running_loop().create_future()
        self._verdicts[content_id] = verdict
        try:
            held = (await self._books.standing_of([content_id])).get(content_id)
            if held is not None and held.state in HAS_LIVE_ID and is_live(held.expires_at, self._clock.now()):
                verdict.set_result(_Live())
                await self._end_as_live(wanted, content_id, held)
                return
            if held is not None and held.state is State.QUARANTINED:
                verdict.set_result(_Bad(held.reason or "unknown", "the same image is quarantined", is_final=True))
            else:
                verdict.set_result(await self._judge(wanted))
            self._end(wanted, verdict.result())
        finally:
            if not verdict.done():
                verdict.cancel()

    async def _judge(self, wanted: _Wanted) -> _Verdict:
        if self._images is None:
            return _Good()
        self.looked_at += 1
        source = wanted.sighting.source
        try:
            return _Good((await self._images.inspect(source.absolute)).normalised)
        except ImageRejected as error:
            return _Bad(error.reason, error.message, is_final=True, name=wanted.name)
        except SourceNotReady as error:
            final = error.reason == "truncated" and truncation_is_final(
                source.identity, wall=self._clock.now().timestamp(), quiet_seconds=wanted.folder.settings.settle
            )
            return _Bad(error.reason, str(error), is_final=final, name=wanted.name)

    # -- counting

    async def _end_as_live(self, wanted: _Wanted, content_id: ContentId, held: Held) -> None:
        source = wanted.sighting.source
        own = wanted.known is not None and await self._books.content_of(source.folder, source.path) == content_id
        if own:
            self._plan.already_live += 1
        else:
            self._plan.duplicates += 1
        if held.expires_at is not None:
            self._plan.live_until.append(held.expires_at.timestamp())

    async def _end_as_twin(self, wanted: _Wanted, verdict: _Verdict) -> None:
        if not isinstance(verdict, _Bad):
            self._plan.duplicates += 1
        elif verdict.is_final:
            self._end(wanted, verdict.of_twin(wanted.name))
        else:
            # What is left for another run says nothing of others, of which each is as ready as it is.
            self._end(wanted, await self._judge(wanted))

    def _end(self, wanted: _Wanted, verdict: _Verdict) -> None:
        if isinstance(verdict, _Bad):
            counter = self._plan.quarantined if verdict.is_final else self._plan.deferred
            counter[verdict.reason] += 1
            self._plan.problem(wanted.path, verdict.reason, verdict.message)
            return
        assert isinstance(verdict, _Good)
        setattr(self._plan, wanted.kind, getattr(self._plan, wanted.kind) + 1)
        self._plan.work.update(verdict.normalised or ("as_found",))
        self._plan.bytes_read += wanted.size_bytes


def _piece_of_one(folder: DropFolder, path: str) -> Piece:
    """One file that somebody named, as a scan would show it."""
    try:
        seen = folder.sighting(path) or Skipped(path=path, reason="vanished")
    except OSError as error:
        seen = Skipped(path=path, reason="unreadable", message=f"{path}: {error.strerror}")
    return Piece(
        directory=posixpath.dirname(path),
        sightings=(seen,) if isinstance(seen, Sighting) else (),
        skipped=(seen,) if isinstance(seen, Skipped) else (),
        subdirectories=(),
        whole=False,
    )

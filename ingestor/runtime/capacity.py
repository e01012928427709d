"""Whether the quota can do what is asked, before anything is begun: how many images there are, and the arithmetic."""

from __future__ import annotations

import asyncio
import hashlib
import os
import posixpath
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from ingestor.disk import open_regular
from ingestor.ledger import LedgerReader
from ingestor.model import ContentId, Known, Sighting, SourceFile, SourceState, State
from ingestor.policy.forecast import Supply, forecast
from ingestor.policy.intake import Intake, intake_of
from ingestor.policy.renewing import RENEWS, cannot_be_kept, most_kept_alive
from ingestor.ports import Clock, Ledger
from ingestor.runtime.backfill import Selection
from ingestor.runtime.opening import read_ledger
from ingestor.runtime.planning import Planner
from ingestor.settings import FolderSettings, Settings
from ingestor.stages.discover import DropFolder, Piece

MANY = 100_000
"""Files: to hold each of more than so many against the ledger takes as long as the run that does nothing else. Then ids
that are good count as those of the files that are there, though some were edited or deleted since."""

LOOKS, LOOK_BYTES = 4, 4096
"""Pieces of a file that are held against those of others of its size: the margins of two scans may well be the same."""

LOOKS_AT_ONCE = 500
"""Files between two moments at which a start can be interrupted."""


async def too_many_to_renew(folders: Sequence[FolderSettings], ledger: Ledger, per_minute: float) -> str | None:
    """Why the folders that renew hold more than the quota can keep alive; None if they do not, or may not.

    The same bytes take one id, however many files have them: those that are not known yet are counted by their sizes,
    and where that is too few to tell (scans without compression are all of one size), by a look into each.
    """
    renewing = [DropFolder(folder) for folder in folders if folder.renew == RENEWS]
    if cannot_be_kept(sum([await asyncio.to_thread(_images, folder) for folder in renewing]), per_minute) is None:
        return None
    different = _Different()
    async for sighting, known in _held_against(renewing, ledger):
        different.add(sighting, known)
    why = cannot_be_kept(different.at_least, per_minute, at_least=different.may_be_more)
    if why is not None or not different.may_be_more:
        return why
    return cannot_be_kept(await _different_looks(renewing, ledger, per_minute), per_minute, at_least=True)


async def _held_against(folders: Sequence[DropFolder], ledger: Ledger) -> AsyncIterator[tuple[Sighting, Known | None]]:
    """Each image of the folders, and what the ledger knows of it."""
    for folder in folders:
        async for piece in folder.pieces():
            names = [posixpath.basename(sighting.source.path) for sighting in piece.sightings]
            known = await ledger.known(folder.name, piece.directory, None if piece.whole else names)
            for name, sighting in zip(names, piece.sightings, strict=True):
                yield sighting, known.get(name)


async def _different_looks(folders: Sequence[DropFolder], ledger: Ledger, per_minute: float) -> int:
    """How many images do not even look the same; no more are looked into than it takes to tell that they are too many.

    Nor more than `MANY`, or twice of what may be: a folder of copies must not hold up the start.
    """
    most = most_kept_alive(per_minute)
    looks: set[bytes] = set()
    looked = 0
    some: list[SourceFile] = []
    async for sighting, known in _held_against(folders, ledger):
        if _is_out(sighting, known):
            continue
        some.append(sighting.source)
        if len(some) == LOOKS_AT_ONCE:
            looks |= await asyncio.to_thread(_looks, some)
            looked += len(some)
            some = []
            if len(looks) > most or looked >= max(MANY, 2 * most):
                return len(looks)
    return len(looks | await asyncio.to_thread(_looks, some))


def _looks(files: Sequence[SourceFile]) -> set[bytes]:
    """What tells files apart for certain, at the cost of four small reads each; one that cannot be read is left out."""
    looks = set()
    for file in files:
        size_bytes = file.identity.size_bytes
        look = hashlib.blake2b(str(size_bytes).encode(), digest_size=16)
        try:
            handle = open_regular(os.fspath(file.absolute), os.O_RDONLY)
            try:
                for place in range(LOOKS):
                    look.update(os.pread(handle, LOOK_BYTES, max(0, size_bytes - LOOK_BYTES) * place // (LOOKS - 1)))
            finally:
                os.close(handle)
        except OSError:
            continue
        looks.add(look.digest())
    return looks


def _is_out(sighting: Sighting, known: Known | None) -> bool:
    """Whether nobody renews it: it is in quarantine, or was deleted at the API."""
    return (
        known is not None
        and (known.identity, known.context) == (sighting.source.identity, sighting.context)
        and (known.state is SourceState.QUARANTINED or known.upload_state is State.PURGED)
    )


class _Different:
    """How many images of those that are added are different for certain."""

    def __init__(self) -> None:
        self._contents: set[ContentId] = set()
        self._their_sizes: set[int] = set()
        self._other_sizes: set[int] = set()
        self.may_be_more = False

    def add(self, sighting: Sighting, known: Known | None) -> None:
        size_bytes = sighting.source.identity.size_bytes
        seen = (sighting.source.identity, sighting.context)
        if _is_out(sighting, known):
            return
        is_same = known is not None and (known.identity, known.context) == seen
        if known is not None and is_same and known.state is SourceState.DONE and known.content_id is not None:
            self._contents.add(known.content_id)
            self._their_sizes.add(size_bytes)
            return
        self._other_sizes.add(size_bytes)
        self.may_be_more = True

    @property
    def at_least(self) -> int:
        return len(self._contents) + len(self._other_sizes - self._their_sizes)


async def would_expire(settings: Settings, selections: Sequence[Selection], clock: Clock, supply: Supply) -> str | None:
    """Why ids of a run over these would end before its last upload; None if they would not.

    The number is that of `plan`, but for images that turn out to be bad: they count, since none is opened for it.
    """

    async def total(count: Count) -> int:
        return sum([await _at_most(selection, count) for selection in selections])

    def fits(uploads: int) -> bool:
        return forecast(uploads, supply).fits

    # The cheapest questions first: names alone are counted in a fifth of the time that it takes to judge them.
    if fits(files := await total(_files)):
        return None
    async with read_ledger(settings) as books:
        live = await _live(selections, books) if files > MANY else 0
        if fits(files - live) or fits(await total(_images) - live):
            return None
        if fits(sum([await _wanted(selection, books, clock) for selection in selections])):
            return None
        # Some of them may have the same bytes, which is seen only by reading those of the same size.
        most = settings.normalise.max_pixels
        planner = Planner(selections, books=books, images=None, max_pixels=most, clock=clock)
        uploads = (await planner.run()).to_upload
    what = forecast(uploads, supply)
    if what.fits:
        return None
    hours = what.seconds / 3600
    return (
        f"{uploads:,} uploads take {hours:.1f} hours at {supply.per_minute:g} a minute, and an id lives for 24: "
        f"{what.expired_before_end:,} ids will have ended before the last image is uploaded; at most "
        f"{what.largest_alive_set:,} can be alive at once"
    )


Count = Callable[[DropFolder, str], int]


async def _live(selections: Sequence[Selection], books: LedgerReader) -> int:
    whole = [selection.folder.name for selection in selections if selection.only is None]
    return sum([await books.count_live(folder) for folder in whole])


async def _at_most(selection: Selection, count: Count) -> int:
    """How many uploads a selection can cost, whatever is known of its files."""
    directories, files = _parts(selection)
    return len(files) + sum([await asyncio.to_thread(count, selection.folder, inside) for inside in directories])


def _parts(selection: Selection) -> tuple[list[str], list[str]]:
    """The directories and the files of a selection, relative to its folder."""
    if selection.only is None:
        return [""], []
    directories = [path for path in selection.only if os.path.isdir(selection.folder.root / path)]
    return directories, [path for path in selection.only if path not in directories]


def _files(folder: DropFolder, inside: str = "") -> int:
    """How many files there are, whatever they are called."""
    return sum(len(files) for _, files in _listings(folder, inside))


def _images(folder: DropFolder, inside: str = "") -> int:
    """How many files there are whose names are those of images."""
    return sum(folder.verdict(prefix + name) is None for prefix, files in _listings(folder, inside) for name in files)


def _listings(folder: DropFolder, inside: str) -> Iterator[tuple[str, list[str]]]:
    """Each directory that a scan enters, as the beginning of its files' paths, and their names."""
    for directory, names, files in os.walk(folder.root / inside, onerror=None, followlinks=False):
        here = os.path.relpath(directory, folder.root)
        prefix = "" if here == "." else f"{here}/"
        names[:] = [name for name in names if folder.settings.recursive and folder.enters(prefix + name)]
        yield prefix, files


async def _wanted(selection: Selection, books: LedgerReader, clock: Clock) -> int:
    """How many files a run would take; each that is named by itself counts."""
    folder = selection.folder
    directories, files = _parts(selection)
    count = len(files)
    for directory in directories:
        async for piece in folder.pieces(directory):
            strangers = await _strangers(folder, piece, books)
            names = [posixpath.basename(sighting.source.path) for sighting in strangers]
            known = await books.known(folder.name, piece.directory, names) if names else {}
            for name, sighting in zip(names, strangers, strict=True):
                intake = intake_of(known.get(name), sighting, clock.now(), revive=True)
                count += intake in (Intake.TAKE, Intake.IN_LINE)
    return count


async def _strangers(folder: DropFolder, piece: Piece, books: LedgerReader) -> Sequence[Sighting]:
    """All but those that are as they were when they were uploaded, by an id that is good still."""
    if not piece.marks.by_name:
        return piece.sightings
    compared = await books.compare(folder.name, piece.directory, piece.marks, whole=piece.whole)
    return piece.named(compared.strangers)

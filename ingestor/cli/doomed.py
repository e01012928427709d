"""Which ids `ingestor purge` means by what was named: those that are good, present and former ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ingestor.cli.asking import Asking
    from ingestor.ledger import LedgerReader
    from ingestor.model import ContentId, FileId, FormerId, LedgerEntry
    from ingestor.settings import Settings

Place = tuple[str, str]
PAGE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """An id that is meant, and the paths that brought it here."""

    file_id: FileId
    content_id: ContentId
    places: Sequence[Place]
    present: LedgerEntry | None = None
    """A path that goes by it."""
    former: FormerId | None = None
    """The same of one that its paths had before. One of the two is there."""
    held_by: Sequence[Place] = ()
    """Paths that go by it, and were not meant."""


@dataclass(slots=True, kw_only=True)
class Meant:
    """What was named."""

    live: dict[Place, LedgerEntry] = field(default_factory=dict)
    """The paths whose present ids are meant."""
    former: dict[FileId, FormerId] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    """All paths that are meant, with or without a present id."""
    followed: list[FormerId] = field(default_factory=list)
    """Ids that were named themselves, and whose successors were not."""
    problems: list[str] = field(default_factory=list)

    def add(self, former: Iterable[FormerId]) -> None:
        for one in former:
            before = self.former.get(one.file_id)
            places = one.places if before is None else tuple(dict.fromkeys((*before.places, *one.places)))
            self.former[one.file_id] = replace(one, places=places)

    async def ids(self, reader: LedgerReader) -> list[Doomed]:
        """Each id once, the present ones first, with the paths that hold it."""
        by_id: dict[FileId, list[LedgerEntry]] = {}
        for entry in self.live.values():
            assert entry.file_id is not None
            by_id.setdefault(entry.file_id, []).append(entry)
        found = {}
        for file_id, entries in by_id.items():
            assert entries[0].content_id is not None
            found[file_id] = Doomed(
                file_id=file_id,
                content_id=entries[0].content_id,
                places=[(entry.folder, entry.path) for entry in entries],
                present=entries[0],
            )
        for one in self.former.values():
            if one.file_id not in found:
                found[one.file_id] = Doomed(
                    file_id=one.file_id, content_id=one.content_id, places=one.places, former=one
                )
        return [await self._held(reader, doomed) for doomed in found.values()]

    async def _held(self, reader: LedgerReader, doomed: Doomed) -> Doomed:
        if doomed.former is not None and not doomed.former.is_newest:
            return doomed
        ours = {*doomed.places, *self.places}
        holders = await reader.holders_of(doomed.content_id)
        return replace(doomed, held_by=[place for place in holders if place not in ours])


async def named(settings: Settings, asked: Asking, wanted: Sequence[str]) -> Meant:
    """What these paths and file ids mean: a path all its ids, an id itself alone. Raises `UsageError`."""
    meant = Meant()
    for one in wanted:
        await _add_named(settings, asked, one, meant)
    gone = {entry.file_id for entry in meant.live.values()}
    meant.followed = [
        one
        for file_id, one in meant.former.items()
        if file_id in wanted and one.followed_by is not None and one.followed_by not in gone
    ]
    return meant


async def _add_named(settings: Settings, asked: Asking, wanted: str, meant: Meant) -> None:
    from ingestor.cli.naming import entries_named, places_of
    from ingestor.runtime.upkeep import has_live_id

    now, ledger = asked.clock.now(), asked.ledger
    found = await ledger.find(wanted, await places_of(settings, ledger, wanted))
    if not found:
        before = [(entry.folder, entry.path) for entry in await entries_named(settings, ledger, wanted)]
        former = [one for one in await ledger.former_ids(before) if one.file_id == wanted]
        if not former:
            why = f"{'/'.join(before[0])} had this id before, and it has ended: there is nothing to purge"
            meant.problems.append(f"{wanted}: {why}")
        meant.add(former)
        return
    by_id = [entry for entry in found if entry.file_id == wanted]
    entries = {(entry.folder, entry.path): entry for entry in by_id or found}
    live = {place: entry for place, entry in entries.items() if has_live_id(entry, now)}
    former = [] if by_id else list(await ledger.former_ids(list(entries)))
    if not live and not former:
        place, entry = next(iter(entries.items()))
        meant.problems.append(f"{wanted}: {'/'.join(place)} is {entry.state}: there is no live id to purge")
    meant.live |= live
    meant.places.update(entries)
    meant.add(former)


async def every_one(asked: Asking, reader: LedgerReader, folder: str | None, before: datetime | None) -> Meant:
    """All that is good, of a folder where one is given; only what was uploaded before then."""
    from ingestor.runtime.upkeep import every

    live = {(entry.folder, entry.path): entry async for entry in every(asked.ledger, folder=folder, has_live_id=True)}
    meant = Meant(places=set(live))
    suspects: dict[Place, None] = {}
    after = 0
    while page := await reader.given_ids(folder, after, PAGE):
        for _, place, file_id in page:
            if place not in live or live[place].file_id != file_id:
                suspects[place] = None
        after = page[-1][0]
    places = list(suspects)
    for start in range(0, len(places), PAGE):
        meant.add(await asked.ledger.former_ids(places[start : start + PAGE]))
    meant.live = live
    if before is not None:
        meant.live = {place: one for place, one in live.items() if one.created_at and one.created_at < before}
        meant.former = {file_id: one for file_id, one in meant.former.items() if one.created_at < before}
    return meant

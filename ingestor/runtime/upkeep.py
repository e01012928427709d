"""Ids after their upload: fresh URLs, checks, renewals, purges, and quarantined images put back in line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ingestor.errors import FileGone, IngestorError, SourceNotReady
from ingestor.model import FormerId, LedgerEntry, RemoteFile, SourceFile
from ingestor.policy.expiry import is_live
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.ports import Clock, FilesApi, Ledger, Manifest
from ingestor.stages.after import DELETED, restore

T = TypeVar("T")
R = TypeVar("R")

PAGE = 500
AT_ONCE = 8
"""Questions in flight at once."""

ENDED_SECONDS = 5.0
"""An id that is gone so shortly before its end has ended: two clocks agree no better."""

GONE_AT_API = "gone at the API"


async def every(
    ledger: Ledger,
    states: Sequence[str] = (),
    *,
    folder: str | None = None,
    expires_before: datetime | None = None,
    has_live_id: bool = False,
) -> AsyncIterator[LedgerEntry]:
    """All entries in these states, or with an id that is good now, page by page."""
    after: tuple[str, str] | None = None
    while entries := await ledger.entries(
        states=states,
        folder=folder,
        expires_before=expires_before,
        has_live_id=has_live_id,
        limit=PAGE,
        after=after,
    ):
        for entry in entries:
            yield entry
        after = (entries[-1].folder, entries[-1].path)


def has_live_id(entry: LedgerEntry, now: datetime) -> bool:
    """Whether the id of a path is good, wherever the path itself stands: in line for a successor, or out of it."""
    return entry.file_id is not None and entry.upload_state in HAS_LIVE_ID and is_live(entry.expires_at, now)


async def distinct_ids(entries: AsyncIterator[LedgerEntry]) -> list[LedgerEntry]:
    """One entry for each file id: several paths may share one."""
    by_id: dict[str, LedgerEntry] = {}
    async for entry in entries:
        if entry.file_id is not None:
            by_id.setdefault(entry.file_id, entry)
    return list(by_id.values())


# -- verify and purge ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the API says of one id."""

    entry: LedgerEntry
    is_there: bool
    has_expired: bool = False
    """It is gone because its time is over."""
    is_marked: bool = True
    """False: the ledger goes by something else by now, such as the id's successor."""


class Verifier:
    """Asks the API about ids, and marks what is gone."""

    def __init__(self, *, api: FilesApi, ledger: Ledger, manifest: Manifest, clock: Clock) -> None:
        self._clock = clock
        self._api = api
        self._ledger = ledger
        self._manifest = manifest

    async def verify(self, entries: Sequence[LedgerEntry]) -> list[Checked]:
        """In the order given. An id that has ended by itself is marked so: its image is wanted as before."""
        try:
            await self._ledger.confirm_time()
            return await _at_once(entries, self._check)
        finally:
            while await self._ledger.expire():
                pass
            await self._manifest.flush()

    async def _check(self, entry: LedgerEntry) -> Checked:
        assert entry.file_id is not None
        assert entry.content_id is not None
        if entry.expires_at is not None and entry.expires_at <= self._clock.now():
            return Checked(entry=entry, is_there=False, has_expired=True)
        try:
            await self._api.fetch(entry.file_id)
        except FileGone:
            until = self._clock.now() + timedelta(seconds=ENDED_SECONDS)
            if entry.expires_at is not None and entry.expires_at <= until:
                return Checked(entry=entry, is_there=False, has_expired=True)
            await self._ledger.purge(entry.content_id, entry.file_id, GONE_AT_API)
            return Checked(entry=entry, is_there=False)
        return Checked(entry=entry, is_there=True)

    async def purge(self, entries: Sequence[LedgerEntry], why: str) -> list[Checked]:
        """Delete at the API, mark, and take out of the line. `is_there` is False for all that are gone now."""

        async def delete(entry: LedgerEntry) -> Checked:
            assert entry.file_id is not None
            assert entry.content_id is not None
            await self._api.delete(entry.file_id)
            is_marked = await self._ledger.purge(entry.content_id, entry.file_id, why, withdraw=True)
            return Checked(entry=entry, is_there=False, is_marked=is_marked)

        try:
            return await _at_once(entries, delete)
        finally:
            await self._manifest.flush()

    async def purge_former(self, ids: Sequence[FormerId], why: str) -> None:
        """Delete at the API and mark ids that paths had before; one that nobody has marked yet may be gone there."""

        async def delete(one: FormerId) -> None:
            await self._api.delete(one.file_id)
            await self._ledger.purge_former(one, why)

        try:
            await _at_once(ids, delete)
        finally:
            await self._manifest.flush()


async def _at_once(items: Sequence[T], ask: Callable[[T], Awaitable[R]]) -> list[R]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with places:
            return await ask(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- urls ------------------------------------------------------------------------------------------

URL_SECONDS = 45 * 60.0
"""A signed URL lives about an hour (CONTRACT.md, File object): handed out again for less, so that it is of use."""


MOST_KEPT = 10_000
"""URLs that are kept; the oldest goes first."""


class Urls:
    """Fresh signed URLs, in memory only: one GET for many askers."""

    def __init__(self, *, api: FilesApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._minted: dict[str, tuple[float, asyncio.Task[RemoteFile]]] = {}

    async def of(self, entry: LedgerEntry) -> RemoteFile:
        """The file object of an entry's id. Raises `FileGone` and what else `FilesApi.fetch` raises."""
        assert entry.file_id is not None
        now = self._clock.monotonic()
        minted = self._minted.get(entry.file_id)
        if minted is None or now - minted[0] > URL_SECONDS or _failed(minted[1]):
            minted = (now, asyncio.create_task(self._api.fetch(entry.file_id)))
            self._minted.pop(entry.file_id, None)
            self._minted[entry.file_id] = minted
            if len(self._minted) > MOST_KEPT:
                del self._minted[next(iter(self._minted))]
        return await asyncio.shield(minted[1])


def _failed(task: asyncio.Task[RemoteFile]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


# -- retry and renew -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """A quarantined path that is back in line, or why it is not."""

    entry: LedgerEntry
    error: str | None = None


NOT_WATCHED = (
    "the folder {folder} is not one of the running `ingestor watch`; add it to its settings, or stop it, and say this "
    "again"
)


async def put_back(ledger: Ledger, entry: LedgerEntry, served: Collection[str] | None = None) -> PutBack:
    """A quarantined image in line again; a file that was moved away comes back first.

    `served`: the folders of the daemon that is to take it; None: nobody is at work, or all folders are served.
    """
    if served is not None and entry.folder not in served:
        return PutBack(entry=entry, error=NOT_WATCHED.format(folder=entry.folder))
    source = SourceFile(folder=entry.folder, root=entry.root, path=entry.path, identity=entry.identity)
    if entry.put_away is not None and entry.put_away != DELETED:
        try:
            await restore(Path(entry.put_away), source)
        except (SourceNotReady, IngestorError) as error:
            return PutBack(entry=entry, error=str(error))
    await ledger.put_back(entry.folder, entry.path)
    return PutBack(entry=entry)


async def want_renewals(
    ledger: Ledger, entries: Sequence[LedgerEntry], batch: str | None, folders: Sequence[str] | None = None
) -> tuple[list[LedgerEntry], list[LedgerEntry]]:
    """Those whose content is in line for the next generation now, and those that have no source to renew from.

    `folders`: where a source may be, for somebody to take it from the line; None: anywhere.
    """
    wanted: list[LedgerEntry] = []
    impossible: list[LedgerEntry] = []
    for entry in entries:
        assert entry.content_id is not None
        (wanted if await ledger.want_renewal(entry.content_id, batch, folders) else impossible).append(entry)
    return wanted, impossible


def expires_within(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)

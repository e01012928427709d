"""The ledger in the flow's words, over whichever database `_read` and `_write` reach."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from ingestor.disk import printable
from ingestor.ledger import comparing, flow, former, line, reads, unserved, upkeep
from ingestor.ledger.sql_outbox import SqlOutbox
from ingestor.model import (
    Comparison,
    Content,
    ContentId,
    Counts,
    FileId,
    FormerId,
    HistoryEntry,
    Intent,
    Known,
    Lane,
    LedgerEntry,
    Marks,
    Payload,
    QueuedSource,
    Receipt,
    Sighting,
    SourceFile,
    Standing,
    State,
)
from ingestor.policy.expiry import REPLAY_WINDOW
from ingestor.ports import Clock

KEPT_AT_LEAST = 2 * REPLAY_WINDOW
"""What is younger is never forgotten: the API may replay it, and its generation decides the next key."""
_SLICE = 2000
"""Rows of one change of upkeep: nobody waits long behind it."""

P = ParamSpec("P")
T = TypeVar("T")


async def _taken_as_it_is() -> None:
    """Nobody holds the clock against another one."""


def _as_text(message: str) -> str:
    """Words about a file, with its name or what stands in it, as text that every database takes."""
    return printable(message).replace("\0", "\\x00")


class SqlLedger(SqlOutbox):
    """Implements `ports.Ledger`. Every method that changes something is durable when it returns.

    All raise `DiskFault` when the disk is full, broken or read-only, and `LedgerUnreadable` when the ledger is corrupt.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.confirm_time = _taken_as_it_is

    @abstractmethod
    async def _read(
        self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    @abstractmethod
    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    # -- discovery

    async def known(self, folder: str, directory: str, names: Sequence[str] | None = None) -> Mapping[str, Known]:
        return await self._read(comparing.known, folder, directory, names)

    async def compare(
        self, folder: str, directory: str, marks: Marks, *, whole: bool, ended: bool = False
    ) -> Comparison:
        return await self._read(
            comparing.compare, folder, directory, marks, self._clock.now(), whole=whole, ended=ended
        )

    async def take(self, sightings: Sequence[Sighting], lane: Lane, batch: str | None) -> None:
        await self._write(line.take, sightings, lane, batch, self._clock.now())

    async def vanish(self, folder: str, path: str, message: str) -> None:
        await self._write(line.vanish, folder, path, _as_text(message), self._clock.now())

    async def directories(self, folder: str) -> Sequence[str]:
        return await self._read(comparing.directories, folder)

    async def miss(self, folder: str, directory: str, names: Sequence[str] | None, message: str) -> int:
        return await self._write(line.miss, folder, directory, names, _as_text(message), self._clock.now())

    async def due(
        self, lane: Lane, limit: int, batch: str | None = None, folders: Sequence[str] | None = None
    ) -> Sequence[QueuedSource]:
        return await self._read(reads.due, lane, self._clock.now(), limit, batch, folders)

    async def in_line(self, folder: str, path: str) -> QueuedSource | None:
        return await self._read(reads.in_line, folder, path)

    async def next_ready_at(self, batch: str | None = None, folders: Sequence[str] | None = None) -> datetime | None:
        return await self._read(reads.next_ready_at, batch, folders)

    async def count_waiting(self, batch: str | None = None, folders: Sequence[str] | None = None) -> int:
        return await self._read(reads.count_waiting, batch, folders)

    async def move_root(self, folder: str, root: Path) -> int:
        return await self._write(line.move_root, folder, str(root))

    async def shift_line(self, seconds: float) -> None:
        await self._write(line.shift_line, timedelta(seconds=seconds))

    async def leave_batch(self, source: SourceFile) -> None:
        await self._write(line.leave_batch, source, self._clock.now())

    # -- the flow

    async def enter(self, source: SourceFile, context: str, content: Content) -> Standing:
        await self.confirm_time()
        return await self._write(flow.enter, source, context, content, self._clock.now())

    async def intend(self, content_id: ContentId, profile: str, *, fresh: bool = False) -> Intent:
        return await self._write(flow.intend, content_id, profile, self._clock.now(), fresh=fresh)

    async def complete(self, source: SourceFile, intent: Intent, payload: Payload, receipt: Receipt) -> bool:
        return await self._write(flow.complete, source, intent, payload, receipt, self._clock.now())

    async def list_source(self, source: SourceFile, content_id: ContentId) -> None:
        await self._write(flow.list_source, source, content_id, self._clock.now())

    async def finish(self, source: SourceFile, put_away: str | None) -> None:
        await self._write(flow.finish, source, put_away, self._clock.now())

    async def quarantine(
        self,
        source: SourceFile,
        content_id: ContentId | None,
        reason: str,
        message: str,
        request_id: str | None,
    ) -> bool:
        told = _as_text(message)
        return await self._write(flow.quarantine, source, content_id, reason, told, request_id, self._clock.now())

    async def note_put_away(self, source: SourceFile, put_away: str) -> None:
        await self._write(flow.note_put_away, source, put_away, self._clock.now())

    async def postpone(
        self,
        source: SourceFile,
        *,
        event: str,
        reason: str,
        message: str,
        request_id: str | None,
        attempt: int,
        delay_seconds: float,
    ) -> None:
        now = self._clock.now()
        ready_at = now + timedelta(seconds=delay_seconds)
        await self._write(line.postpone, source, event, reason, _as_text(message), request_id, attempt, ready_at, now)

    # -- the manifest

    async def lines_after(self, seq: int, limit: int) -> Sequence[HistoryEntry]:
        return await self._read(reads.lines_after, seq, limit)

    async def line_numbers(self, seq: int, limit: int) -> Sequence[int]:
        return await self._read(reads.line_numbers, seq, limit)

    async def unlist_superseded(self, up_to_seq: int) -> int:
        unlisted, after = 0, 0
        while after < up_to_seq and (end := await self._read(upkeep.slice_end, after, _SLICE)) is not None:
            end = min(end, up_to_seq)
            unlisted += await self._write(upkeep.unlist_superseded, after, end, up_to_seq)
            after = end
        return unlisted

    async def start_numbering_after(self, seq: int) -> None:
        await self._write(upkeep.start_numbering_after, seq, self._clock.now())

    # -- time and operators

    async def expire(self, limit: int = 200) -> int:
        await self.confirm_time()
        return await self._write(upkeep.expire, self._clock.now(), limit)

    async def prune(self, before: datetime) -> int:
        before = min(before, self._clock.now() - KEPT_AT_LEAST)
        forgotten, after_seq, after_content = 0, 0, ""
        while places := await self._read(upkeep.long_gone, before, _SLICE):
            forgotten += await self._write(upkeep.forget_gone, places, before)
        while (end := await self._read(upkeep.slice_end, after_seq, _SLICE, before)) is not None:
            await self._write(upkeep.forget_history, before, after_seq, end)
            after_seq = end
        while contents := await self._read(upkeep.orphans, after_content, before, _SLICE):
            await self._write(upkeep.forget_uploads, contents, before)
            after_content = contents[-1]
        return forgotten

    async def next_expiry_at(self) -> datetime | None:
        return await self._read(reads.next_expiry_at)

    async def live_id(self) -> FileId | None:
        return await self._read(reads.live_id)

    async def purge(self, content_id: ContentId, file_id: str, why: str, *, withdraw: bool = False) -> bool:
        return await self._write(upkeep.purge, content_id, file_id, why, self._clock.now(), withdraw=withdraw)

    async def put_back(self, folder: str, path: str) -> str | None:
        return await self._write(line.put_back, folder, path, self._clock.now())

    async def want_renewal(
        self, content_id: ContentId, batch: str | None, folders: Sequence[str] | None = None
    ) -> bool:
        return await self._write(line.want_renewal, content_id, batch, folders, self._clock.now())

    async def withdraw_unserved(self, folders: Sequence[str]) -> int:
        withdrawn = 0
        while number := await self._write(unserved.withdraw_unserved, folders, self._clock.now(), _SLICE):
            withdrawn += number
        return withdrawn

    async def renewable(
        self, folders: Sequence[str], before: datetime, *, ended: bool = False, served: Sequence[str] | None = None
    ) -> Sequence[tuple[ContentId, datetime]]:
        return await self._read(reads.renewable, folders, before, ended=ended, served=served)

    async def sizes_in_line(self, among: Set[int]) -> Set[int]:
        return await self._read(reads.sizes_in_line, among)

    async def forsaken(self, folders: Sequence[str]) -> Sequence[tuple[ContentId, FileId]]:
        return await self._read(reads.forsaken, folders)

    async def vanished(self, folders: Sequence[str], after_seq: int) -> tuple[Sequence[tuple[str, str]], int]:
        places: list[tuple[str, str]] = []
        since = self._clock.now() - KEPT_AT_LEAST
        while (end := await self._read(upkeep.slice_end, after_seq, _SLICE)) is not None:
            places += await self._read(former.vanished, folders, since, after_seq, end)
            after_seq = end
        return places, after_seq

    async def counts(self, within: timedelta) -> Counts:
        return await self._read(reads.counts, self._clock.now(), within)

    async def entries(
        self,
        *,
        states: Sequence[str] = (),
        folder: str | None = None,
        batch: str | None = None,
        expires_before: datetime | None = None,
        has_live_id: bool = False,
        limit: int | None = None,
        after: tuple[str, str] | None = None,
    ) -> Sequence[LedgerEntry]:
        return await self._read(
            reads.entries,
            states=states,
            folder=folder,
            batch=batch,
            expires_before=expires_before,
            live_at=self._clock.now() if has_live_id else None,
            limit=limit,
            after=after,
        )

    async def find(self, wanted: str, places: Sequence[tuple[str, str]]) -> Sequence[LedgerEntry]:
        return await self._read(reads.find, wanted, places)

    async def find_former(self, file_id: str) -> Sequence[tuple[str, str]]:
        return await self._read(reads.find_former, file_id)

    async def former_ids(self, places: Sequence[tuple[str, str]]) -> Sequence[FormerId]:
        return await self._read(former.former_ids, places, self._clock.now())

    async def purge_former(self, one: FormerId, why: str) -> None:
        await self._write(former.purge_former, one.file_id, one.content_id, one.places, why, self._clock.now())

    async def entries_of(self, content_id: ContentId) -> Sequence[LedgerEntry]:
        return await self._read(reads.entries_of, content_id)

    async def story(self, folder: str, path: str) -> Sequence[HistoryEntry]:
        return await self._read(reads.story, folder, path)

    async def content_states(self, digests: Sequence[str]) -> Mapping[ContentId, State]:
        return await self._read(reads.content_states, digests)

    async def set_fact(self, name: str, value: Any) -> None:
        await self._write(upkeep.set_fact, name, value, self._clock.now())

    async def fact(self, name: str) -> Any:
        return await self._read(reads.fact, name)

    async def facts(self) -> Mapping[str, Any]:
        return await self._read(reads.all_facts)

"""The ledger for whoever only looks: nothing in it is made or changed.

A daemon, also one of another version, may work on it meanwhile.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ingestor.errors import LedgerError
from ingestor.ledger import former, overview
from ingestor.ledger.migrate import check_readable, revision_of
from ingestor.ledger.overview import Quarantine, Stand
from ingestor.ledger.sql import KEPT_AT_LEAST, P, SqlLedger, T
from ingestor.model import ContentId, FileId, HistoryEntry, Json, LedgerEntry
from ingestor.ports import Clock


class LedgerReader(SqlLedger):
    """The questions of `SqlLedger` and those of operators; what would change something raises `LedgerError`."""

    def __init__(self, name: str, clock: Clock, engine: Engine) -> None:
        super().__init__(clock)
        self.name = name
        self._engine = engine
        # One question after another: a thread that nobody waits for any more is still at its question.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-look")

    async def open(self) -> None:
        """Raises `LedgerUnreadable` where there is none, or one that this program cannot read; or `DiskFault`."""
        await self._read(lambda connection: check_readable(connection, self.name))

    async def machines(self) -> Mapping[str, Json] | None:
        """Who works with a ledger that machines share; None: it is one machine's own."""
        return None

    async def exists(self) -> bool:
        """Whether there is a ledger, readable or not. Raises `DiskFault` where that cannot be told."""
        return await self._read(revision_of) is not None

    async def close(self) -> None:
        """A question that is under way ends with it; nobody waits for its answer any more."""
        self._interrupt()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    @abstractmethod
    def _interrupt(self) -> None:
        """End the question that is under way."""

    @abstractmethod
    def _translated(self, error: DBAPIError) -> Exception:
        """What the database's error stands for."""

    async def _read(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._ask, lambda connection: question(connection, *args, **kwargs)
        )

    def _ask(self, run: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return run(connection)
        except DBAPIError as error:
            raise self._translated(error) from error

    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        raise LedgerError(f"{self.name}: a fault of ingestor: this ledger was opened for reading only")

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What the database finds wrong with itself; empty: nothing."""

    # -- operators' questions

    async def stands(self) -> Sequence[Stand]:
        """How many paths stand where, by folder, as of now."""
        return await self._read(overview.stands, self._clock.now())

    async def quarantines(self) -> Sequence[Quarantine]:
        """How many paths are quarantined, by folder and reason, the most first."""
        return await self._read(overview.quarantines)

    async def live_ids(self) -> int:
        """How many different ids are good now."""
        return await self._read(overview.live_ids, self._clock.now())

    async def count_live(self, folder: str) -> int:
        """How many paths of a folder go by an id that is good, wherever their files are by now."""
        return await self._read(overview.count_live, folder, self._clock.now())

    async def kept_alive(self, folders: Sequence[str]) -> int:
        """How many different ids are good now, and have a source in one of the folders."""
        return await self._read(overview.kept_alive, folders, self._clock.now())

    async def present_lines(
        self, *, up_to_seq: int, after_seq: int, folder: str | None, limit: int
    ) -> Sequence[HistoryEntry]:
        """The last manifest line of each path up to a number, in order, page by page."""
        return await self._read(
            overview.present_lines, up_to_seq=up_to_seq, after_seq=after_seq, folder=folder, limit=limit
        )

    async def last_seq(self) -> int:
        return await self._read(overview.last_seq)

    async def folder_names(self) -> Sequence[str]:
        """Every folder that has a path here."""
        return await self._read(overview.folder_names)

    async def find_put_away(self, places: Sequence[str]) -> Sequence[LedgerEntry]:
        """The paths whose files were put away to one of these places."""
        return await self._read(overview.find_put_away, places)

    async def paths_of(self, content_id: ContentId, limit: int) -> Sequence[tuple[str, str]]:
        """Each (folder, path) with this content, in path order."""
        return await self._read(overview.paths_of, content_id, limit)

    async def holders_of(self, content_id: ContentId) -> Sequence[tuple[str, str]]:
        """Each (folder, path) that goes by this content's id, in path order."""
        return await self._read(overview.holders_of, content_id)

    async def given_ids(
        self, folder: str | None, after_seq: int, limit: int
    ) -> Sequence[tuple[int, tuple[str, str], FileId]]:
        """The ids that paths were given lately enough to be good still, in order, page by page: (seq, place, id)."""
        return await self._read(former.given_ids, folder, self._clock.now() - KEPT_AT_LEAST, after_seq, limit)

    async def source_sizes(self, among: Sequence[int]) -> frozenset[int]:
        """Those of the sizes `among`, which are in order, that a file has whose content is known."""
        return await self._read(overview.source_sizes, among)

    async def content_of(self, folder: str, path: str) -> ContentId | None:
        """What was last found under a path."""
        return await self._read(overview.content_of, folder, path)

    async def standing_of(self, content_ids: Sequence[ContentId]) -> Mapping[ContentId, overview.Held]:
        """Where these contents stand; those that are not known are left out."""
        return await self._read(overview.standing_of, content_ids)

"""The ledger for whoever only looks: nothing in it, and no file beside it, is made or changed.

A daemon, also one of another version, may work on it meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ingestor.errors import LedgerError, LedgerUnreadable
from ingestor.ledger import overview
from ingestor.ledger.faults import translated
from ingestor.ledger.migrate import revision_of
from ingestor.ledger.overview import Quarantine, Stand
from ingestor.ledger.schema import REVISION
from ingestor.ledger.sql import P, SqlLedger, T
from ingestor.model import ContentId, HistoryEntry, LedgerEntry
from ingestor.ports import Clock

_BUSY_SECONDS = 30.0


class LedgerReader(SqlLedger):
    """The questions of `SqlLedger` and those of operators; what would change something raises `LedgerError`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(clock)
        self.path = path
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=StaticPool)
        event.listen(self._engine, "begin", _begin)
        self._connection: sqlite3.Connection | None = None
        # One question after another: a thread that nobody waits for any more is still at its question.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-look")

    async def open(self) -> None:
        """Raises `LedgerUnreadable` where there is none, or one that this program cannot read; or `DiskFault`."""
        if not self.path.exists():
            raise LedgerUnreadable(
                f"{self.path}: there is no ledger yet; `ingestor watch` or `ingestor backfill` makes it"
            )
        revision = await self._read(revision_of)
        if revision is None:
            raise LedgerUnreadable(f"{self.path}: this is no ledger; name another file in the setting `ledger`")
        if revision != REVISION:
            raise LedgerUnreadable(
                f"{self.path}: this ledger has schema {revision}, this program reads {REVISION}; an older one is "
                "brought up to date by `ingestor watch` or `ingestor backfill`, a newer one needs a newer ingestor"
            )

    async def close(self) -> None:
        """A question that is under way ends with it; nobody waits for its answer any more."""
        if self._connection is not None:
            self._connection.interrupt()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    def _connect(self) -> sqlite3.Connection:
        # Read and write, for that alone tidies up what SQLite puts beside a file in WAL mode; but never a change.
        address = f"file:{quote(os.fsencode(self.path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=_BUSY_SECONDS)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        self._connection = connection
        return connection

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
            raise translated(self.path, error) from error

    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        raise LedgerError(f"{self.path}: a fault of ingestor: this ledger was opened for reading only")

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

    async def source_sizes(self, among: Sequence[int]) -> frozenset[int]:
        """Those of the sizes `among`, which are in order, that a file has whose content is known."""
        return await self._read(overview.source_sizes, among)

    async def content_of(self, folder: str, path: str) -> ContentId | None:
        """What was last found under a path."""
        return await self._read(overview.content_of, folder, path)

    async def standing_of(self, content_ids: Sequence[ContentId]) -> Mapping[ContentId, overview.Held]:
        """Where these contents stand; those that are not known are left out."""
        return await self._read(overview.standing_of, content_ids)

    async def check(self) -> Sequence[str]:
        """What SQLite finds wrong with the file; empty: nothing."""
        return await self._read(overview.check)


def _begin(connection: Connection) -> Any:
    connection.exec_driver_sql("BEGIN")

"""The manifest file, made from the ledger and from nothing else, so that whoever finds it behind completes it.

Appending is guarded by a lock on the file: an operator's command and the daemon may both do it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ingestor.disk import disk_fault
from ingestor.model import HistoryEntry
from ingestor.ports import Ledger
from ingestor.stages.manifest.compacting import kept_lines, write_kept
from ingestor.stages.manifest.file import append, cut, in_thread, last_number, opened, set_aside
from ingestor.stages.manifest.lines import encode, manifest_line
from ingestor.stages.manifest.repair import Condition, rebuild, survey

T = TypeVar("T")

_GROUP = 500
"""Lines that are written at once."""
_MANY = 4
_LINGER_SECONDS = 0.006
"""After a flush of many lines: others come by then, and share the next one."""


class Manifest:
    """See `ports.Manifest`."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.path = path
        self._ledger = ledger
        self._alone = asyncio.Lock()
        self._begun = self._done = 0
        """The numbers of the last flush that has begun, and of the last that went well."""
        self._end: tuple[int, int, int] | None = None
        """Inode, size and last number of the file as we left it."""
        self._appended = 0
        """Lines by the last flush."""
        self._waiting = 0
        """Who has come and not gone."""

    async def open(self) -> None:
        """Complete the file, or make it anew where it is not what the ledger tells. Raises `DiskFault`."""
        await self._guarded(self._open)

    async def flush(self) -> None:
        """Every line that the ledger has is in the file, and on disk. Raises `DiskFault`.

        Those who come while a flush runs find their lines written by the next one, which is one for all of them.
        """
        came_after = self._begun
        self._waiting += 1
        try:
            await self._guarded(lambda: self._flush(came_after))
        finally:
            self._waiting -= 1

    async def _flush(self, came_after: int) -> None:
        if self._done > came_after:
            return
        if self._waiting > 1 and self._appended >= _MANY:
            await asyncio.sleep(_LINGER_SECONDS)
        self._begun = number = self._begun + 1
        self._appended = 0
        await self._append_missing()
        self._done = number

    async def compact(self) -> int:
        """Keep only the last line for each path; how many lines went. Raises `DiskFault`, and then nothing has."""
        return await self._guarded(self._compact)

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._alone:
            try:
                return await work()
            except OSError as error:
                raise disk_fault(self.path, error) from error

    # -- appending

    async def _append_missing(self) -> None:
        last = self._known_last()
        entries = () if last is None else await self._ledger.lines_after(last, _GROUP)
        if last is not None and not entries:
            return
        async with opened(self.path) as file:
            # Under the lock nobody else writes: what is as we left it need not be read.
            present = last if self._is_as_left(os.fstat(file)) else await in_thread(file, last_number)
            if present is None:
                await self._repair(file)
            elif present == last:
                await self._append(file, entries, last)
            else:
                await self._append(file, await self._ledger.lines_after(present, _GROUP), present)

    async def _append(self, file: int, entries: Sequence[HistoryEntry], last: int) -> None:
        """`entries`, and all that the ledger has after them."""
        while entries:
            await in_thread(file, append, b"".join(encode(manifest_line(entry)) for entry in entries))
            self._appended += len(entries)
            last = entries[-1].seq
            entries = await self._ledger.lines_after(last, _GROUP) if len(entries) == _GROUP else ()
        status = os.fstat(file)
        self._end = (status.st_ino, status.st_size, last)

    def _known_last(self) -> int | None:
        """The number of the last line, where the file is as we left it."""
        try:
            return self._end[2] if self._end is not None and self._is_as_left(os.stat(self.path)) else None
        except FileNotFoundError:
            return None

    def _is_as_left(self, status: os.stat_result) -> bool:
        return self._end is not None and self._end[:2] == (status.st_ino, status.st_size)

    # -- repair

    async def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        async with opened(self.path) as file:
            await self._repair(file)

    async def _repair(self, file: int) -> None:
        found = await survey(file, self._ledger)
        if found.condition is Condition.WHOLE:
            await in_thread(file, cut, found.end)
            # The manifest may have outlived its ledger: it keeps its lines, and numbers go on above them.
            await self._ledger.start_numbering_after(found.last)
            await self._append(file, await self._ledger.lines_after(found.last, _GROUP), found.last)
            return
        if found.condition is Condition.FOREIGN:
            set_aside(self.path)
            await rebuild(self.path, None, self._ledger)
        else:
            await self._ledger.start_numbering_after(found.last)
            await rebuild(self.path, file, self._ledger)
        async with opened(self.path) as anew:
            last = await in_thread(anew, last_number) or 0
            await self._append(anew, await self._ledger.lines_after(last, _GROUP), last)

    # -- compaction

    async def _compact(self) -> int:
        async with opened(self.path) as file:
            last = await in_thread(file, last_number)
            if last is None:
                await self._repair(file)
                return 0
            await self._append(file, await self._ledger.lines_after(last, _GROUP), last)
            # First the ledger: a file that has more than the ledger lists is whole, one that has less is not.
            await self._ledger.unlist_superseded(self._end[2] if self._end else last)
            kept = await in_thread(file, kept_lines)
            dropped = kept.count(0)
            if dropped:
                await in_thread(file, write_kept, self.path, kept)
                self._end = None
        return dropped

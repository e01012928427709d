"""The manifest file: the listed part of the ledger's history, appended line by line and never torn.

The file is made from the ledger and from nothing else, so whoever finds it behind completes it. Appending is guarded
by a lock on the file: an operator's command and the daemon may both do it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiofiles

from ingestor.errors import DiskFault
from ingestor.model import HistoryEntry
from ingestor.ports import Ledger

VERSION = 1
_GROUP = 500
_HEAD = re.compile(rb'\{"v": ?\d+, ?"seq": ?(\d+),')


def manifest_line(entry: HistoryEntry) -> dict[str, Any]:
    """One line of the manifest. INTERFACE.md, Manifest."""
    return {
        "v": VERSION,
        "seq": entry.seq,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "event": entry.event,
        "folder": entry.folder,
        "path": entry.path,
        **entry.detail,
    }


def encode(line: dict[str, Any]) -> bytes:
    """UTF-8 and a newline. A path whose bytes are not UTF-8 is written with JSON's own escapes."""
    text = json.dumps(line, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line).encode() + b"\n"


class Manifest:
    """See `ports.Manifest`."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.path = path
        self._ledger = ledger
        self._alone = asyncio.Lock()
        self._waiting = 0
        self._end: tuple[int, int, int] | None = None
        """Inode, size and last number of the file as we left it."""

    async def open(self) -> None:
        """Complete the file, or make it anew where it is not what the ledger tells. Raises `DiskFault`."""
        async with self._alone:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                await self._repair()
                await self._append_missing()
            except OSError as error:
                raise _disk_fault(self.path, error) from error

    async def flush(self) -> None:
        """Every line that the ledger has is in the file, and on disk. Raises `DiskFault`.

        Those who come while a flush runs share the next one.
        """
        async with self._alone:
            try:
                await self._append_missing()
            except OSError as error:
                raise _disk_fault(self.path, error) from error

    # -- appending

    async def _append_missing(self) -> None:
        last = self._known_last()
        entries = await self._ledger.lines_after(last, _GROUP) if last is not None else ()
        if last is not None and not entries:
            return
        async with aiofiles.open(self.path, "ab", buffering=0, opener=_open_private) as file:
            with _locked(file.fileno()):
                number = file.fileno()
                last = await asyncio.to_thread(_last_number, number)
                while entries := await self._ledger.lines_after(last, _GROUP):
                    await self._append(file, number, entries)
                    last = entries[-1].seq
                status = os.fstat(number)
                self._end = (status.st_ino, status.st_size, last)

    async def _append(self, file: Any, number: int, entries: Sequence[HistoryEntry]) -> None:
        data = b"".join(encode(manifest_line(entry)) for entry in entries)
        before = os.fstat(number).st_size
        try:
            written = await file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            await asyncio.to_thread(os.fdatasync, number)
        except OSError:
            # A full disk takes a part of a line: nobody may ever read that part.
            os.ftruncate(number, before)
            raise

    def _known_last(self) -> int | None:
        """The number of the last line, where the file is as we left it."""
        if self._end is None:
            return None
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        inode, size, last = self._end
        return last if (status.st_ino, status.st_size) == (inode, size) else None

    # -- repair

    async def _repair(self) -> None:
        """Cut a torn end off; make the file anew where its lines are not those of the ledger."""
        if not self.path.exists():
            return
        numbers, whole_bytes, in_order = await asyncio.to_thread(_survey, self.path)
        last = numbers[1]
        held = await self._ledger.count_lines(last)
        if in_order and (held == numbers[0] or held == 0):
            with self.path.open("r+b") as file, _locked(file.fileno()):
                if os.fstat(file.fileno()).st_size > whole_bytes:
                    file.truncate(whole_bytes)
                    os.fsync(file.fileno())
            # The manifest outlived its ledger: it keeps its lines, and numbers go on above them.
            await self._ledger.start_numbering_after(last)
            return
        await self._rebuild()

    async def _rebuild(self) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        last = 0
        async with aiofiles.open(fresh, "wb", opener=_open_private) as file:
            while entries := await self._ledger.lines_after(last, _GROUP):
                await file.write(b"".join(encode(manifest_line(entry)) for entry in entries))
                last = entries[-1].seq
            await file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        os.replace(fresh, self.path)
        _sync_directory(self.path.parent)


def _survey(path: Path) -> tuple[tuple[int, int], int, bool]:
    """How many whole lines there are and the last one's number; where the last whole line ends; all in order?"""
    count, last, end, in_order = 0, 0, 0, True
    with path.open("rb") as file:
        for line in file:
            head = _HEAD.match(line)
            if not line.endswith(b"}\n") or head is None:
                # Only the very end may be torn; anything else that is no line of ours means a damaged file.
                in_order = in_order and not line.endswith(b"\n")
                break
            number = int(head[1])
            in_order = in_order and number > last
            count, last, end = count + 1, number, end + len(line)
        in_order = in_order and not file.readline()
    return (count, last), end, in_order


def _last_number(file: int) -> int:
    """The number of the last whole line, whose torn successor is cut off."""
    size = os.fstat(file).st_size
    reach = 1 << 16
    reader = os.open(f"/proc/self/fd/{file}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            start = max(0, size - reach)
            tail = os.pread(reader, size - start, start)
            cut = tail.rfind(b"\n") + 1
            if cut:
                before = tail.rfind(b"\n", 0, cut - 1) + 1
                head = _HEAD.match(tail, before)
                if (before or start == 0) and head is not None:
                    if start + cut < size:
                        os.ftruncate(file, start + cut)
                    return int(head[1])
            if start == 0:
                os.ftruncate(file, 0)
                return 0
            reach *= 4
    finally:
        os.close(reader)


@contextmanager
def _locked(file: int) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _disk_fault(path: Path, error: OSError) -> DiskFault:
    reasons = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "disk_read_only"}
    return DiskFault(reasons.get(error.errno or 0, "disk"), f"{path}: {error.strerror or error}")

"""The manifest's file: opened under its lock, appended to whole lines at a time, and replaced as a whole."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Concatenate, ParamSpec, TypeVar

from ingestor.disk import open_below, rename_new, sync_directory
from ingestor.stages.manifest.lines import found_line

P = ParamSpec("P")
T = TypeVar("T")

_TAIL_BYTES = 1 << 16
_LOCK_SECONDS = 0.005
"""Between tries to get the lock: waiting for it in a thread could not be cancelled."""


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[int]:
    """The file that has this name now, made where there is none, ours alone among all processes. Raises `OSError`."""
    while True:
        file = _open(path)
        try:
            if await _locked(file, path):
                yield file
                return
        finally:
            os.close(file)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        file = os.open(path, flags | os.O_CREAT, 0o600)
        sync_directory(path.parent)
        return file


async def _locked(file: int, path: Path) -> bool:
    """Wait for the lock; False if the name has gone to another file meanwhile."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOCK_SECONDS)
            continue
        try:
            return os.path.samestat(os.fstat(file), os.stat(path))
        except FileNotFoundError:
            return False


async def in_thread(file: int, work: Callable[Concatenate[int, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work(file, ...)` in a thread. A caller that is cancelled goes when the thread has let go of the file."""
    running = asyncio.get_running_loop().run_in_executor(None, functools.partial(work, file, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return running.result()


def append(file: int, data: bytes) -> None:
    """All of `data`, on disk; or, with an `OSError`, nothing of it."""
    before = os.fstat(file).st_size
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fdatasync(file)
    except OSError:
        # A full disk takes a part of a line: nobody may ever read that part.
        os.ftruncate(file, before)
        raise


def last_number(file: int) -> int | None:
    """The number of the last line, 0 in an empty file, None where no line is ours. What follows it is cut off."""
    size = os.fstat(file).st_size
    reach = _TAIL_BYTES
    while True:
        start = max(0, size - reach)
        end, number = _last_line(os.pread(file, size - start, start), is_whole=start == 0)
        if number is not None:
            cut(file, start + end)
            return number
        if start == 0:
            return None if size else 0
        reach *= 4


def cut(file: int, end: int) -> None:
    """Nothing stands behind `end`, on disk."""
    if os.fstat(file).st_size > end:
        os.ftruncate(file, end)
        os.fdatasync(file)


def _last_line(tail: bytes, *, is_whole: bool) -> tuple[int, int | None]:
    """Where the last line of ours ends in `tail`, and its number."""
    end = len(tail)
    while stop := tail.rfind(b"\n", 0, end) + 1:
        begin = tail.rfind(b"\n", 0, stop - 1) + 1
        line = found_line(tail[begin:stop]) if begin or is_whole else None
        if line is not None:
            return stop, line.seq
        end = stop - 1
    return 0, None


@contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name when the block ends well, on disk and whole; else the old one stays."""
    fresh = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()  # left by a crash
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as to:
            yield to
            to.flush()
            os.fsync(file)
        os.replace(fresh, path)
    except BaseException:
        with suppress(FileNotFoundError):
            fresh.unlink()
        raise
    sync_directory(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a file that is none of ours to a free name beside it, and return that."""
    with open_below(path.parent, "") as directory:
        for number in itertools.count(1):
            name = f"{path.name}.other" if number == 1 else f"{path.name}.other{number}"
            with suppress(FileExistsError):
                rename_new(path, name, target_dir=directory)
                break
        os.fsync(directory)
    return path.with_name(name)

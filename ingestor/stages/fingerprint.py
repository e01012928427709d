"""Hash a settled file, and know that what was hashed was one whole file."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat

import aiofiles

from ingestor.errors import SourceNotReady
from ingestor.model import Digest, FileIdentity, SourceFile

CHUNK_BYTES = 1 << 20
"""Through aiofiles every piece is a hop to a thread: 64 KB pieces cost six times as much (LIMITS.md)."""

_NOT_READY = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EAGAIN: "busy",
    errno.ELOOP: "changed",
}


async def fingerprint(source: SourceFile) -> Digest:
    """sha256 of the file. Raises `SourceNotReady` when it is not there, is busy, or changes meanwhile."""
    digest = hashlib.sha256()
    try:
        async with aiofiles.open(source.absolute, "rb", buffering=0, opener=_open_regular) as file:
            _check(source, os.fstat(file.fileno()))
            while piece := await file.read(CHUNK_BYTES):
                if len(piece) == CHUNK_BYTES:
                    # A megabyte takes 0.7 ms to hash; out of the loop, which has other things to do.
                    await asyncio.to_thread(digest.update, piece)
                else:
                    digest.update(piece)
            _check(source, os.fstat(file.fileno()))
        # The name as well: the file may have been replaced by another one while this one was read.
        check_unchanged(source)
    except OSError as error:
        raise not_ready(source, error) from error
    return Digest(digest.hexdigest())


def check_unchanged(source: SourceFile) -> None:
    """Raises `SourceNotReady` unless the file under this name is still the one that was found."""
    try:
        _check(source, os.lstat(source.absolute))
    except OSError as error:
        raise not_ready(source, error) from error


def not_ready(source: SourceFile, error: OSError) -> SourceNotReady:
    """A file system error as what it means for the file: later again, never forgotten."""
    reason = _NOT_READY.get(error.errno or 0, "unreadable")
    return SourceNotReady(reason, f"{source.absolute}: {error.strerror or error}")


def _check(source: SourceFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or FileIdentity.of(status) != source.identity:
        raise SourceNotReady("changed", f"{source.absolute}: changed since it was found")


def _open_regular(path: str, flags: int) -> int:
    # O_NONBLOCK: should a FIFO have taken the file's place, opening it must not wait for a writer.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

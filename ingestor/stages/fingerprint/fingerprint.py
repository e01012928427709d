"""Hash a settled file, and know that what was hashed was one whole file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from ingestor.disk import not_ready
from ingestor.errors import SourceNotReady
from ingestor.model import Digest, FileIdentity, SourceFile
from ingestor.stages.fingerprint.hasher import Seen, look


async def fingerprint(source: SourceFile, is_stopped: Callable[[], bool] = lambda: False) -> Digest:
    """sha256 of the file. Raises `SourceNotReady` when it is not there, is busy, or changes meanwhile.

    A thread cannot be called off: it asks `is_stopped` now and then.
    """
    # One hop to a thread for all of it: each costs the loop more than opening and reading a small file does.
    try:
        seen = await asyncio.to_thread(look, os.fsencode(source.absolute), is_stopped)
    except OSError as error:
        raise not_ready(source.absolute, error) from error
    return digest_of(source, seen)


def digest_of(source: SourceFile, seen: Seen) -> Digest:
    """The digest, if what was seen is the file that was found; else `SourceNotReady`."""
    mark, digest = seen
    device, inode, size_bytes, mtime_ns, ctime_ns = mark
    found = FileIdentity(device=device, inode=inode, size_bytes=size_bytes, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
    if found != source.identity:
        raise SourceNotReady("changed", f"{source.absolute}: changed since it was found")
    return Digest(digest.hex())

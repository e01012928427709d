"""Hash a settled file, and know that what was hashed was one whole file."""

from __future__ import annotations

import asyncio
import hashlib
import os

import aiofiles

from ingestor.disk import check_identity, check_unchanged, not_ready, open_regular
from ingestor.model import Digest, SourceFile

CHUNK_BYTES = 1 << 20
"""Through aiofiles every piece is a hop to a thread: 64 KB pieces cost six times as much (LIMITS.md)."""


async def fingerprint(source: SourceFile) -> Digest:
    """sha256 of the file. Raises `SourceNotReady` when it is not there, is busy, or changes meanwhile."""
    digest = hashlib.sha256()
    try:
        async with aiofiles.open(source.absolute, "rb", buffering=0, opener=open_regular) as file:
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
            while piece := await file.read(CHUNK_BYTES):
                if len(piece) == CHUNK_BYTES:
                    # A megabyte takes 0.7 ms to hash; out of the loop, which has other things to do.
                    await asyncio.to_thread(digest.update, piece)
                else:
                    digest.update(piece)
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
        # The name as well: the file may have been replaced by another one while this one was read.
        check_unchanged(source)
    except OSError as error:
        raise not_ready(source.absolute, error) from error
    return Digest(digest.hexdigest())

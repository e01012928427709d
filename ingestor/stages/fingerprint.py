"""Hash a settled file, and know that what was hashed was one whole file."""

from __future__ import annotations

import asyncio
import hashlib
import os

from ingestor.disk import check_identity, check_unchanged, not_ready, open_regular
from ingestor.model import Digest, SourceFile


async def fingerprint(source: SourceFile) -> Digest:
    """sha256 of the file. Raises `SourceNotReady` when it is not there, is busy, or changes meanwhile."""
    # One hop to a thread for all of it: each costs the loop more than opening and reading a small file does.
    return await asyncio.to_thread(_digest, source)


def _digest(source: SourceFile) -> Digest:
    try:
        with open(source.absolute, "rb", buffering=0, opener=open_regular) as file:
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256")
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
        # The name as well: the file may have been replaced by another one while this one was read.
        check_unchanged(source)
    except OSError as error:
        raise not_ready(source.absolute, error) from error
    return Digest(digest.hexdigest())

"""Hash a settled file, and know that what was hashed was one whole file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import BinaryIO

from ingestor.disk import check_identity, check_unchanged, not_ready, open_regular
from ingestor.model import Digest, SourceFile

PIECE_BYTES = 8 * 1024 * 1024
"""Most images are one: with each piece a thread waits for the interpreter twice."""


async def fingerprint(source: SourceFile) -> Digest:
    """sha256 of the file. Raises `SourceNotReady` when it is not there, is busy, or changes meanwhile."""
    # One hop to a thread for all of it: each costs the loop more than opening and reading a small file does.
    return await asyncio.to_thread(_digest, source)


def _digest(source: SourceFile) -> Digest:
    try:
        with open(source.absolute, "rb", buffering=0, opener=open_regular) as file:
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
            digest = hashed(file, min(PIECE_BYTES, source.identity.size_bytes + 1))
            check_identity(source.absolute, source.identity, os.fstat(file.fileno()))
        # The name as well: the file may have been replaced by another one while this one was read.
        check_unchanged(source)
    except OSError as error:
        raise not_ready(source.absolute, error) from error
    return digest


def hashed(file: BinaryIO, at_once: int) -> Digest:
    """sha256 of all that is left of a file, read in pieces of up to `at_once` bytes."""
    digest = hashlib.sha256()
    while piece := file.read(at_once):
        digest.update(piece)
    return Digest(digest.hexdigest())

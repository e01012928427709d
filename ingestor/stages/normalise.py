"""Make a file fit the API's limits, outside of this process, and know that it was still the same file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ingestor.errors import SourceNotReady
from ingestor.model import Digest, FileIdentity, Payload, SourceFile
from ingestor.ports import ImageWorker


@contextlib.asynccontextmanager
async def normalise(source: SourceFile, digest: Digest, images: ImageWorker, spool: Path) -> AsyncIterator[Payload]:
    """The payload for a file, whose spool file (if there is one) is gone at the end.

    Raises `ImageRejected`, `SourceNotReady`, `DiskFault`, `ImageWorkerLost`.
    """
    payload = await images.normalise(source.absolute, spool)
    try:
        _check_unchanged(source, digest, payload)
        yield payload
    finally:
        if not payload.is_source:
            payload.file.unlink(missing_ok=True)


def _check_unchanged(source: SourceFile, digest: Digest, payload: Payload) -> None:
    """The worker read the file anew: what it saw is what was hashed only if nothing has changed since."""
    try:
        same = FileIdentity.of(os.lstat(source.absolute)) == source.identity
    except OSError as error:
        raise SourceNotReady("vanished", f"{source.absolute}: gone while it was made fit") from error
    if not same or (payload.is_source and payload.sha256 != digest):
        raise SourceNotReady("changed", f"{source.absolute}: changed while it was made fit")

"""Make a file fit the API's limits, outside of this process, and know that it was still the same file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.model import Digest, FileIdentity, Payload, SourceFile
from ingestor.ports import ImageWorker


@contextlib.asynccontextmanager
async def normalise(source: SourceFile, digest: Digest, images: ImageWorker, spool: Path) -> AsyncIterator[Payload]:
    """The payload for a file, whose spool file (if there is one) is gone at the end.

    Raises `ImageRejected`, `SourceNotReady`, `DiskFault`, `ImageWorkerLost`.
    """
    try:
        payload = await images.normalise(source.absolute, spool)
    except (ImageRejected, SourceNotReady):
        # What the worker found fault with is what was hashed only if nothing has changed since.
        _check_same(source)
        raise
    try:
        _check_same(source)
        if payload.is_source and payload.sha256 not in (digest, ""):
            raise _changed(source)
        # Where the worker has read nothing but the header, it is the same file that speaks for the same bytes.
        yield replace(payload, sha256=digest) if payload.is_source else payload
    finally:
        if not payload.is_source:
            payload.file.unlink(missing_ok=True)


def _check_same(source: SourceFile) -> None:
    """The worker reads the file anew, which may be another one by then. Raises `SourceNotReady`."""
    try:
        same = FileIdentity.of(os.lstat(source.absolute)) == source.identity
    except OSError as error:
        raise SourceNotReady("vanished", f"{source.absolute}: gone while it was made fit") from error
    if not same:
        raise _changed(source)


def _changed(source: SourceFile) -> SourceNotReady:
    return SourceNotReady("changed", f"{source.absolute}: changed while it was made fit")

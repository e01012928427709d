"""Make a file fit the API's limits, outside of this process, and know that it was still the same file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ingestor.errors import SourceNotReady
from ingestor.model import FileIdentity, Payload, SourceFile
from ingestor.ports import ImageWorker


@contextlib.asynccontextmanager
async def normalise(source: SourceFile, images: ImageWorker, spool: Path) -> AsyncIterator[Payload]:
    """The payload for a file, whose spool file (if there is one) is gone at the end.

    Raises `ImageRejected`, `SourceNotReady`, `DiskFault`, `ImageWorkerLost`.
    """
    payload = await images.normalise(source.absolute, spool)
    try:
        # The worker read the file anew: what it saw is what was hashed only if nothing has changed since.
        if FileIdentity.of(os.lstat(source.absolute)) != source.identity:
            raise SourceNotReady("changed", f"{source.absolute}: changed while it was made fit")
        yield payload
    except FileNotFoundError as error:
        if error.filename == str(source.absolute):
            raise SourceNotReady("vanished", f"{source.absolute}: gone while it was made fit") from error
        raise
    finally:
        if not payload.is_source:
            payload.file.unlink(missing_ok=True)

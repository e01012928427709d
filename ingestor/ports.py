"""The seams of the flow, in the flow's words. Each protocol has one conformance suite for all that implement it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ingestor.model import FileId, Lane, Payload, RateHeaders, Receipt, RemoteFile, UploadRequest


class Clock(Protocol):
    """Time as an argument, so that a rule can be tested without waiting."""

    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None: ...


class FilesApi(Protocol):
    """The Files API in the flow's words. CONTRACT.md, Endpoints."""

    async def upload(self, request: UploadRequest) -> Receipt:
        """Send one image. The same request may be sent again; the body is built anew each time.

        Raises `ApiRefusedImage`, `KeyConflict`, `AccountRefused`, `ApiUnavailable`, `SourceNotReady` (the file to
        send cannot be read or has another size than promised) or, from a bare implementation without retries,
        `RateLimited`, `KeyInFlight`, `ServerFault`.
        """

    async def fetch(self, file_id: FileId) -> RemoteFile:
        """The file object with a fresh signed URL. Raises `FileGone` as well."""

    async def delete(self, file_id: FileId) -> None:
        """Purge now; no error when it is gone already."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NormaliseRules:
    """What `normalise` has to reach. Plain values: they cross into the worker processes."""

    longest_side_px: int = 4096
    max_bytes: int = 10_000_000
    orientation: str = "bake"
    animation: str = "first_frame"
    webp_quality: int = 90
    max_pixels: int = 300_000_000
    integrity: str = "strict"
    metadata: str = "keep"


class ImageWorker(Protocol):
    """Makes images fit, outside of this process."""

    async def normalise(self, source: Path, spool: Path) -> Payload:
        """`source` made fit: itself where it complies, else a new file in the folder `spool`.

        Raises `ImageRejected`, `SourceNotReady` (it vanished, is busy, or is truncated: reason `truncated`),
        `DiskFault` (the spool is full) or `ImageWorkerLost`.
        """

    async def inspect(self, source: Path) -> Payload:
        """What `normalise` would do, from the headers alone: nothing is written, sizes of new files are 0."""

    async def close(self) -> None: ...


class Quota(Protocol):
    """The team's token bucket."""

    async def acquire(self, lane: Lane) -> None:
        """Return when one token is ours; the lower lane is served first, then the earlier caller."""

    def observe(self, headers: RateHeaders) -> None:
        """Learn capacity and refill; `remaining` may only lower our count."""

    def hold(self, seconds: float) -> None:
        """Nobody gets a token for this long (`Retry-After`)."""


class Observer(Protocol):
    """Told what happened; never changes what happens."""

    def notice(self, event: str, **facts: Any) -> None: ...

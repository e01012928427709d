"""A client of the Files API put together for a test."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestor.files_api import ApiKey, Breaker, HttpFilesApi, ResilientFilesApi, Timeouts
from ingestor.model import IdempotencyKey, Lane, Purpose, UploadRequest
from ingestor.ports import Clock, FilesApi, Observer
from ingestor.quota import LocalQuota
from tests.fakes import RecordingObserver

KEY = "al_live_0123456789abcdefSECRET"
CONTENT = b"eleven byte"
PATIENT = Timeouts(connect=10.0, stall=10.0, answer=10.0, total=60.0)
"""For answers that come: no busy machine is slower."""
SHORT = Timeouts(connect=10.0, stall=0.2, answer=0.2, total=60.0)
"""For answers that never come."""


class RealClock:
    """A `Clock` for real sockets that runs `speed` times faster, so that no test waits for a whole backoff."""

    def __init__(self, speed: float = 50.0) -> None:
        self._speed = speed

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def key() -> ApiKey:
    return ApiKey(environment={"AUROUS_API_KEY": KEY})


def http_api(base_url: str, observer: Observer | None = None, **more: Any) -> HttpFilesApi:
    settings: dict[str, Any] = {
        "version": "2026-05-15",
        "key": key(),
        "clock": RealClock(),
        "observer": observer or RecordingObserver(),
        "timeouts": PATIENT,
        **more,
    }
    return HttpFilesApi(base_url=base_url, **settings)


def resilient_api(
    inner: FilesApi, clock: Clock, observer: Observer | None = None, *, key: ApiKey | None = None, **more: Any
) -> ResilientFilesApi:
    observer = observer or RecordingObserver()
    rng = random.Random(7)
    settings: dict[str, Any] = {
        "upload_quota": LocalQuota(capacity=1000, per_minute=6000, clock=clock),
        "read_quota": LocalQuota(capacity=1000, per_minute=6000, clock=clock),
        "breaker": Breaker(clock=clock, observer=observer, rng=rng, key=key),
        **more,
    }
    return ResilientFilesApi(inner, clock=clock, observer=observer, rng=rng, key=key, **settings)


def an_upload(folder: Path, content: bytes = CONTENT, **changes: Any) -> UploadRequest:
    file = folder / "image.jpg"
    if not file.exists():
        file.write_bytes(content)
    fields: dict[str, Any] = {
        "key": IdempotencyKey("ing1-" + "a" * 64),
        "file": file,
        "mime_type": "image/jpeg",
        "size_bytes": len(content),
        "purpose": Purpose.REFERENCE,
        "metadata": {},
        "lane": Lane.FRESH,
        **changes,
    }
    return UploadRequest(**fields)

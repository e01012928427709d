"""Stand-ins for the seams of `ingestor.ports`: no sockets, no waiting. Each passes its seam's conformance suite."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestor.errors import FileGone, KeyConflict, RateLimited, ServerFault, SourceNotReady
from ingestor.model import FileId, IdempotencyKey, Purpose, RateHeaders, Receipt, RemoteFile, UploadRequest
from ingestor.policy.idempotency import canonical_json
from ingestor.policy.verdicts import Call

START = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)


class FakeClock:
    """A `Clock` whose sleeps cost nothing: time jumps to the next sleeper as soon as nobody has anything to do."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._ticking = False

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._count), woken))
        self._tick_soon()
        await woken

    def advance(self, seconds: float) -> None:
        """Let time pass at once; those whose sleep is over wake."""
        self._elapsed += seconds
        self._wake_until(self._elapsed)

    def _tick_soon(self) -> None:
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        """Once the loop has nothing else to run, jump to the next sleeper."""
        self._ticking = False
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return
        if not asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]
            self._elapsed = max(self._elapsed, self._sleepers[0][0])
            heapq.heappop(self._sleepers)[2].set_result(None)
        if self._sleepers:
            self._tick_soon()

    def _wake_until(self, elapsed: float) -> None:
        while self._sleepers and self._sleepers[0][0] <= elapsed:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)


class WrongClock:
    """The clock of a machine that is so far off, while time passes by another one. Can be set right."""

    def __init__(self, true: FakeClock, off_seconds: float) -> None:
        self._true = true
        self.off_seconds = off_seconds
        self._correction = 0.0

    def now(self) -> datetime:
        return self._true.now() + timedelta(seconds=self.off_seconds + self._correction)

    def monotonic(self) -> float:
        return self._true.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds)

    def correct(self, seconds: float) -> None:
        self._correction = seconds

    def correction(self) -> float:
        return self._correction


@dataclass
class RecordingObserver:
    """An `Observer` that remembers what it was told."""

    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def notice(self, event: str, **facts: Any) -> None:
        self.notices.append((event, facts))

    def events(self) -> list[str]:
        return [event for event, _ in self.notices]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.notices if name == event]


class ServerBucket:
    """A team's bucket as the API keeps it. Whole numbers in its headers, as CONTRACT.md has them."""

    def __init__(self, clock: FakeClock, *, burst: int = 60, per_minute: float = 30.0, skew: float = 0.0) -> None:
        self._clock = clock
        self.burst = burst
        self.per_second = per_minute / 60
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._skew = skew
        self.taken = 0
        self.refused = 0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now

    def take(self) -> tuple[bool, RateHeaders]:
        """Whether one call passes, and the headers of its answer."""
        self._refill()
        passes = self._tokens >= 1
        if passes:
            self._tokens -= 1
            self.taken += 1
        else:
            self.refused += 1
        now = self._clock.now().timestamp() + self._skew
        full_at = now + (self.burst - self._tokens) / self.per_second
        headers = RateHeaders(
            limit=self.burst,
            remaining=math.floor(self._tokens),
            reset_at=float(math.ceil(full_at)),
            server_now=float(math.floor(now)),
        )
        return passes, headers

    def take_for_another(self) -> bool:
        """Whether another program of the team gets a token; its refusals are not counted with ours."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def retry_after(self) -> int:
        return max(1, math.ceil((1 - self._tokens) / self.per_second))


@dataclass
class _Stored:
    receipt: Receipt
    content: bytes


class FakeFilesApi:
    """A `FilesApi` in memory, with idempotency, expiry and purge; `script` makes single calls fail.

    Without `bucket` it tells no rates and limits nothing.
    """

    def __init__(
        self, clock: FakeClock, *, bucket: ServerBucket | None = None, latency: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._clock = clock
        self._bucket = bucket
        self._latency = latency
        self._files: dict[FileId, _Stored] = {}
        self._keys: dict[IdempotencyKey, tuple[str, FileId, datetime]] = {}
        self._ids = itertools.count(1)
        self._script: list[Exception] = []
        self.is_away = False
        """Nothing is answered."""
        self.hear_time: Callable[[float], None] = lambda server_now: None
        """Told the time by its own clock, with each answer."""
        self._listener: Callable[[Call, RateHeaders], None] = lambda call, headers: None
        self.calls: list[tuple[Call, str]] = []
        self.created = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False

    def listen(self, listener: Callable[[Call, RateHeaders], None]) -> None:
        self._listener = listener

    def script(self, *errors: Exception) -> None:
        """The next calls end with these, before they have any effect."""
        self._script.extend(errors)

    async def upload(self, request: UploadRequest) -> Receipt:
        heard = [RateHeaders()]
        self.calls.append((Call.UPLOAD, request.key))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._clock.sleep(self._latency() / 2)
            self._limit(heard)
            self._fail_as_scripted()
            receipt = self._store(request)
            await self._clock.sleep(self._latency() / 2)
            return receipt
        finally:
            self.in_flight -= 1
            self._listener(Call.UPLOAD, heard[-1])

    async def fetch(self, file_id: FileId) -> RemoteFile:
        self.calls.append((Call.FETCH, file_id))
        try:
            self._fail_as_scripted()
            stored = self._files.get(file_id)
            if stored is None or stored.receipt.expires_at <= self._clock.now():
                raise FileGone("the API does not know this file id (404 resource_not_found)", status=404)
            minted = self._clock.now().timestamp()
            return RemoteFile(receipt=stored.receipt, url=f"https://files.invalid/{file_id}?token={minted}")
        finally:
            self._listener(Call.FETCH, RateHeaders())

    async def delete(self, file_id: FileId) -> None:
        self.calls.append((Call.DELETE, file_id))
        try:
            self._fail_as_scripted()
            self._files.pop(file_id, None)
        finally:
            self._listener(Call.DELETE, RateHeaders())

    async def close(self) -> None:
        self.closed = True

    def _fail_as_scripted(self) -> None:
        if self.is_away:
            raise ServerFault("connection refused")
        self.hear_time(float(math.floor(self._clock.now().timestamp())))
        if self._script:
            raise self._script.pop(0)

    def _limit(self, heard: list[RateHeaders]) -> None:
        if self._bucket is None:
            return
        passes, headers = self._bucket.take()
        heard.append(headers)
        if not passes:
            raise RateLimited(
                "the team's quota is used up (429 too_many_requests)",
                status=429,
                code="too_many_requests",
                retry_after_seconds=float(self._bucket.retry_after),
            )

    def _store(self, request: UploadRequest) -> Receipt:
        content = _read(request.file, request.size_bytes)
        body = canonical_json([request.purpose, dict(request.metadata), content.hex()])
        known = self._keys.get(request.key)
        now = self._clock.now()
        if known is not None and now - known[2] < timedelta(hours=24):
            if known[0] != body:
                raise KeyConflict("the API holds this idempotency key for another request", status=409)
            if known[1] in self._files:
                return replace(self._files[known[1]].receipt, replayed=True)
        return self._create(request, content, body)

    def _create(self, request: UploadRequest, content: bytes, body: str) -> Receipt:
        now = self._clock.now()
        file_id = FileId(f"file_{next(self._ids):026d}")
        receipt = Receipt(
            file_id=file_id,
            purpose=Purpose(request.purpose),
            mime_type=request.mime_type,
            size_bytes=len(content),
            width_px=8,
            height_px=8,
            created_at=now,
            expires_at=now + timedelta(hours=24),
            replayed=False,
            request_id=f"req_{file_id}",
        )
        self._files[file_id] = _Stored(receipt, content)
        self._keys[request.key] = (body, file_id, now)
        self.created += 1
        return receipt


def _read(file: Path, size_bytes: int) -> bytes:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise SourceNotReady("vanished", f"{file}: is not there any more") from None
    if len(content) != size_bytes:
        raise SourceNotReady("changed", f"{file}: has another size than a moment ago")
    return content

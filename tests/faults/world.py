"""A machine for the model test: real files, ledger and manifest; a clock, an API and image workers of its own.

Whatever would run in a thread runs at once, so that each example runs the same way each time, and the clock moves only
when nobody has anything to do. A process may be killed between any two steps of its event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ingestor.errors import (
    AccountRefused,
    ApiAnswerInvalid,
    ApiRefusedImage,
    ApiUnavailable,
    ImageRejected,
    ImageWorkerLost,
    KeyInFlight,
    RateLimited,
    ServerFault,
    SourceNotReady,
)
from ingestor.files_api import Breaker, ResilientFilesApi
from ingestor.ledger import SqliteLedger
from ingestor.model import Digest, FileId, FileIdentity, IdempotencyKey, Payload, RateHeaders, Receipt, UploadRequest
from ingestor.observe.recent import Recent
from ingestor.pipeline import Tools
from ingestor.policy.expiry import REPLAY_MARGIN
from ingestor.policy.idempotency import canonical_json
from ingestor.policy.verdicts import Call
from ingestor.quota import LocalQuota
from ingestor.runtime.backfill import Backfill, Limits, Report, Selection
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.parts import Parts
from ingestor.settings import FolderSettings, Settings
from ingestor.stages.manifest import Manifest, encode, manifest_line
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver
from tests.ledger_kit import empty_ledger_in

BEFORE: dict[str, Callable[[], Exception]] = {
    "down": lambda: ServerFault("500", status=500),
    "rate": lambda: RateLimited("429", status=429, code="too_many_requests", retry_after_seconds=3.0),
    "rate_bare": lambda: RateLimited("429", status=429, code="too_many_requests"),
    "crowded": lambda: RateLimited("429", status=429, code="concurrency_limit_exceeded"),
    "in_flight": lambda: KeyInFlight("409", status=409, code="idempotency_key_in_use"),
    "key": lambda: AccountRefused("key", "401"),
    "scope": lambda: AccountRefused("scope", "403"),
    "balance": lambda: AccountRefused("balance", "402"),
    "route": lambda: ApiUnavailable("route", "404"),
}
"""Answers to an upload that has had no effect."""
AFTER: dict[str, Callable[[], Exception]] = {
    "lost": lambda: ServerFault("connection reset"),
    "garbled": lambda: ApiAnswerInvalid("not what was promised", status=201),
    "other": lambda: ApiAnswerInvalid("an answer for another file", status=201, code="answer_size_bytes"),
}
"""Answers that are none, to an upload that has happened."""
KINDS = (*BEFORE, *AFTER, "fine")


class InlineLoop(asyncio.SelectorEventLoop):
    """An event loop without threads."""

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


# -- contents: what they begin with says what becomes of them


def is_good(content: bytes) -> bool:
    return not content.startswith((b"BAD", b"CUT", b"REF"))


def sent(content: bytes) -> bytes:
    """What is uploaded for a file."""
    return b"made fit: " + content if content.startswith(b"BIG") else content


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class ModelImages:
    """An `ImageWorker` for such contents."""

    max_pixels = 300_000_000

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._numbers = iter(range(10**9))
        self.lost = 0
        """So many of the next images lose their worker."""

    async def normalise(self, source: Path, spool: Path) -> Payload:
        await self._clock.sleep(0.05)
        if self.lost:
            self.lost -= 1
            raise ImageWorkerLost("killed", solitary=False)
        try:
            content = source.read_bytes()
        except OSError as error:
            raise SourceNotReady("vanished", f"{source}: {error.strerror}") from None
        if content.startswith(b"BAD"):
            raise ImageRejected("not_an_image", f"{source.name}: is no image")
        if content.startswith(b"CUT"):
            raise SourceNotReady("truncated", f"{source.name}: ends too early")
        if content.startswith(b"BIG"):
            file = spool / f"ingest-{next(self._numbers)}.webp"
            file.write_bytes(sent(content))
            return _payload(file, sent(content), is_source=False)
        return _payload(source, content, is_source=True)

    async def inspect(self, source: Path) -> Payload:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def _payload(file: Path, content: bytes, *, is_source: bool) -> Payload:
    return Payload(
        file=file,
        is_source=is_source,
        sha256=Digest(sha(content)),
        mime_type="image/png" if is_source else "image/webp",
        size_bytes=len(content),
        width_px=8,
        height_px=8,
        normalised=() if is_source else ("resized", "webp"),
        profile="as-is" if is_source else "webp",
    )


class ModelApi(FakeFilesApi):
    """Fails as it is told to, and knows when a content was created although it had an id that was good."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, latency=lambda: self.seconds)
        self.seconds = 0.2
        """How long an upload takes."""
        self.faults: deque[str] = deque()
        self.occupy = 0
        """So many of the next new keys turn out to be used elsewhere."""
        self.allowed: Counter[str] = Counter()
        """How many more files of a body may be created though one is good: somebody asked for them."""
        self.twice: list[str] = []
        self._occupied: set[IdempotencyKey] = set()
        self._made: dict[str, list[FileId]] = {}

    async def upload(self, request: UploadRequest) -> Receipt:
        fault = self.faults.popleft() if self.faults else "fine"
        try:
            if fault in BEFORE:
                raise BEFORE[fault]()
            self._check_key(request.key)
        except Exception:
            self._listener(Call.UPLOAD, RateHeaders())
            raise
        receipt = await super().upload(request)
        if fault in AFTER:
            raise AFTER[fault]()
        return receipt

    def _store(self, request: UploadRequest) -> Receipt:
        try:
            if request.identity is not None and FileIdentity.of(os.lstat(request.file)) != request.identity:
                raise SourceNotReady("changed", f"{request.file}: changed since it was hashed")
            if request.file.read_bytes().startswith(b"REF"):
                raise ApiRefusedImage("400", status=400, code="reference_blocked")
        except OSError as error:
            raise SourceNotReady("vanished", f"{request.file}: {error.strerror}") from None
        return super()._store(request)

    def _check_key(self, key: IdempotencyKey) -> None:
        if self.occupy and key not in self._keys:
            self.occupy -= 1
            self._occupied.add(key)
        if key in self._occupied:
            raise KeyInFlight("409", status=409, code="idempotency_key_in_use")

    def _create(self, request: UploadRequest, content: bytes, body: str) -> Receipt:
        # Those before the last one were replaced on purpose, and live out their time.
        if any(self.is_good_for(file_id, REPLAY_MARGIN) for file_id in self._made.get(body, ())[-1:]):
            if self.allowed[body] <= 0:
                self.twice.append(body)
            self.allowed[body] -= 1
        receipt = super()._create(request, content, body)
        self._made.setdefault(body, []).append(receipt.file_id)
        return receipt

    def is_good_for(self, file_id: str, time: timedelta = timedelta()) -> bool:
        stored = self._files.get(FileId(file_id))
        return stored is not None and stored.receipt.expires_at - self._clock.now() > time

    def content_of(self, file_id: str) -> bytes:
        return self._files[FileId(file_id)].content

    def drop(self, file_id: str) -> None:
        """Somebody else deletes a file."""
        self._files.pop(FileId(file_id), None)


def body_of(content: bytes, purpose: str, metadata: Any) -> str:
    """As the API tells bodies apart."""
    return canonical_json([purpose, dict(metadata), sent(content).hex()])


class SlowManifest(Manifest):
    """On a disk that takes its time."""

    def __init__(self, path: Path, ledger: SqliteLedger, clock: FakeClock, seconds: float) -> None:
        super().__init__(path, ledger)
        self._clock = clock
        self._seconds = seconds

    async def flush(self) -> None:
        await self._clock.sleep(self._seconds / 2)
        await super().flush()
        await self._clock.sleep(self._seconds / 2)


class Hooked(RecordingObserver):
    """Lets something happen to a file at the moment that a stage begins."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[tuple[str, Callable[[str, str], None]]] = []
        """Stages, and what happens to the first file that reaches them."""
        self.path = ""
        """Where it is not empty: only to this one."""
        self.scans_before = 0
        """How many scans had ended when a file changed for the last time."""

    def notice(self, event: str, **facts: Any) -> None:
        super().notice(event, **facts)
        if event != "stage" or self.path not in ("", facts["path"]):
            return
        found = next((act for act in self.acts if act[0] == facts["stage"]), None)
        if found is not None:
            self.acts.remove(found)
            self.scans_before = len(self.of("scan_end"))
            found[1](facts["folder"], facts["path"])


@dataclass
class Program:
    """One process: ends for good with its first run."""

    parts: Parts
    ledger: SqliteLedger
    manifest: Manifest
    observer: Hooked

    async def backfill(self) -> Report:
        """One pass; its numbers add up."""
        selections = [Selection(folder=folder) for folder in self.parts.drop_folders()]
        report = await Backfill(self.parts, selections, Limits()).run()
        assert report.tally.discovered == report.tally.accounted, report.tally
        return report

    async def watch(self) -> None:
        """The daemon, until it has nothing left to do."""
        daemon = Daemon(self.parts, Recent(self.parts.clock))
        running = asyncio.create_task(daemon.run())
        for _ in range(2000):
            await self.parts.clock.sleep(5.0)
            if running.done() or (self._scanned_twice() and await self._is_idle(daemon)):
                break
        else:
            raise AssertionError("the daemon does not come to rest")
        daemon.stop()
        await running

    def _scanned_twice(self) -> bool:
        return len(self.observer.of("scan_end")) >= self.observer.scans_before + 2 * len(self.parts.folders)

    async def _is_idle(self, daemon: Daemon) -> bool:
        return not (daemon.pulse.settling or daemon.pulse.working or await self.ledger.count_waiting())


class World:
    """A disk, an API and a clock, which outlive the processes that work with them."""

    def __init__(self, folder: Path, start: datetime, one: dict[str, Any], two: dict[str, Any]) -> None:
        self.folder = folder
        self.clock = FakeClock(start)
        self.api = ModelApi(self.clock)
        self.images = ModelImages(self.clock)
        self.disk_seconds = 0.0
        for name in ("one", "two", "var/spool"):
            (folder / name).mkdir(parents=True)
        self.settings = Settings(
            ledger=folder / "var" / "ledger.db",
            manifest=folder / "var" / "manifest.jsonl",
            folders=(self._folder("one", one), self._folder("two", two)),
        )
        self.new_ledger()

    def _folder(self, name: str, fields: dict[str, Any]) -> FolderSettings:
        moves = {key: f"move:{self.folder / value[5:]}" for key, value in fields.items() if str(value)[:5] == "move:"}
        plain = {
            "path": self.folder / name,
            "name": name,
            "purpose": "reference",
            "watch": "poll",
            "settle": "1s",
            "rescan": "2s",
        }
        return FolderSettings.model_validate({**plain, **fields, **moves})

    def root(self, folder: str) -> Path:
        return self.folder / folder

    def new_ledger(self) -> None:
        for file in self.settings.ledger.parent.glob("ledger.db*"):
            file.unlink()
        empty_ledger_in(self.settings.ledger.parent)

    @contextlib.asynccontextmanager
    async def program(self) -> AsyncIterator[Program]:
        """A process; killed, if it still runs when the block ends."""
        observer, rng = Hooked(), random.Random(1)
        ledger = SqliteLedger(self.settings.ledger, self.clock)
        manifest = SlowManifest(self.settings.manifest, ledger, self.clock, self.disk_seconds)
        api = ResilientFilesApi(
            self.api,
            upload_quota=LocalQuota(capacity=60, per_minute=30, clock=self.clock),
            read_quota=LocalQuota(capacity=60, per_minute=30, clock=self.clock),
            breaker=Breaker(clock=self.clock, observer=observer, rng=rng),
            clock=self.clock,
            observer=observer,
            rng=rng,
            concurrency=3,
        )
        tools = Tools(
            folders={folder.name: folder for folder in self.settings.folders},
            ledger=ledger,
            manifest=manifest,
            api=api,
            images=self.images,
            spool=self.settings.ledger.parent / "spool",
            clock=self.clock,
            observer=observer,
            rng=rng,
        )
        quota = LocalQuota(capacity=60, per_minute=30, clock=self.clock)
        parts = Parts(
            settings=self.settings,
            tools=tools,
            gate=api,
            upload_quota=quota.status,
            read_quota=quota.status,
            breaker=lambda: api.breaker.state,
            slots=api.slots.status,
            snapshots={"quota": quota.snapshot},
        )
        await ledger.open()
        try:
            yield Program(parts, ledger, manifest, observer)
        finally:
            await _end_all_tasks()
            ledger._shut_down()

    async def killed(self, work: Callable[[Program], Coroutine[Any, Any, Any]], steps: int) -> None:
        """A process that dies after so many steps of its event loop, if it lives that long."""
        async with self.program() as program:
            task = asyncio.create_task(work(program))
            for _ in range(steps):
                if task.done():
                    break
                await asyncio.sleep(0)
            if task.done():
                task.result()

    # -- what there is

    def lines(self) -> list[dict[str, Any]]:
        """Of the manifest; each must be whole."""
        text = self.settings.manifest.read_text()
        assert text == "" or text.endswith("\n"), "a torn line"
        return [json.loads(line) for line in text.splitlines()]

    async def lines_of_ledger(self, program: Program) -> list[dict[str, Any]]:
        entries = await program.ledger.lines_after(0, 100_000)
        return [json.loads(encode(manifest_line(entry))) for entry in entries]

    def bytes_below(self, folder: str) -> set[bytes]:
        """The contents of all files in a folder."""
        found = set()
        for directory, _, names in os.walk(self.folder / folder):
            found |= {Path(directory, name).read_bytes() for name in names}
        return found


async def _end_all_tasks() -> None:
    """As the end of a process does: nobody goes on."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

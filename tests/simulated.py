"""A daemon in simulated time: real ledger, real manifest, real files; a clock, an API and image workers of our own.

All that would run in threads runs at once instead, so that the clock only moves when nobody has anything to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.files_api import Breaker, ResilientFilesApi
from ingestor.ledger import SqliteLedger
from ingestor.model import Digest, Payload
from ingestor.observe.recent import Recent
from ingestor.pipeline import Tools
from ingestor.quota import LocalQuota
from ingestor.runtime import folder_watch, memory, pulse
from ingestor.runtime.backfill import Backfill, Limits, Selection
from ingestor.runtime.clock_watch import CLOCK_FACT, kept_right
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.parts import Parts
from ingestor.settings import Settings
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver, ServerBucket, WrongClock


def look_every(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """What a daemon looks at for its own sake each second takes long in hours of simulated time: rarer here."""
    for module, name in (
        (pulse, "BEAT_SECONDS"),
        (folder_watch, "ROOT_SECONDS"),
        (folder_watch, "POLL_SECONDS"),
        (memory, "SECONDS"),
    ):
        monkeypatch.setattr(module, name, seconds)


class Inline(ThreadPoolExecutor):
    """Runs what it is given at once."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments, **more))
        except BaseException as error:
            future.set_exception(error)
        return future


class PlainImages:
    """An `ImageWorker` without images: every file is fit as it is, but for those that say otherwise."""

    max_pixels = 300_000_000

    async def normalise(self, source: Path, spool: Path) -> Payload:
        try:
            content = source.read_bytes()
        except FileNotFoundError:
            raise SourceNotReady("vanished", f"{source}: is not there any more") from None
        if content.startswith(b"BAD"):
            raise ImageRejected("not_an_image", f"{source.name}: is no image")
        return Payload(
            file=source,
            is_source=True,
            sha256=Digest(hashlib.sha256(content).hexdigest()),
            mime_type="image/jpeg",
            size_bytes=len(content),
            width_px=8,
            height_px=8,
            normalised=(),
            profile="as-is",
        )

    async def inspect(self, source: Path) -> Payload:
        return await self.normalise(source, source.parent)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(kw_only=True)
class Simulation:
    clock: FakeClock
    api: FakeFilesApi
    bucket: ServerBucket
    ledger: SqliteLedger
    daemon: Daemon
    observer: RecordingObserver
    parts: Parts
    machine: WrongClock
    """What the machine itself takes for the time."""

    async def backfill(self) -> None:
        """One pass over all folders, instead of the daemon."""
        selections = [Selection(folder=folder) for folder in self.parts.drop_folders()]
        await Backfill(self.parts, selections, Limits()).run()


@contextlib.asynccontextmanager
async def simulated(
    settings: Settings,
    *,
    burst: int,
    per_minute: float,
    latency: float = 1.0,
    off_seconds: float = 0.0,
    after: Simulation | None = None,
) -> AsyncIterator[Simulation]:
    """A daemon with these settings against an API with this bucket; not running yet.

    The machine's clock is off by `off_seconds`; time and the API go on from those of a run that was before.
    """
    asyncio.get_running_loop().set_default_executor(Inline(1))
    true, observer, rng = after.clock if after else FakeClock(), RecordingObserver(), random.Random(5)
    clock = WrongClock(true, off_seconds)
    bucket = after.bucket if after else ServerBucket(true, burst=burst, per_minute=per_minute)
    inner = after.api if after else FakeFilesApi(true, bucket=bucket, latency=lambda: latency)
    uploads = LocalQuota(
        capacity=settings.api.quota.burst, per_minute=settings.api.quota.per_minute, clock=clock, observer=observer
    )
    reads = LocalQuota(capacity=1200, per_minute=600, clock=clock)
    api = ResilientFilesApi(
        inner,
        upload_quota=uploads,
        read_quota=reads,
        breaker=Breaker(clock=clock, observer=observer, rng=rng),
        clock=clock,
        observer=observer,
        rng=rng,
    )
    ledger = SqliteLedger(settings.ledger, clock)
    ledger._write_thread, ledger._read_threads = Inline(1), Inline(1)
    await ledger.open()
    clock.correct(await ledger.fact(CLOCK_FACT) or 0.0)
    settings.ledger.with_name("spool").mkdir(exist_ok=True)
    tools = Tools(
        folders={folder.name: folder for folder in settings.folders},
        ledger=ledger,
        manifest=Manifest(settings.manifest, ledger),
        api=api,
        images=PlainImages(),
        spool=settings.ledger.with_name("spool"),
        clock=clock,
        observer=observer,
        rng=rng,
    )
    parts = Parts(
        settings=settings,
        tools=tools,
        gate=api,
        upload_quota=uploads.status,
        read_quota=reads.status,
        breaker=lambda: api.breaker.state,
        slots=api.slots.status,
        snapshots={"quota.uploads": uploads.snapshot},
    )
    try:
        with kept_right(clock, inner, api, ledger=ledger, observer=observer):
            yield Simulation(
                clock=true,
                api=inner,
                bucket=bucket,
                ledger=ledger,
                daemon=Daemon(parts, Recent(clock)),
                observer=observer,
                parts=parts,
                machine=clock,
            )
    finally:
        await ledger.close()

"""How near the pacing comes to what a token bucket allows, in simulated time. `python -m tests.benchmarks.quota`."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingestor.files_api import Breaker, ResilientFilesApi
from ingestor.model import IdempotencyKey, Lane, Purpose, UploadRequest
from ingestor.quota import LocalQuota
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver, ServerBucket

CONTENT = b"image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: what the server has, what we believe at the start, and what else happens."""

    name: str
    burst: int = 60
    per_minute: float = 30.0
    set_burst: int = 60
    set_per_minute: float = 30.0
    images: int = 600
    restart_at: float | None = None
    """So many of the images are sent when the process is replaced by another one."""
    forgets: bool = False
    """The new process has lost what the old one kept."""
    others_per_minute: float = 0.0
    """What another program takes from the same team, evenly on average."""
    others_burst: int = 1
    """How many it takes at once."""
    latency: tuple[float, float] = (0.2, 1.5)
    drift: float = 0.0
    """How much faster the server's clock runs than ours."""
    concurrency: int = 8
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    case: Case
    makespan: float
    """Seconds from the first request to the last receipt."""
    optimum: float
    """Seconds until the server's bucket has had a token for each image, with what others took."""
    refused: int
    """429s that we met."""

    @property
    def ratio(self) -> float:
        return self.makespan / self.optimum


CASES = (
    Case(name="setting right: 60 + 30/min"),
    Case(
        name="setting right: 60 + 50/s",
        per_minute=3000,
        set_per_minute=3000,
        latency=(0.002, 0.02),
        concurrency=32,
    ),
    Case(name="real bucket smaller: 20 + 12/min", burst=20, per_minute=12),
    Case(name="real bucket smaller: 60 + 10/min", per_minute=10),
    Case(name="real bucket smaller: 5 + 30/min", burst=5),
    Case(name="real bucket larger: 300 + 150/min", burst=300, per_minute=150, images=3000),
    Case(name="real bucket larger: 60 + 60/min", per_minute=60),
    Case(name="restart in the middle", restart_at=0.5),
    Case(name="restart in the middle, bucket to be learned", burst=20, per_minute=12, restart_at=0.5),
    Case(name="restart in the middle, state lost", restart_at=0.5, forgets=True),
    Case(name="another spender takes a third", others_per_minute=10),
    Case(name="another spender takes a third, five at a time", others_per_minute=10, others_burst=5),
)


class Spender:
    """Another program of the same team."""

    def __init__(self, case: Case, bucket: ServerBucket, clock: FakeClock, rng: random.Random) -> None:
        self._case = case
        self._bucket = bucket
        self._clock = clock
        self._rng = rng
        self.taken = 0

    async def run(self) -> None:
        pause = 60.0 * self._case.others_burst / self._case.others_per_minute
        while True:
            await self._clock.sleep(pause * self._rng.uniform(0.5, 1.5))
            for _ in range(self._case.others_burst):
                self.taken += self._bucket.take_for_another()


class Run:
    """A case while it runs."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.clock = FakeClock()
        self.rng = random.Random(case.seed)
        self.bucket = ServerBucket(
            self.clock, burst=case.burst, per_minute=case.per_minute / (1.0 + case.drift), skew=0.0
        )
        self.inner = FakeFilesApi(self.clock, bucket=self.bucket, latency=lambda: self.rng.uniform(*case.latency))
        self.observer = RecordingObserver()
        self.file = folder / "image"
        self.file.write_bytes(CONTENT)

    def client(self, state: Mapping[str, Any] | None) -> tuple[ResilientFilesApi, LocalQuota]:
        quota = LocalQuota(
            capacity=self.case.set_burst,
            per_minute=self.case.set_per_minute,
            at_once=self.case.concurrency,
            clock=self.clock,
            observer=self.observer,
            state=state,
        )
        api = ResilientFilesApi(
            self.inner,
            upload_quota=quota,
            read_quota=LocalQuota(capacity=1200, per_minute=600, clock=self.clock),
            breaker=Breaker(clock=self.clock, observer=self.observer, rng=self.rng),
            clock=self.clock,
            observer=self.observer,
            rng=self.rng,
            concurrency=self.case.concurrency,
        )
        return api, quota

    async def send(self, api: ResilientFilesApi, numbers: range) -> None:
        await asyncio.gather(*(api.upload(self.request(number)) for number in numbers))

    def request(self, number: int) -> UploadRequest:
        return UploadRequest(
            key=IdempotencyKey(f"ing1-{number:064d}"),
            file=self.file,
            mime_type="image/jpeg",
            size_bytes=len(CONTENT),
            purpose=Purpose.REFERENCE,
            metadata={},
            lane=Lane.BACKFILL,
        )

    async def whole(self) -> Result:
        case, started = self.case, self.clock.monotonic()
        spender = Spender(case, self.bucket, self.clock, self.rng)
        spending = asyncio.ensure_future(spender.run()) if case.others_per_minute else None
        half = case.images if case.restart_at is None else int(case.images * case.restart_at)
        api, quota = self.client(None)
        await self.send(api, range(half))
        if half < case.images:
            api, _ = self.client(None if case.forgets else quota.snapshot())
            await self.send(api, range(half, case.images))
        if spending is not None:
            spending.cancel()
        needed = case.images + spender.taken - case.burst
        return Result(
            case=case,
            makespan=self.clock.monotonic() - started,
            optimum=needed / self.bucket.per_second,
            refused=self.bucket.refused,
        )


def simulate(case: Case) -> Result:
    """What becomes of a case; no real time passes but what the sums take."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(Run(case, Path(folder)).whole())


# -- what others do ----------------------------------------------------------------------------------


class Worker:
    """One of many that know nothing of a bucket, but for what a 429 says."""

    def __init__(self, run: Run, gate: list[float]) -> None:
        self._run = run
        self._gate = gate
        """Until when nobody sends; each worker's own, or one for all."""

    async def send(self, waits_as_told: bool) -> None:
        clock, bucket, rng, backoff = self._run.clock, self._run.bucket, self._run.rng, 0.5
        while True:
            while (left := self._gate[0] - clock.monotonic()) > 0:
                await clock.sleep(left)
            await clock.sleep(rng.uniform(*self._run.case.latency))
            passes, _ = bucket.take()
            if passes:
                return
            backoff = min(2 * backoff, 60.0)
            wait = float(bucket.retry_after) if waits_as_told else backoff * rng.uniform(0.5, 1.0)
            self._gate[0] = max(self._gate[0], clock.monotonic() + wait)


CLIENTS: Mapping[str, tuple[bool, bool]] = {
    "one gate on Retry-After": (True, True),
    "each worker waits Retry-After": (False, True),
    "each worker backs off by itself": (False, False),
}
"""Name to whether there is one gate for all, and whether it waits as it is told."""


def simulate_other(case: Case, client: str) -> Result:
    """The same case with a client that does not know the bucket."""
    one_gate, waits_as_told = CLIENTS[client]

    async def whole(run: Run) -> Result:
        started, left, shared = run.clock.monotonic(), iter(range(case.images)), [0.0]

        async def work() -> None:
            worker = Worker(run, shared if one_gate else [0.0])
            for _ in left:
                await worker.send(waits_as_told)

        await asyncio.gather(*(work() for _ in range(case.concurrency)))
        return Result(
            case=case,
            makespan=run.clock.monotonic() - started,
            optimum=(case.images - case.burst) / run.bucket.per_second,
            refused=run.bucket.refused,
        )

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(whole(Run(case, Path(folder))))


# -- the tables --------------------------------------------------------------------------------------

SEEDS = range(3)
BUCKETS = {"60 + 30/min": CASES[0], "60 + 50/s": CASES[1]}


def worst(results: list[Result]) -> str:
    ratio = max(result.ratio for result in results)
    return f"{ratio:.3f} | {max(result.refused for result in results)}"


def main() -> None:
    """Print the tables: the worst of a few runs each."""
    print("## Quota\n")
    print("| ingestor | makespan / optimum | 429s |")
    print("|---|---|---|")
    for case in CASES:
        print(f"| {case.name} | {worst([simulate(replace(case, seed=seed)) for seed in SEEDS])} |")
    print()
    print("| another client, 600 images | makespan / optimum | 429s |")
    print("|---|---|---|")
    for bucket, case in BUCKETS.items():
        for client in CLIENTS:
            results = [simulate_other(replace(case, seed=seed), client) for seed in SEEDS]
            print(f"| {client}, {bucket} | {worst(results)} |")


if __name__ == "__main__":
    main()

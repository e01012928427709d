from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.engines import EmbeddedEngine
from ingestor.errors import DiskFault, LedgerUnreadable
from ingestor.model import (
    Digest,
    Done,
    DoneAs,
    FileId,
    FileIdentity,
    IdempotencyKey,
    Lane,
    Outcome,
    QueuedSource,
    Snoozed,
    SourceFile,
)
from tests.fakes import FakeClock, RecordingObserver

IDENTITY = FileIdentity(device=1, inode=2, size_bytes=3, mtime_ns=4, ctime_ns=5)
DONE = Done(how=DoneAs.UPLOADED, file_id=FileId("file_1"), digest=Digest("d"), key=IdempotencyKey("k"))


class Line:
    """The part of a ledger that an engine asks for."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.waiting: dict[str, tuple[QueuedSource, datetime]] = {}
        self.fault: Exception | None = None

    def put(self, path: str, lane: Lane = Lane.FRESH, in_seconds: float = 0.0, hours_left: float = 24.0) -> None:
        source = SourceFile(folder="f", root=Path("/f"), path=path, identity=IDENTITY)
        since = self._clock.now() - timedelta(hours=24 - hours_left)
        queued = QueuedSource(source=source, context="", lane=lane, attempt=0, since=since)
        self.waiting[path] = (queued, self._clock.now() + timedelta(seconds=in_seconds))

    async def due(
        self, lane: Lane, limit: int, batch: str | None = None, folders: Sequence[str] | None = None
    ) -> list[QueuedSource]:
        if self.fault:
            raise self.fault
        now = self._clock.now()
        due = [queued for queued, at in self.waiting.values() if queued.lane is lane and at <= now]
        return sorted(due, key=lambda queued: queued.since or now)[:limit]

    async def next_ready_at(self, batch: str | None = None, folders: Sequence[str] | None = None) -> datetime | None:
        return min((at for _, at in self.waiting.values()), default=None)


class Flow:
    """An `ingest_one` that takes a second and tells who was in it."""

    def __init__(self, clock: FakeClock, line: Line) -> None:
        self._clock = clock
        self._line = line
        self.inside: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.most: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.ended: list[str] = []
        self.outcomes: dict[str, list[Outcome | Exception]] = {}

    async def __call__(self, queued: QueuedSource) -> Outcome:
        lane, path = queued.lane, queued.source.path
        self.inside[lane] += 1
        self.most[lane] = max(self.most[lane], self.inside[lane])
        try:
            await self._clock.sleep(1.0)
        finally:
            self.inside[lane] -= 1
        script = self.outcomes.get(path)
        outcome = script.pop(0) if script else DONE
        if isinstance(outcome, Exception):
            raise outcome
        self.ended.append(path)
        if isinstance(outcome, Snoozed):
            self._line.put(path, lane, outcome.delay_seconds)
        else:
            self._line.waiting.pop(path, None)
        return outcome


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def line(clock: FakeClock) -> Line:
    return Line(clock)


@pytest.fixture
def flow(clock: FakeClock, line: Line) -> Flow:
    return Flow(clock, line)


def engine_of(clock: FakeClock, line: Line, flow: Flow, observer: RecordingObserver | None = None) -> EmbeddedEngine:
    return EmbeddedEngine(
        ledger=line,  # type: ignore[arg-type]
        ingest=flow,
        clock=clock,
        observer=observer or RecordingObserver(),
        places=2,
    )


async def run_until_empty(engine: EmbeddedEngine, line: Line, clock: FakeClock) -> None:
    running = asyncio.create_task(engine.run())
    while line.waiting and not running.done():
        await clock.sleep(0.1)
    engine.stop()
    await running


async def test_everything_in_line_is_worked_on_with_at_most_so_many_at_once(
    clock: FakeClock, line: Line, flow: Flow
) -> None:
    for number in range(7):
        line.put(f"{number}")
    await run_until_empty(engine_of(clock, line, flow), line, clock)
    assert sorted(flow.ended) == [str(number) for number in range(7)]
    assert flow.most[Lane.FRESH] == 2


async def test_a_fresh_drop_has_a_place_however_long_the_backlog(clock: FakeClock, line: Line, flow: Flow) -> None:
    for number in range(50):
        line.put(f"old{number}", Lane.BACKFILL)
    engine = engine_of(clock, line, flow)
    running = asyncio.create_task(engine.run())
    while not flow.ended:
        await clock.sleep(0.1)
    line.put("fresh", Lane.FRESH)
    engine.wake()
    while "fresh" not in flow.ended:
        await clock.sleep(0.1)
    assert len(flow.ended) < 10
    engine.stop()
    await running


async def test_a_snoozed_path_comes_again_when_its_time_has_come(clock: FakeClock, line: Line, flow: Flow) -> None:
    line.put("a")
    flow.outcomes["a"] = [Snoozed(reason="api", message="down", delay_seconds=30)]
    began = clock.monotonic()
    await run_until_empty(engine_of(clock, line, flow), line, clock)
    assert flow.ended == ["a", "a"]
    assert clock.monotonic() - began >= 31


async def test_a_disk_at_fault_pauses_the_intake_and_says_so_until_it_is_cured(
    clock: FakeClock, line: Line, flow: Flow
) -> None:
    observer = RecordingObserver()
    engine = engine_of(clock, line, flow, observer)
    line.put("a")
    line.fault = DiskFault("disk_full", "full")
    running = asyncio.create_task(engine.run())
    while "disk_paused" not in observer.events():
        await clock.sleep(0.1)
    await clock.sleep(60)
    line.fault = None
    while not flow.ended:
        await clock.sleep(0.1)
    engine.stop()
    await running
    assert observer.events().count("disk_paused") == 1
    assert "disk_resumed" in observer.events()


async def test_a_ledger_that_cannot_be_used_ends_the_engine(clock: FakeClock, line: Line, flow: Flow) -> None:
    line.put("a")
    flow.outcomes["a"] = [LedgerUnreadable("corrupt")]
    with pytest.raises(LedgerUnreadable):
        await engine_of(clock, line, flow).run()


async def test_stopping_lets_what_runs_end_and_begins_nothing_new(clock: FakeClock, line: Line, flow: Flow) -> None:
    for number in range(5):
        line.put(f"{number}")
    engine = engine_of(clock, line, flow)
    running = asyncio.create_task(engine.run())
    while engine.running < 2:
        await clock.sleep(0.1)
    engine.stop()
    await running
    assert len(flow.ended) == 2


async def test_aborting_ends_what_runs(clock: FakeClock, line: Line, flow: Flow) -> None:
    line.put("a")
    engine = engine_of(clock, line, flow)
    running = asyncio.create_task(engine.run())
    while not engine.running:
        await clock.sleep(0.1)
    engine.abort()
    await running
    assert flow.ended == []
    assert engine.is_idle


async def test_an_engine_that_is_idle_or_held_at_the_gate_still_comes_round() -> None:
    clock = FakeClock()
    line, gate = Line(clock), asyncio.Event()
    engine = EmbeddedEngine(
        ledger=line,  # type: ignore[arg-type]
        ingest=Flow(clock, line),  # type: ignore[arg-type]
        clock=clock,
        observer=RecordingObserver(),
        places=1,
        ready=gate.wait,  # type: ignore[arg-type]
    )
    running = asyncio.create_task(engine.run())
    await asyncio.sleep(0)
    clock.advance(86_400)
    assert engine.turned_at == clock.monotonic(), "held at the gate"
    gate.set()
    await clock.sleep(600)
    assert clock.monotonic() - engine.turned_at <= 1.0, "idle: it looks at the ledger every second"
    engine.stop()
    await running
    clock.advance(50)
    assert clock.monotonic() - engine.turned_at >= 50, "stopped"


async def test_a_path_that_ends_while_the_line_is_asked_for_is_not_begun_again(
    clock: FakeClock, line: Line, flow: Flow
) -> None:
    class SlowLine(Line):
        async def due(self, *arguments: Any, **more: Any) -> list[QueuedSource]:
            answer = await super().due(*arguments, **more)
            await self._clock.sleep(1.5)
            return answer

    slow = SlowLine(clock)
    flow = Flow(clock, slow)
    for number in range(6):
        slow.put(f"{number}")
    await run_until_empty(engine_of(clock, slow, flow), slow, clock)
    assert sorted(flow.ended) == [str(number) for number in range(6)]


async def test_a_renewal_near_its_end_never_waits_behind_those_that_have_hours_left(
    clock: FakeClock, line: Line, flow: Flow
) -> None:
    engine = engine_of(clock, line, flow)
    for number in range(9):
        line.put(f"{number}", Lane.RENEWAL, hours_left=20.0 + number)
    running = asyncio.create_task(engine.run())
    await clock.sleep(0.5)
    line.put("near", Lane.RENEWAL, hours_left=0.4)
    line.put("nearly", Lane.RENEWAL, hours_left=3.0)
    engine.wake()
    await clock.sleep(0.1)
    assert flow.inside[Lane.RENEWAL] == 3
    while line.waiting:
        await clock.sleep(0.1)
    engine.stop()
    await running
    assert flow.ended[:4] == ["0", "1", "near", "nearly"]
    assert flow.most[Lane.RENEWAL] == 3

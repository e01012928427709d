"""Engines of several machines in one process: a real database, a flow that does as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ingestor.engines.cluster import ClusterEngine
from ingestor.engines.cluster_worker import Timing
from ingestor.ledger.postgres.claims import Claim
from ingestor.ledger.postgres.desk import JobDesk
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.model import Digest, Done, DoneAs, FileId, IdempotencyKey, Lane, Outcome, QueuedSource
from ingestor.policy.jobs import SHARED_QUEUE
from ingestor.runtime.cluster import _queue
from ingestor.runtime.system_clock import SystemClock
from tests.fakes import RecordingObserver
from tests.ledger_kit import sighting
from tests.postgres_kit import database, new_database

QUICK = Timing(stale_seconds=1.2)

DONE = Done(
    how=DoneAs.UPLOADED,
    file_id=FileId("file_1"),
    digest=Digest("0" * 64),
    key=IdempotencyKey("ing1-x"),
    normalised=("resized",),
)
Flow = Callable[[QueuedSource], Awaitable[Outcome]]


class Machine:
    """One process: a ledger, the queue, and an engine."""

    def __init__(self, name: str, ledger: PostgresLedger, app: Any) -> None:
        self.name = name
        self.ledger = ledger
        self.app = app
        self.clock = SystemClock()
        self.desk = JobDesk(app.connector, self.clock)
        self.observer = RecordingObserver()
        self.begun: list[str] = []
        self.ended: list[tuple[str, Outcome]] = []
        self.engine: Any = None
        self.running: asyncio.Task[None] | None = None

    async def finish(self, queued: QueuedSource) -> Outcome:
        """The shortest flow: the path is done with."""
        await self.ledger.finish(queued.source, None)
        return DONE

    def start(self, flow: Flow | None = None, *, timing: Timing = QUICK, places: int = 4, **more: Any) -> None:
        async def ingest(queued: QueuedSource) -> Outcome:
            self.begun.append(queued.source.path)
            return await (flow or self.finish)(queued)

        self.engine = ClusterEngine(
            app=self.app,
            desk=self.desk,
            bases=[SHARED_QUEUE],
            folders=more.pop("folders", ["inbox"]),
            timing=timing,
            ledger=self.ledger,
            locks=self.ledger.locks,
            ingest=ingest,
            clock=self.clock,
            observer=self.observer,
            places=places,
            who={"station": self.name},
            ended=lambda queued, outcome: self.ended.append((queued.source.path, outcome)),
            **more,
        )
        self.running = asyncio.create_task(self.engine.run())

    async def stop(self) -> None:
        if self.running is not None:
            self.engine.stop()
            await asyncio.wait_for(self.running, 20)


class Field:
    """A database and the machines around it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.url = new_database()

    async def machine(self, name: str = "one") -> Machine:
        ledger = PostgresLedger(database(self.url), SystemClock(), station=name)
        self.stack.push_async_callback(ledger.close)
        app = await self.stack.enter_async_context(_queue(ledger))
        machine = Machine(name, ledger, app)
        self.stack.push_async_callback(_end, machine)
        return machine

    async def ask(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            cursor = await connection.execute(query, parameters)  # type: ignore[call-overload]
            return await cursor.fetchall() if cursor.description else []

    async def jobs(self) -> list[dict[str, Any]]:
        return await self.ask("SELECT * FROM procrastinate_jobs ORDER BY id")

    async def until(self, is_so: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while True:
                value = is_so()
                if value if isinstance(value, bool) else await value:
                    return
                await asyncio.sleep(0.02)

    async def until_no_jobs(self, seconds: float = 20.0) -> None:
        async def none() -> bool:
            return not await self.jobs()

        await self.until(none, seconds)


async def _end(machine: Machine) -> None:
    if machine.running is not None and not machine.running.done():
        machine.engine.abort()
        await asyncio.wait({machine.running}, timeout=10)


async def take(machine: Machine, *paths: str, lane: Lane = Lane.FRESH, batch: str | None = None) -> None:
    await machine.ledger.take([sighting(path) for path in paths], lane, batch)


def claim(name: str = "inbox", *, queue: str = SHARED_QUEUE, root: str = "/in", shared: bool = True) -> Claim:
    return Claim(name=name, root=root, queue=queue, shared=shared)


def names(number: int) -> Sequence[str]:
    return [f"{one}.jpg" for one in range(number)]

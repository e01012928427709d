"""procrastinate's worker, made to survive: databases that restart, drains that last, processes that are frozen.

What is changed, and why, stands with each method; the private ones that are overridden are why `==3.10.*` is pinned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from procrastinate import App, exceptions, job_context, jobs, retry, utils
from procrastinate import worker as stock

from ingestor.model import Lane
from ingestor.policy.jobs import lane_of_queue, queues
from ingestor.ports import Clock

AWAY_SECONDS = 1.0
"""Between tries to reach a database that is away."""
POLL_SECONDS = 2.0
"""Between looks for jobs, should a notification be lost."""

# It logs each job, at length, under names of its own; the flow tells the same in the program's words.
logging.getLogger("procrastinate").addHandler(logging.NullHandler())
logging.getLogger("procrastinate").propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often a worker shows that it lives, and after what silence it is taken for dead."""

    stale_seconds: float = 30.0

    @property
    def beat_seconds(self) -> float:
        return self.stale_seconds / 6

    @property
    def reap_seconds(self) -> float:
        return self.stale_seconds / 3


class Desk(Protocol):
    """What a worker does with the queue besides fetching: `ledger.postgres.desk.JobDesk`."""

    async def beat(self, worker_id: int) -> bool: ...

    async def reclaim(self, worker_id: int, jobs: Sequence[int]) -> int: ...


class PutBack(retry.BaseRetryStrategy):
    """Whatever ended a job early, it is not the job's fault: it goes back. The flow has its own kinds of retries."""

    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> retry.RetryDecision | None:
        return retry.RetryDecision(retry_at=None)


class Worker(stock.Worker):
    """Takes jobs lane by lane, with places of its own for each, until it is stopped; `run` never ends for any fault."""

    def __init__(
        self,
        app: App,
        *,
        desk: Desk,
        bases: Sequence[str],
        places: int,
        timing: Timing,
        clock: Clock,
        is_open: Callable[[], Awaitable[bool]],
        ended: Callable[[jobs.Job, Any, bool], Awaitable[None]],
        registered: Callable[[int], Awaitable[None]],
        reached: Callable[[Exception | None], None],
        beside: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (),
    ) -> None:
        """`bases` of the queues; `places` of each lane. `is_open`: whether jobs are wanted now; it may wait for that.

        `ended(job, result, is_whole)` ends a job where all jobs are kept; `reached` is told of the database's faults,
        and of their end; `beside` are loops that go on however often they fail.
        """
        super().__init__(
            app,
            queues=queues(bases),
            name=None,
            concurrency=places * len(Lane),
            fetch_job_polling_interval=POLL_SECONDS,
            install_signal_handlers=False,
            update_heartbeat_interval=timing.beat_seconds,
            stalled_worker_timeout=timing.stale_seconds,
        )
        self._desk = desk
        self._bases = bases
        self._places = places
        self._clock = clock
        self._is_open = is_open
        self._ended = ended
        self._registered = registered
        self._reached = reached
        self._beside = beside
        self._is_told_to_stop = False
        self._gives_up = False
        self._limits = dict.fromkeys(Lane, places)
        """Of places of a lane that are of use: what would wait for tokens for long is better left in the queue."""
        self.turned_at = clock.monotonic()

    # -- for the engine

    @property
    def job_ids(self) -> frozenset[int]:
        """Jobs that a task of ours runs."""
        return frozenset(context.job.id for context in self._running_jobs.values() if context.job.id is not None)

    @property
    def running(self) -> int:
        return len(self._running_jobs)

    def narrow(self, lane: Lane) -> None:
        """One in this lane has waited in vain for a token: fewer at once make the same progress, for less work."""
        self._limits[lane] = max(1, self._limits[lane] - 1)

    def widen(self, lane: Lane) -> None:
        """One in this lane came through."""
        self._limits[lane] = min(self._places, self._limits[lane] + 1)

    def wake(self) -> None:
        """There may be something new."""
        self._new_job_event.set()

    def stop(self) -> None:
        self._is_told_to_stop = True
        super().stop()  # type: ignore[no-untyped-call]

    def abort(self) -> None:
        """End what runs now, and wait for no database."""
        self.stop()
        self._gives_up = True
        for task in tuple(self._running_jobs):
            task.cancel()

    # -- its life

    async def run(self) -> None:
        """A database that is away when the worker starts is waited for."""
        while not self._is_told_to_stop:
            try:
                await super().run()  # type: ignore[no-untyped-call]
            except exceptions.ConnectorException as fault:
                self._reached(fault)
                await self._rest()
            else:
                return

    async def _rest(self) -> None:
        await utils.wait_any(asyncio.sleep(AWAY_SECONDS), self._stop_event.wait())

    async def _run_loop(self) -> None:
        if self._is_told_to_stop:
            # The stock worker forgets a request to stop that came before its first step.
            self._stop_event.set()
        assert self.worker_id is not None
        await self._registered(self.worker_id)
        await super()._run_loop()  # type: ignore[no-untyped-call]

    # -- fetching

    async def _fetch_and_process_jobs(self) -> None:
        """A database that is away ends nothing, and no lane takes the places of another."""
        while not self._stop_event.is_set():
            self.turned_at = self._clock.monotonic()
            self._new_job_event.clear()
            if not await self._is_open() or self._stop_event.is_set():
                return
            free = self._free_lanes()
            if not free or self.worker_id is None:
                return
            try:
                job = await self.app.job_manager.fetch_job(queues(self._bases, free), self.worker_id)
            except exceptions.ConnectorException as fault:
                self._reached(fault)
                return
            self._reached(None)
            if job is None:
                return
            self._begin(job)

    def _free_lanes(self) -> list[Lane]:
        taken = [lane_of_queue(context.job.queue) for context in self._running_jobs.values()]
        return [lane for lane in Lane if taken.count(lane) < self._limits[lane]]

    def _begin(self, job: jobs.Job) -> None:
        context = job_context.JobContext(
            app=self.app, job=job, abort_reason=lambda: None, start_timestamp=time.time(), worker_queues=self.queues
        )
        task = asyncio.create_task(self._process_job(context), name=f"job {job.id}")
        self._running_jobs[task] = context
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running_jobs.pop(task, None)
        if not task.cancelled():
            task.exception()  # what it was is told where it was met
        self.wake()

    async def _persist_job_status(
        self,
        job: jobs.Job,
        status: jobs.Status,
        retry_decision: retry.RetryDecision | None,
        context: job_context.JobContext,
        job_result: job_context.JobResult | None,
    ) -> None:
        """The stock worker tries this once: a job that ends while the database is away stays `doing` for ever."""
        result = None if job_result is None else job_result.result
        while True:
            try:
                await self._ended(job, result, status is jobs.Status.SUCCEEDED)
            except exceptions.ConnectorException as fault:
                self._reached(fault)
                if self._gives_up:
                    return
                await asyncio.sleep(AWAY_SECONDS)
            else:
                return

    def _log_job_outcome(self, *args: Any, **kwargs: Any) -> None:
        """Told by the flow itself."""

    # -- beside it

    def _start_side_tasks(self) -> list[asyncio.Task[Any]]:
        """Each goes on whatever befalls it. There are no periodic jobs here, and no requests to abort one."""
        loops = [("update_heartbeats", self._beat), ("listener", self._listen), *self._beside]
        return [asyncio.create_task(self._for_good(loop), name=name) for name, loop in loops]

    async def _for_good(self, loop: Callable[[], Awaitable[None]]) -> None:
        """The stock worker ends when a side task fails, and a restart of PostgreSQL fails them all."""
        while True:
            try:
                await loop()
            except Exception as fault:
                self._reached(fault)
            await asyncio.sleep(AWAY_SECONDS)

    async def _listen(self) -> None:
        await self.app.job_manager.listen_for_jobs(on_notification=self._handle_notification, queues=self.queues)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.update_heartbeat_interval)
            assert self.worker_id is not None
            if not await self._desk.beat(self.worker_id):
                await self._register_anew()

    async def _register_anew(self) -> None:
        """Frozen, or cut off, for so long that others took it for dead: what they have not taken is still ours."""
        self.worker_id = await self.app.job_manager.register_worker()
        await self._registered(self.worker_id)
        await self._desk.reclaim(self.worker_id, sorted(self.job_ids))

    # -- its end

    async def _shutdown(self, side_tasks: list[asyncio.Task[Any]]) -> None:
        """The heart beats until the last job has ended: the stock worker stops it first, and others run its jobs."""
        beating = [task for task in side_tasks if task.get_name() == "update_heartbeats"]
        await utils.cancel_and_capture_errors([task for task in side_tasks if task not in beating])
        try:
            while self._running_jobs:
                await asyncio.wait(set(self._running_jobs))
        finally:
            await utils.cancel_and_capture_errors(beating)
        try:
            assert self.worker_id is not None
            await self.app.job_manager.unregister_worker(self.worker_id)
        except exceptions.ConnectorException as fault:
            self._reached(fault)
        self.worker_id = None

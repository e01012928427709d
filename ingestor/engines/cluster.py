"""The flow on several machines: paths in line are jobs in a common database, and each machine takes what it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from procrastinate import App, exceptions, jobs
from procrastinate.job_context import JobContext

from ingestor.engines.cluster_reaping import Reaping, ReapingDesk
from ingestor.engines.cluster_run import Ended, Run, RunDesk, ended_before
from ingestor.engines.cluster_wire import pack
from ingestor.engines.cluster_worker import Desk, PutBack, Timing, Worker
from ingestor.engines.pausing import DiskPause
from ingestor.errors import DiskFault, IngestorError
from ingestor.model import Done, Json, Outcome, QueuedSource, Snoozed
from ingestor.policy.jobs import TASK
from ingestor.ports import Clock, Ingest, Ledger, Observer

TWIN_SECONDS = 0.5
"""Until a job comes again whose path is worked on already."""
UNKNOWN_SECONDS = 5.0
"""Until a job comes again whose folder is not in the settings of the machine that took it."""

QUOTA = "quota"
AWAY_REASONS = frozenset({"ledger", "ledger_busy"})


class ClusterDesk(Desk, ReapingDesk, RunDesk, Protocol):
    """Every job of the cluster, as this engine needs it: `ledger.postgres.desk.JobDesk`."""

    async def end(
        self, job_id: int, worker_id: int, folder: str, path: str, outcome: Mapping[str, Json] | None = None
    ) -> bool: ...

    async def describe(self, worker_id: int, facts: Mapping[str, Json]) -> None: ...

    def place_of(self, arguments: Mapping[str, Json]) -> tuple[str, str]:
        """Folder and path of a job."""


class PathLocks(Protocol):
    """Names that only one process holds at a time: `ledger.postgres.locks.Locks`."""

    async def try_acquire(self, name: str) -> bool: ...

    async def release(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What a job came to here: nothing, where the path did not wait any more."""

    queued: QueuedSource | None = None
    outcome: Outcome | None = None
    later: float | None = None
    """The job is not for us, or not now: somebody may take it after so many seconds."""


class ClusterEngine:
    """As `EmbeddedEngine`, for jobs: at most `places` of a lane at once, whichever machine has submitted them.

    `batch`: the run whose ends are told to `ended`, wherever its paths were worked on; None: each end that is met here.
    """

    def __init__(
        self,
        *,
        app: App,
        desk: ClusterDesk,
        bases: Sequence[str],
        folders: Collection[str],
        timing: Timing,
        ledger: Ledger,
        locks: PathLocks,
        ingest: Ingest,
        clock: Clock,
        observer: Observer,
        places: int,
        who: Mapping[str, Json],
        ready: Callable[[], Awaitable[None]] | None = None,
        is_ready: Callable[[], bool] = lambda: False,
        ended: Ended | None = None,
        batch: str | None = None,
        works: bool = True,
    ) -> None:
        """`bases` of the queues that jobs are taken from; `folders` that the flow knows; `who` this process is.

        Without `works` nothing is taken: others do the work.
        """
        self._desk = desk
        self._ledger = ledger
        self._locks = locks
        self._at_work: set[str] = set()
        self._ingest = ingest
        self._clock = clock
        self._observer = observer
        self._folders = folders
        self._who = dict(who)
        self._ready = ready
        self._is_ready = is_ready
        self._ended = ended
        self._run = None if batch is None else Run(batch, desk, clock=clock, ended=ended, reached=self._reached)
        self._works = works
        self._pause = DiskPause(clock, observer)
        self._away = DiskPause(clock, observer)
        """Of the database, whose return is noticed by itself."""
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._is_at_gate = False
        self._worker = Worker(
            app,
            desk=desk,
            bases=bases,
            places=places,
            timing=timing,
            clock=clock,
            is_open=self._is_open,
            ended=self._end,
            registered=self._describe,
            reached=self._reached,
            beside=Reaping(
                desk, timing=timing, clock=clock, observer=observer, held=self._held, again=self._wake_worker
            ).loops(),
        )
        app.task(name=TASK, pass_context=True, retry=PutBack())(self._run_job)

    # -- the contract

    @property
    def running(self) -> int:
        """How many paths are worked on here."""
        return self._worker.running

    @property
    def turned_at(self) -> float:
        """When the loop last came round (monotonic): now, while it is held at the gate, as it may be for days."""
        return self._clock.monotonic() if self._is_at_gate or self._holds else self._worker.turned_at

    @property
    def is_idle(self) -> bool:
        """Nothing is worked on here and, of a run, nothing anywhere, and every end has been told."""
        return not self.running and (self._run is None or self._run.is_told)

    def wake(self) -> None:
        """There is something new in line."""
        if self._run is not None:
            self._run.something_new()
        self._worker.wake()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what runs has ended."""
        self._stopping.set()
        self._worker.stop()

    def abort(self) -> None:
        """End what runs at once; another machine takes it up."""
        self._stopping.set()
        self._worker.abort()

    async def run(self) -> None:
        """Work until stopped. Raises `LedgerError`, and whatever else means that going on makes no sense."""
        telling = [] if self._run is None else [asyncio.create_task(self._run.tell_for_good())]
        try:
            if self._works:
                await self._worker.run()
            else:
                await self._stopping.wait()
        finally:
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)
        if self._run is not None:
            await self._run.tell()
        if self._failure is not None:
            raise self._failure

    # -- one job

    async def _run_job(self, context: JobContext, /, **arguments: Json) -> _Attempt:
        """The flow for a path, as it stands in line now."""
        folder, path = self._desk.place_of(arguments)
        if folder not in self._folders:
            return _Attempt(later=UNKNOWN_SECONDS)
        name = f"path {folder}/{arguments['directory']}/{arguments['name']}"
        try:
            if name in self._at_work or not await self._locks.try_acquire(name):
                # It was put in line again while it is worked on; the queue's own lock covers only jobs that wait.
                return _Attempt(later=TWIN_SECONDS)
            self._at_work.add(name)
            try:
                return await self._attempt(folder, path, is_counted=arguments.get("batch") is not None)
            finally:
                self._at_work.discard(name)
                await self._locks.release(name)
        except DiskFault as fault:
            self._away.failed(fault.reason, str(fault))
            return _Attempt(later=fault.retry_seconds)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A ledger that cannot be used, or a fault of ours outside of the flow: nothing can go on here.
            self._failure = self._failure or error
            self.stop()
            raise

    async def _attempt(self, folder: str, path: str, *, is_counted: bool) -> _Attempt:
        queued = await self._ledger.in_line(folder, path)
        if queued is None:
            before = ended_before(await self._ledger.find("", [(folder, path)])) if is_counted else None
            return _Attempt() if before is None else _Attempt(queued=before[0], outcome=before[1])
        outcome = await self._ingest(queued)
        if isinstance(outcome, Snoozed) and outcome.reason in AWAY_REASONS:
            self._away.failed(outcome.reason, outcome.message)
        else:
            self._pause.notice(outcome)
        if isinstance(outcome, Snoozed) and outcome.reason == QUOTA:
            self._worker.narrow(queued.lane)
        elif isinstance(outcome, Done):
            self._worker.widen(queued.lane)
        return _Attempt(queued=queued, outcome=outcome)

    async def _end(self, job: jobs.Job, result: Any, is_whole: bool) -> None:
        """The job's end where all jobs are kept, and then, if it was ours still, in the numbers."""
        attempt = result if is_whole and isinstance(result, _Attempt) else _Attempt(later=0.0)
        worker_id, job_id = self._worker.worker_id, job.id
        assert job_id is not None
        assert worker_id is not None
        if attempt.later is not None:
            await self._desk.put_back_held(job_id, worker_id, attempt.later)
            return
        batch = job.task_kwargs.get("batch")
        ours = None if self._run is None else self._run.batch
        told = pack(attempt.queued, attempt.outcome) if attempt.queued and attempt.outcome else None
        is_told_here = batch is None or batch == ours
        folder, path = self._desk.place_of(job.task_kwargs)
        was_held = await self._desk.end(job_id, worker_id, folder, path, None if is_told_here else told)
        self._reached(None)
        is_counted = ours is None or batch == ours
        if was_held and is_counted and attempt.queued and attempt.outcome and self._ended:
            self._ended(attempt.queued, attempt.outcome)
        if self._run is not None:
            self._run.something_new()

    # -- the intake

    @property
    def _holds(self) -> bool:
        return self._pause.holds or self._away.holds

    async def _is_open(self) -> bool:
        if self._holds or self._failure is not None:
            return False
        if self._ready is None or self._is_ready():
            return True
        gate = asyncio.ensure_future(self._ready())
        stopping = asyncio.ensure_future(self._stopping.wait())
        self._is_at_gate = True
        try:
            await asyncio.wait({gate, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_at_gate = False
            for task in (gate, stopping):
                task.cancel()
        ended, _ = await asyncio.gather(gate, stopping, return_exceptions=True)
        if isinstance(ended, IngestorError):
            self.stop()
        elif isinstance(ended, Exception):
            self._failure = self._failure or ended
            self.stop()
        return not self._stopping.is_set()

    def _reached(self, fault: Exception | None) -> None:
        """The database was asked: None, and it has answered."""
        if fault is None:
            self._away.went_well()
        elif isinstance(fault, exceptions.ConnectorException):
            self._away.failed("ledger", f"the ledger's database cannot be reached ({_reason(fault)})")
        else:
            self._observer.notice("internal_fault", where="cluster", error=fault)

    def _held(self) -> tuple[int | None, frozenset[int]]:
        return self._worker.worker_id, self._worker.job_ids

    def _wake_worker(self) -> None:
        self._worker.wake()

    async def _describe(self, worker_id: int) -> None:
        await self._desk.describe(worker_id, self._who)


def _reason(fault: Exception) -> str:
    cause = fault.__cause__ or fault
    return " ".join(str(cause).split()) or type(cause).__name__

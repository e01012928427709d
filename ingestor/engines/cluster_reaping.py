"""Jobs that nobody works on, found and given to somebody: in every worker, for any of them may be the last one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ingestor.engines.cluster_worker import Timing
from ingestor.ports import Clock, Observer

MISSING_SECONDS = 300.0
"""Between looks at whether every path in line has a job: only a copy or a restored backup leaves some without."""
PRUNE_SECONDS = 600.0
KEPT_SECONDS = 3600.0
"""How long an end is kept for a run that counts it; whoever has not asked by then is gone."""


class Held(Protocol):
    """A job that is being worked on, by whom."""

    @property
    def job_id(self) -> int: ...

    @property
    def worker_id(self) -> int | None: ...


class ReapingDesk(Protocol):
    """What reaping does with jobs: `ledger.postgres.desk.JobDesk`."""

    async def stalled(self, stale_seconds: float) -> Sequence[Held]: ...

    async def put_back_held(self, job_id: int, worker_id: int | None, seconds: float = 0.0) -> bool: ...

    async def held_by(self, worker_id: int) -> frozenset[int]: ...

    async def bury(self, stale_seconds: float) -> None: ...

    async def prune(self, seconds: float) -> int: ...

    async def defer_missing(self) -> int: ...


class Reaping:
    """The loops. Each may fail at any time, and is begun again by whoever runs it."""

    def __init__(
        self,
        desk: ReapingDesk,
        *,
        timing: Timing,
        clock: Clock,
        observer: Observer,
        held: Callable[[], tuple[int | None, frozenset[int]]],
        again: Callable[[], None],
    ) -> None:
        """`held`: this worker's number, and the jobs that it runs; `again`: there is something to be fetched."""
        self._desk = desk
        self._timing = timing
        self._clock = clock
        self._observer = observer
        self._held = held
        self._again = again
        self._suspects: frozenset[int] = frozenset()

    def loops(self) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("reap", self._reap_for_good),
            ("own", self._own_for_good),
            ("missing", self._missing_for_good),
            ("prune", self._prune_for_good),
        ]

    async def reap(self) -> int:
        """Put back what dead workers held; how many."""
        number = 0
        for job in await self._desk.stalled(self._timing.stale_seconds):
            number += await self._desk.put_back_held(job.job_id, job.worker_id)
        await self._desk.bury(self._timing.stale_seconds)
        self._tell("jobs_reaped", number)
        return number

    async def look_at_own(self) -> int:
        """Put back what we hold by the database's account and do not work on; how many.

        A connection that breaks while a job is fetched leaves one. Twice in a row, for what was fetched this very
        moment has no task yet.
        """
        worker_id, running = self._held()
        if worker_id is None:
            return 0
        suspects = await self._desk.held_by(worker_id) - running
        orphans = (suspects & self._suspects) - self._held()[1]
        self._suspects = suspects - orphans
        number = 0
        for job_id in sorted(orphans):
            number += await self._desk.put_back_held(job_id, worker_id)
        self._tell("jobs_orphaned", number)
        return number

    def _tell(self, event: str, number: int) -> None:
        if number:
            self._observer.notice(event, number=number)
            self._again()

    async def _reap_for_good(self) -> None:
        while True:
            await self.reap()
            await self._clock.sleep(self._timing.reap_seconds)

    async def _own_for_good(self) -> None:
        while True:
            await self._clock.sleep(self._timing.reap_seconds / 2)
            await self.look_at_own()

    async def _missing_for_good(self) -> None:
        while True:
            self._tell("jobs_missing", await self._desk.defer_missing())
            await self._clock.sleep(MISSING_SECONDS)

    async def _prune_for_good(self) -> None:
        while True:
            await self._clock.sleep(PRUNE_SECONDS)
            await self._desk.prune(KEPT_SECONDS)

"""The flow in this process: paths whose turn it is, taken from the ledger lane by lane, several at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ingestor.engines.pausing import DiskPause
from ingestor.errors import DiskFault, IngestorError
from ingestor.model import Lane, Outcome, QueuedSource
from ingestor.policy.forecast import ID_SECONDS
from ingestor.policy.renewing import MARGIN_SECONDS
from ingestor.ports import Clock, Ingest, Ledger, Observer

LOOK_SECONDS = 1.0
"""Between looks at the ledger for what other programs (`retry`, `renew`) put in line."""

READ_AHEAD = 64
"""Paths of a lane that are asked for at once."""

Ended = Callable[[QueuedSource, Outcome], None]
_Key = tuple[str, str]


class EmbeddedEngine:
    """Runs one flow for each path in line, at most `places` of a lane at once.

    Each lane has places of its own, so that a fresh drop never waits behind a backlog: who of them gets the next
    token is the quota's decision. Renewals near their end have as many again. `ready` is the gate before the intake:
    it returns when new work is wanted, which `is_ready` says at once where it is so.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        ingest: Ingest,
        clock: Clock,
        observer: Observer,
        places: int,
        ready: Callable[[], Awaitable[None]] | None = None,
        is_ready: Callable[[], bool] = lambda: False,
        ended: Ended | None = None,
        batch: str | None = None,
        folders: Sequence[str] | None = None,
    ) -> None:
        self._ledger = ledger
        self._ingest = ingest
        self._clock = clock
        self._places = places
        self._ready = ready
        self._is_ready = is_ready
        self._ended = ended
        self._batch = batch
        self._folders = folders
        self._waiting: dict[Lane, deque[QueuedSource]] = {lane: deque() for lane in Lane}
        self._running: dict[_Key, Lane] = {}
        self._empty_until: dict[Lane, float] = dict.fromkeys(Lane, 0.0)
        """Nobody new is in these lanes, unless somebody says so, before (monotonic): not asked for with each end."""
        self._ended_meanwhile: set[_Key] = set()
        """Whose flow has ended since the line was last asked for: the answer may still tell of them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._failure: BaseException | None = None
        self._turned_at = clock.monotonic()
        self._is_at_gate = False
        self._pause = DiskPause(clock, observer)

    @property
    def running(self) -> int:
        """How many paths are worked on now."""
        return len(self._running)

    @property
    def turned_at(self) -> float:
        """When the loop last came round (monotonic): now, while it is held at the gate, as it may be for days."""
        return self._clock.monotonic() if self._is_at_gate else self._turned_at

    @property
    def is_idle(self) -> bool:
        """Nothing is worked on, and nothing that was read from the line waits here."""
        return not self._running and not any(self._waiting.values())

    def wake(self) -> None:
        """There is something new in line."""
        self._look_everywhere()
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what runs has ended."""
        self._stopping = True
        self._wake.set()

    def abort(self) -> None:
        """End what runs at once; the ledger takes it up again at the next start."""
        self.stop()
        for task in tuple(self._tasks):
            task.cancel()

    async def run(self) -> None:
        """Work until stopped. Raises `LedgerError`, and whatever else means that going on makes no sense."""
        while not self._stopping and self._failure is None:
            self._turned_at = self._clock.monotonic()
            self._wake.clear()
            await self._pass_gate()
            if self._stopping or self._failure is not None:
                break
            if not await self._begin():
                await self._rest()
        await self._drain()
        if self._failure is not None:
            raise self._failure

    async def _pass_gate(self) -> None:
        if self._ready is None or self._is_ready():
            return
        gate = asyncio.ensure_future(self._ready())
        wake = asyncio.ensure_future(self._stopped())
        self._is_at_gate = True
        try:
            await asyncio.wait({gate, wake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_at_gate = False
            self._turned_at = self._clock.monotonic()
        for task in (gate, wake):
            task.cancel()
        ended, _ = await asyncio.gather(gate, wake, return_exceptions=True)
        if isinstance(ended, IngestorError):
            self._stopping = True
        elif isinstance(ended, Exception):
            self._failure = self._failure or ended

    async def _stopped(self) -> None:
        while not self._stopping and self._failure is None:
            self._wake.clear()
            await self._wake.wait()

    async def _begin(self) -> bool:
        """Begin what there are places for; whether anything was begun."""
        begun = False
        if self._pause.holds:
            return False
        for lane in Lane:
            while not self._stopping and (queued := await self._next(lane)) is not None:
                if queued.source.key in self._running:
                    continue
                self._running[queued.source.key] = lane
                task = asyncio.create_task(self._one(queued))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                begun = True
        return begun

    async def _next(self, lane: Lane) -> QueuedSource | None:
        """The next of a lane, taken from those that were read ahead; None where there is none, or no place for it."""
        taken = sum(other is lane for other in self._running.values())
        if taken >= self._places * (2 if lane is Lane.RENEWAL else 1):
            return None
        if not self._waiting[lane] and not await self._look(lane):
            return None
        # Those before it may have hours left, and wait for tokens as long as there are fresh drops.
        if taken >= self._places and not self._is_near_its_end(self._waiting[lane][0]):
            return None
        return self._waiting[lane].popleft()

    def _is_near_its_end(self, renewal: QueuedSource) -> bool:
        """Whether the id that it replaces ends within the margin that its successor is planned with."""
        since = renewal.since or self._clock.now()
        return (self._clock.now() - since).total_seconds() >= ID_SECONDS - MARGIN_SECONDS

    async def _look(self, lane: Lane) -> bool:
        """Read ahead in a lane; whether there is anything that does not run already."""
        if self._clock.monotonic() < self._empty_until[lane]:
            return False
        self._ended_meanwhile.clear()
        self._empty_until[lane] = self._clock.monotonic() + LOOK_SECONDS
        try:
            due = await self._ledger.due(lane, READ_AHEAD + len(self._running), self._batch, self._folders)
        except DiskFault as fault:
            self._pause.failed(fault.reason, str(fault))
            return False
        known = self._running.keys() | self._ended_meanwhile
        fresh = [queued for queued in due if queued.source.key not in known]
        self._waiting[lane].extend(fresh)
        if fresh:
            self._empty_until[lane] = 0.0
        return bool(fresh)

    def _look_everywhere(self) -> None:
        self._empty_until = dict.fromkeys(Lane, 0.0)
        # Who comes to this lane may go before those that were read ahead.
        self._waiting[Lane.RENEWAL].clear()

    async def _one(self, queued: QueuedSource) -> None:
        try:
            outcome = await self._ingest(queued)
            self._pause.notice(outcome)
            if self._ended is not None:
                self._ended(queued, outcome)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A ledger that cannot be used, or a fault of ours outside of the flow: nothing can go on.
            self._failure = self._failure or error
        finally:
            del self._running[queued.source.key]
            self._ended_meanwhile.add(queued.source.key)
            self._wake.set()

    async def _rest(self) -> None:
        """Until a place is free, something new is told, or the next path's turn comes."""
        # Those who wait here wait for a place, which `_one` tells of.
        seconds = LOOK_SECONDS if any(self._waiting.values()) else await self._seconds_to_next()
        sleep = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.001)))
        wake = asyncio.ensure_future(self._wake.wait())
        try:
            done, _ = await asyncio.wait({sleep, wake}, return_when=asyncio.FIRST_COMPLETED)
            if sleep in done:
                self._look_everywhere()
        finally:
            sleep.cancel()
            wake.cancel()

    async def _seconds_to_next(self) -> float:
        """Until the next path's turn comes, at most `LOOK_SECONDS`."""
        try:
            ready_at = await self._ledger.next_ready_at(self._batch, self._folders)
        except DiskFault as fault:
            self._pause.failed(fault.reason, str(fault))
            return LOOK_SECONDS
        if ready_at is None and not self._running and not self._pause.holds:
            # The ledger answers, and nobody is left in line who could show that the disk is well.
            self._pause.went_well()
        if ready_at is None or self._pause.holds:
            return LOOK_SECONDS
        until = (ready_at - self._clock.now()).total_seconds()
        return min(LOOK_SECONDS, until) if until > 0 else LOOK_SECONDS

    async def _drain(self) -> None:
        """What runs ends; where nothing can go on, at once: it might wait for the API for days."""
        if self._failure is not None:
            self.abort()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

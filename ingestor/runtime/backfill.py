"""One pass: everything in the given folders once through the flow, then an end with numbers that add up."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ParamSpec, TypeVar

from ingestor.errors import DiskFault
from ingestor.model import Lane, Outcome, QueuedSource, Retry, Snoozed, SourceFile
from ingestor.pipeline import ingest_one
from ingestor.policy.endings import INTERNAL, STOPPING
from ingestor.runtime.adhoc import adhoc_folders
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.engine import engine_of
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.hooks import Hooks
from ingestor.runtime.memory import Memory
from ingestor.runtime.now import HeldUp, held_up
from ingestor.runtime.parts import Parts
from ingestor.runtime.recovery import finish_quarantined, leave_unserved, recover
from ingestor.runtime.tally import MOST_PROBLEMS, Tally
from ingestor.stages.discover import DropFolder

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 3
"""How many times a file may be found unready, for its own reasons, before it is left for the next run."""

HOOKS_SECONDS = 10.0
"""How long the end of a run waits for hooks; what they have not taken then is taken up by the next run."""

LOOK_SECONDS = 0.02
"""Between looks at whether all is done, at the end of a run."""

FILE_REASONS = frozenset({"changed", "busy", "unreadable", "empty"})
"""Of `SourceNotReady`: the file's own state. A truncated one has an end of its own (`truncation_is_final`)."""

UNREADABLE = "unreadable"
UNREADABLE_COSTS = 2
"""Of the patience: somebody has to change the file's permissions, and a run does not wait long for that."""

REFUSALS = frozenset({"key", "scope", "balance"})


class Ended(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    """The API refuses us."""
    OUT_OF_TIME = "out_of_time"
    STOPPED = "stopped"
    """By `--on-errors`."""
    INTERRUPTED = "interrupted"
    FAULT = "fault"
    """Of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A folder, and what of it is wanted: None is everything, else these files and directories in it."""

    folder: DropFolder
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends before everything is done."""

    most_errors: int | None = None
    """`--on-errors`: so many quarantined images end the run; None: none does."""
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    ended: Ended
    message: str
    tally: Tally


class Backfill:
    """One pass over `selections`, and over what is in line under `batch` already (`in_line` paths)."""

    def __init__(
        self,
        parts: Parts,
        selections: Sequence[Selection],
        limits: Limits,
        *,
        batch: str | None = None,
        in_line: int = 0,
        submit_only: bool = False,
    ) -> None:
        """`submit_only`: the run ends when all is in line, for other machines to work on."""
        self._parts = parts
        self._submit_only = submit_only
        self._selections = selections
        self._limits = limits
        self._batch = batch or secrets.token_hex(8)
        self.tally = Tally(discovered=in_line)
        self._unready: dict[tuple[str, str], int] = {}
        self._last_words = ""
        self._held_up: HeldUp | None = None
        """At the deadline."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._end: tuple[Ended, str] | None = None
        self._ending = asyncio.Event()
        self._feeders = {
            selection.folder.name: Feeder(
                selection.folder,
                ledger=parts.ledger,
                clock=parts.clock,
                observer=parts.observer,
                fed=self._fed,
                batch=self._batch,
                tally=self.tally,
                patience=PATIENCE,
                revive=True,
            )
            for selection in selections
        }
        self._engine = engine_of(
            parts,
            ingest=self._ingest,
            places=places(parts),
            ended=self._ended,
            batch=self._batch,
            works=not submit_only,
        )

    def interrupt(self, message: str = "interrupted") -> None:
        """End the run: what is in flight finishes, all else is left for the next run."""
        self._finish(Ended.INTERRUPTED, message)

    def abort(self) -> None:
        """End the run at once."""
        self._finish(Ended.INTERRUPTED, "interrupted")
        self._engine.abort()

    async def run(self) -> Report:
        """All of it. Raises `LedgerError` where the ledger cannot be used."""
        began = self._parts.clock.monotonic()
        ending = asyncio.create_task(self._until_ended())
        recovering = asyncio.create_task(self._recover())
        try:
            await asyncio.wait({recovering, ending}, return_when=asyncio.FIRST_COMPLETED)
            if recovering.done():
                recovering.result()
                await self._work(ending)
        finally:
            await _cancelled(recovering, ending)
        with contextlib.suppress(DiskFault):  # then nobody can tell what is left
            await self._count_deferred()
        if self._parts.cluster is not None:
            await self._parts.cluster.ledger.disband(self._batch)
        self.tally.seconds = self._parts.clock.monotonic() - began
        ended, message = self._end or (Ended.DONE, "")
        return Report(ended=ended, message=message, tally=self.tally)

    async def _recover(self) -> None:
        parts = self._parts
        # In a shared ledger other machines take up what is in line in their folders.
        if parts.cluster is None:
            theirs = await self._patiently(adhoc_folders, parts.settings, parts.ledger)
            known = {folder.name for folder in (*parts.settings.folders, *parts.folders, *theirs)}
            await self._patiently(leave_unserved, parts.tools, sorted(known))
        await self._patiently(recover, parts.tools)

    async def _work(self, ending: asyncio.Task[None]) -> None:
        hooks = Hooks.of(self._parts)
        await self._patiently(hooks.open)
        memory = Memory(self._parts.snapshots, ledger=self._parts.ledger, clock=self._parts.clock)
        helpers = [asyncio.create_task(memory.run()), asyncio.create_task(hooks.run())]
        working = asyncio.create_task(self._engine.run())
        feeding = asyncio.create_task(self._feed())
        settling = [asyncio.create_task(feeder.settle_forever()) for feeder in self._feeders.values()]
        try:
            # A loop that fails ends the run: nobody would come to the end that it was to lead to.
            waited = {working, ending, feeding, *settling}
            while not (working.done() or ending.done()):
                done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await self._wind_up(working)
            await self._tidy_up()
            await hooks.finish(0.0 if self._is_cut_short else HOOKS_SECONDS)
        finally:
            self._engine.abort()
            await _cancelled(*helpers, *settling, feeding, working)
            await memory.save()

    async def _patiently(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await until_disk_is_well(self._parts.clock, self._parts.observer, call, *args, **kwargs)

    async def _ingest(self, queued: QueuedSource) -> Outcome:
        return await ingest_one(queued, self._parts.tools)

    def _fed(self) -> None:
        self._engine.wake()

    # -- feeding

    async def _feed(self) -> None:
        for selection in self._selections:
            feeder = self._feeders[selection.folder.name]
            if selection.only is None:
                await feeder.scan(Lane.BACKFILL)
                continue
            for path in selection.only:
                await self._feed_one(feeder, selection.folder, path)
        self.tally.scanned = True
        while not await self._is_all_done():
            await self._parts.clock.sleep(LOOK_SECONDS)
        self._finish(Ended.DONE, "")

    async def _feed_one(self, feeder: Feeder, folder: DropFolder, path: str) -> None:
        if (Path(folder.root) / path).is_dir():
            await feeder.scan(Lane.BACKFILL, "" if path == "." else path)
        else:
            await feeder.take_one(path, Lane.BACKFILL)

    async def _is_all_done(self) -> bool:
        if self._leaving or any(feeder.unsettled for feeder in self._feeders.values()):
            return False
        if self._submit_only:
            return True
        if not self._engine.is_idle:
            return False
        return await self._patiently(self._parts.ledger.count_waiting, self._batch) == 0

    # -- ending

    def _finish(self, ended: Ended, message: str) -> None:
        if self._end is None:
            self._end = (ended, message)
        self._ending.set()

    @property
    def _is_cut_short(self) -> bool:
        return self._end is not None and self._end[0] in (Ended.INTERRUPTED, Ended.OUT_OF_TIME)

    async def _until_ended(self) -> None:
        seconds = self._limits.deadline_seconds
        if seconds is None:
            await self._ending.wait()
            return
        deadline = asyncio.ensure_future(self._parts.clock.sleep(seconds))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({deadline, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline.cancel()
            ending.cancel()
        if not self._ending.is_set():
            self._held_up = held_up(self._parts, {})
            why = self._held_up.message if self._held_up else self._last_words
            self._finish(Ended.OUT_OF_TIME, f"the deadline has passed: {why}" if why else "the deadline has passed")

    async def _wind_up(self, working: asyncio.Task[None]) -> None:
        """Nothing new begins; what is in flight finishes, within `drain`."""
        if self._is_cut_short:
            self._parts.observer.notice("draining", in_flight=self._engine.running)
        self._engine.stop()
        self._parts.gate.stop()
        drained, _ = await asyncio.wait({working}, timeout=self._parts.settings.drain)
        if not drained:
            self._engine.abort()
        await working

    async def _tidy_up(self) -> None:
        """The manifest says how things are at the end: ids that were good at the beginning may have ended by now."""
        tools = self._parts.tools
        with contextlib.suppress(DiskFault):  # the next run does it
            expired = 0
            while number := await tools.ledger.expire():
                expired += number
            if tools.unfinished.is_set():
                await finish_quarantined(tools)
            elif expired:
                await tools.manifest.flush()

    def _ended(self, queued: QueuedSource, outcome: Outcome) -> None:
        if str(queued.source.absolute) in self.tally.closed:
            if isinstance(outcome, Snoozed | Retry):
                self._leave(queued.source)
            return
        if self.tally.end(queued, outcome):
            self._unready.pop(queued.source.key, None)
            self._check_errors()
        elif isinstance(outcome, Snoozed) and outcome.reason in REFUSALS:
            self._finish(Ended.REFUSED, outcome.message)
        elif isinstance(outcome, Snoozed | Retry) and outcome.reason != STOPPING:
            self._last_words = outcome.message
            if outcome.reason in FILE_REASONS or isinstance(outcome, Retry):
                self._unready_again(queued, outcome)

    def _check_errors(self) -> None:
        most = self._limits.most_errors
        if most is not None and self.tally.quarantined >= most:
            self._finish(Ended.STOPPED, f"stopped after {self.tally.quarantined} quarantined images (--on-errors)")

    def _unready_again(self, queued: QueuedSource, outcome: Snoozed | Retry) -> None:
        """Another try, or, after a few, another run."""
        key = queued.source.key
        self._unready[key] = self._unready.get(key, 0) + (UNREADABLE_COSTS if outcome.reason == UNREADABLE else 1)
        if self._unready[key] <= PATIENCE:
            if outcome.reason in FILE_REASONS:
                self._look_again(queued)
            return
        self._close(queued.source)
        self.tally.defer(str(queued.source.absolute), outcome.reason, outcome.message, outcome.request_id)
        if outcome.reason == INTERNAL:
            self._end = self._end or (Ended.FAULT, outcome.message)
        self._leave(queued.source)

    def _leave(self, source: SourceFile) -> None:
        """A path stays in line, for another run than this one."""
        task = asyncio.create_task(self._patiently(self._parts.ledger.leave_batch, source))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _close(self, source: SourceFile) -> None:
        """What still becomes of a path in this run is not counted any more."""
        self.tally.close(str(source.absolute))
        feeder = self._feeders.get(source.folder)
        if feeder is not None:
            feeder.forget(source.path)

    def _look_again(self, queued: QueuedSource) -> None:
        feeder = self._feeders.get(queued.source.folder)
        if feeder is not None:
            feeder.look_again(queued.source, queued.lane)

    async def _count_deferred(self) -> None:
        """What was left in line, or has not settled, when the run ended."""
        for feeder in self._feeders.values():
            for path in feeder.unsettled_paths():
                self.tally.defer(f"{feeder.folder.root}/{path}", "settling", "has not settled yet")
        left = self.tally.discovered - self.tally.accounted
        if left <= 0:
            return
        entries = await self._parts.ledger.entries(
            states=["waiting"], batch=self._batch, limit=min(left, MOST_PROBLEMS)
        )
        for entry in entries:
            reason = entry.reason or self._reason_left()
            message = entry.message or self._why_left()
            self.tally.defer(f"{entry.root}/{entry.path}", reason, message, entry.request_id)
        self.tally.deferred += left - len(entries)

    def _reason_left(self) -> str:
        if self._submit_only:
            return "submitted"
        return self._held_up.reason if self._held_up else "stopped"

    def _why_left(self) -> str:
        if self._submit_only:
            return "is in line for other machines"
        waited_for = f" ({self._held_up.message})" if self._held_up else ""
        return f"the run ended before its turn came{waited_for}"


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    """Return when these have ended; what they raise does not matter any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def places(parts: Parts) -> int:
    """How many images of a lane are worked on at once: enough that uploads wait for neither workers nor disk.

    Each image is flushed to it four times, once for all that are at the same step.
    """
    workers = parts.settings.normalise.workers or 4
    return 2 * parts.settings.api.concurrency + 2 * workers

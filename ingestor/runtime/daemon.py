"""`watch`: drop folders watched and fed to the flow until stopped, then drained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

from ingestor.model import Outcome, QueuedSource, Snoozed
from ingestor.observe.recent import Recent
from ingestor.pipeline import ingest_one
from ingestor.runtime.backfill import FILE_REASONS, places
from ingestor.runtime.deletions import Deletions
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.engine import engine_of
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.folder_watch import FolderWatch
from ingestor.runtime.hooks import Hooks
from ingestor.runtime.memory import Memory
from ingestor.runtime.now import CHART_FACT, RUNTIME_FACT, status_now
from ingestor.runtime.parts import Parts
from ingestor.runtime.pulse import Phase, Pulse
from ingestor.runtime.reaper import Reaper
from ingestor.runtime.recovery import finish_quarantined, leave_unserved, recover
from ingestor.runtime.renewer import Renewer
from ingestor.runtime.retention import Retention

P = ParamSpec("P")

UNFINISHED_SECONDS = 5.0
"""Until what could not be put away is tried again."""


class Daemon:
    """All loops of a watching process."""

    def __init__(self, parts: Parts, recent: Recent, *, works: bool = True) -> None:
        """`works` False: what is found is left to other machines."""
        self._parts = parts
        self._recent = recent
        self._works = works
        self._serves = [folder.name for folder in parts.folders]
        self._stop = asyncio.Event()
        self._engine = engine_of(
            parts,
            ingest=self._ingest,
            places=self._places(),
            ended=self._ended,
            folders=self._serves,
            works=self._works,
        )
        self._feeders = {
            folder.name: Feeder(
                folder, ledger=parts.ledger, clock=parts.clock, observer=parts.observer, fed=self._engine.wake
            )
            for folder in parts.drop_folders()
        }
        self.pulse = Pulse(
            clock=parts.clock,
            engine=self._engine,
            settling=lambda: sum(feeder.unsettled for feeder in self._feeders.values()),
        )
        self._hooks = self._own_hooks()
        self._beside: list[Callable[[], Coroutine[Any, Any, None]]] = [self.pulse.run]
        if self._hooks is not None:
            self._beside.append(self._hooks.run)

    def beside(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Something that runs until all else has ended, the drain included, and on which nothing depends."""
        self._beside.append(run)

    def sentence(self) -> str:
        """What it is doing, in one line."""
        waiting_for = status_now(self._parts, self._recent)["waiting_for"]
        at_work = f"{self.pulse.working} at work, {self.pulse.settling} settling"
        return f"{at_work}; waits for {waiting_for}" if waiting_for else at_work

    def stop(self) -> None:
        """Take nothing new, finish what is in flight within `drain`, and return from `run`."""
        self._stop.set()

    def abort(self) -> None:
        """Return from `run` at once; the ledger takes up the rest at the next start."""
        self._stop.set()
        self._engine.abort()

    async def run(self) -> None:
        """Until stopped. Raises `LedgerError` where the ledger cannot be used any more."""
        if self._hooks is not None and not await self._has_done(self._hooks.open):
            return
        beside = [asyncio.create_task(run()) for run in self._beside]
        try:
            await self._run()
        finally:
            for one in beside:
                one.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _run(self) -> None:
        parts = self._parts
        # In a shared ledger other machines take up what is in line in their folders.
        if parts.cluster is None and not await self._has_done(leave_unserved, parts.tools, self._serves):
            return
        if not await self._has_done(recover, parts.tools):
            return
        await self._has_done(self._recall_chart)
        memory = Memory(self._facts(), seldom=self._large_facts(), ledger=parts.ledger, clock=parts.clock)
        reaper = Reaper(ledger=parts.ledger, manifest=parts.tools.manifest, clock=parts.clock, observer=parts.observer)
        retention = Retention(
            parts.settings.manifest,
            ledger=parts.ledger,
            manifest=parts.tools.manifest,
            clock=parts.clock,
            observer=parts.observer,
        )
        watches = self._watches()
        runs = [
            memory.run(),
            reaper.run(),
            retention.run(),
            self._finish_quarantined(),
            *self._renewals(),
            *self._deletions(),
            *watches,
        ]
        loops = [asyncio.create_task(run) for run in runs]
        working = asyncio.create_task(self._engine.run())
        stopping = asyncio.create_task(self._stop.wait())
        self.pulse.phase = Phase.RUNNING
        parts.observer.notice("start", folders=len(watches))
        try:
            await asyncio.wait({working, stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()
        finally:
            await self._wind_up(working, [*loops, stopping])
            await memory.save()
        parts.observer.notice("stopped")

    def _facts(self) -> dict[str, Callable[[], Any]]:
        """What a restart, or a report, has to know."""
        return {**self._parts.snapshots, RUNTIME_FACT: lambda: status_now(self._parts, self._recent)}

    def _large_facts(self) -> dict[str, Callable[[], Any]]:
        return {CHART_FACT: self._recent.kept_minutes}

    async def _recall_chart(self) -> None:
        self._recent.recall_minutes(await self._parts.ledger.fact(CHART_FACT))

    def _own_hooks(self) -> Hooks | None:
        return Hooks.of(self._parts)

    def _places(self) -> int:
        return places(self._parts)

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        """What finds files: of a folder that several machines have, on one of them at a time."""
        parts, found = self._parts, []
        for name, feeder in self._feeders.items():
            watch = FolderWatch(feeder, clock=parts.clock, observer=parts.observer)
            if parts.cluster is not None and parts.cluster.is_shared(name):
                found.append(parts.cluster.lead(f"scan {name}", watch.run, feeder.settle_forever))
            else:
                found.append(watch.run())
        return found

    async def _has_done(self, step: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """A step of the start is done, however long a disk is at fault; False: we were stopped meanwhile."""
        parts = self._parts
        doing = asyncio.create_task(until_disk_is_well(parts.clock, parts.observer, step, *args, **kwargs))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)

    async def _finish_quarantined(self) -> None:
        """Images that are quarantined are listed and put away, when a disk that was at fault is well again."""
        parts = self._parts
        while True:
            await parts.tools.unfinished.wait()
            await parts.clock.sleep(UNFINISHED_SECONDS)
            await until_disk_is_well(parts.clock, parts.observer, finish_quarantined, parts.tools)

    def _renewals(self) -> list[Coroutine[Any, Any, None]]:
        """What this machine alone can renew, and what one of all does."""
        cluster = self._parts.cluster
        wanted = [folder.name for folder in self._parts.folders if folder.renew == "while-source-exists"]
        shared = [name for name in wanted if cluster is not None and cluster.is_shared(name)]
        own = [name for name in wanted if name not in shared]
        renewals = [self._renewer(own).run()] if own else []
        if cluster is not None and shared:
            renewals.append(cluster.lead("renew", self._renewer(shared).run))
        return renewals

    def _renewer(self, folders: list[str]) -> Renewer:
        parts = self._parts
        return Renewer(
            folders,
            serves=self._serves,
            is_alone=parts.cluster is None,
            ledger=parts.ledger,
            clock=parts.clock,
            observer=parts.observer,
            per_minute=lambda: parts.upload_quota().per_minute,
            wake=self._engine.wake,
        )

    def _deletions(self) -> list[Coroutine[Any, Any, None]]:
        tools = self._parts.tools
        folders = [folder.name for folder in self._parts.folders if folder.on_source_delete == "purge"]
        if not folders:
            return []
        deletions = Deletions(
            folders,
            served=self._parts.drop_folders(),
            ledger=tools.ledger,
            manifest=tools.manifest,
            api=tools.api,
            flights=tools.flights,
            clock=tools.clock,
            observer=tools.observer,
        )
        return [deletions.run()]

    async def _wind_up(self, working: asyncio.Task[None], loops: list[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
        """No new files, no new requests; those in flight finish."""
        self.pulse.phase = Phase.DRAINING
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        self._parts.observer.notice("draining", in_flight=self._engine.running)
        self._engine.stop()
        self._parts.gate.stop()
        drained, _ = await asyncio.wait({working}, timeout=self._parts.settings.drain)
        if not drained:
            self._engine.abort()
        await working

    async def _ingest(self, queued: QueuedSource) -> Outcome:
        return await ingest_one(queued, self._parts.tools)

    def _ended(self, queued: QueuedSource, outcome: Outcome) -> None:
        """A file that turned out not to be whole settles anew, as what it is now."""
        if isinstance(outcome, Snoozed) and outcome.reason in FILE_REASONS:
            feeder = self._feeders.get(queued.source.folder)
            if feeder is not None:
                feeder.look_again(queued.source, queued.lane)

"""One drop folder watched: initial scan, events, periodic rescan, and its root followed through mounts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, ParamSpec, TypeVar

from ingestor.model import Lane
from ingestor.ports import Clock, Observer
from ingestor.runtime import watching_beside
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.watching import EventsUnavailable, WatchMode, changes, check_room, choose_mode
from ingestor.stages.discover import root_identity

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS = 2.0
"""Between scans of a polled folder, at least; a scan that takes long is followed by ten times as long a rest."""

ROOT_SECONDS = 1.0
"""Between looks at whether the root is still the same folder."""

RETRY_NATIVE_SECONDS = 300.0
"""Until events are tried again where they could not be had."""

SECOND_LOOKS_SECONDS = (0.2, 1.0, 3.0)
"""After a directory has appeared: its files' events may be lost until it is watched itself (LIMITS.md, Watching)."""


class FolderWatch:
    """Keeps one feeder informed. Runs until cancelled."""

    def __init__(self, feeder: Feeder, *, clock: Clock, observer: Observer) -> None:
        self._feeder = feeder
        self._folder = feeder.folder
        self._settings = feeder.folder.settings
        self._clock = clock
        self._observer = observer
        self._scanned_once = False
        self._second_looks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For as long as the root stays what it is, one round; then anew."""
        settling = asyncio.create_task(self._feeder.settle_forever())
        try:
            while True:
                identity = root_identity(self._folder.root)
                if identity is None:
                    await self._until_root_is_back()
                    continue
                await self._round(identity, settling)
        finally:
            settling.cancel()

    async def _until_root_is_back(self) -> None:
        """An unmounted root is not "all deleted": nothing is concluded from it."""
        self._observer.notice("folder_gone", folder=self._folder.name, path=str(self._folder.root))
        while root_identity(self._folder.root) is None:
            await self._clock.sleep(ROOT_SECONDS)
        self._observer.notice("folder_back", folder=self._folder.name, path=str(self._folder.root))

    async def _round(self, identity: tuple[int, int], settling: asyncio.Task[None]) -> None:
        """Watch and scan until the root changes. Files that do not settle any more are a fault of ours: raised."""
        mode = choose_mode(self._folder.root, self._settings.watch)
        tasks = [
            asyncio.create_task(self._root_changed(identity)),
            asyncio.create_task(self._watch_and_scan(mode)),
        ]
        try:
            done, _ = await asyncio.wait([*tasks, settling], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _root_changed(self, identity: tuple[int, int]) -> None:
        while root_identity(self._folder.root) == identity:
            await self._clock.sleep(ROOT_SECONDS)

    async def _watch_and_scan(self, mode: WatchMode) -> None:
        self._tell_mode(mode)
        if mode.mode == "poll":
            await self._poll()
            return
        # Events first, so that what comes during the scan is not missed. With many files that takes as long as a scan:
        # then there is a second one, as soon as they are watched.
        is_large = await asyncio.to_thread(
            watching_beside.is_large, self._folder.root, recursive=self._settings.recursive
        )
        ready = asyncio.Event()
        if not is_large:
            ready.set()
        watching = asyncio.create_task(self._native(ready))
        rescanning = asyncio.create_task(self._rescan_forever(ready))
        try:
            done, _ = await asyncio.wait({watching, rescanning}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except EventsUnavailable as why:
            rescanning.cancel()
            self._tell_mode(WatchMode(mode="poll", why=str(why), degraded=True))
            await self._poll(RETRY_NATIVE_SECONDS)
        finally:
            watching.cancel()
            rescanning.cancel()
            await asyncio.gather(watching, rescanning, return_exceptions=True)

    def _tell_mode(self, mode: WatchMode) -> None:
        self._observer.notice(
            "watch_mode", folder=self._folder.name, mode=mode.mode, why=mode.why, degraded=mode.degraded
        )

    # -- events

    async def _native(self, ready: asyncio.Event) -> None:
        stop = asyncio.Event()
        try:
            async with aclosing(self._changes(ready, stop)) as batches:
                async for paths in batches:
                    self._observer.notice("file_event", folder=self._folder.name, number=len(paths))
                    await self._patiently(self._take_in, paths)
        finally:
            stop.set()
            for task in self._second_looks:
                task.cancel()

    async def _changes(self, ready: asyncio.Event, stop: asyncio.Event) -> AsyncGenerator[set[str]]:
        root, recursive = self._folder.root, self._settings.recursive
        if not ready.is_set():
            with contextlib.suppress(watching_beside.NotStarted):
                async with aclosing(watching_beside.changes_beside(root, recursive=recursive, ready=ready)) as beside:
                    async for paths in beside:
                        yield paths
        ready.set()
        async with aclosing(changes(root, recursive=recursive, stop=stop)) as here:
            async for paths in here:
                yield paths

    async def _take_in(self, paths: set[str]) -> None:
        """A directory's event is about all that is in it: its own files' events may have come before the watch."""
        files: list[str] = []
        for path in paths:
            if _is_directory(f"{self._folder.root}/{path}"):
                if self._settings.recursive and self._folder.enters(path):
                    await self._feeder.scan(Lane.FRESH, path)
                    self._look_again_at(path)
            else:
                files.append(path)
        await self._feeder.look(files, Lane.FRESH)

    def _look_again_at(self, directory: str) -> None:
        async def looks() -> None:
            for seconds in SECOND_LOOKS_SECONDS:
                await self._clock.sleep(seconds)
                await self._patiently(self._feeder.scan, Lane.FRESH, directory)

        task = asyncio.create_task(looks())
        self._second_looks.add(task)
        task.add_done_callback(self._second_looks.discard)

    # -- scans

    async def _scan(self) -> float:
        """One pass; the first one of a run is a backlog, what later ones find is fresh. Returns its seconds."""
        lane = Lane.FRESH if self._scanned_once else Lane.BACKFILL
        scan = await self._feeder.scan(lane)
        rescued = scan.new if self._scanned_once else 0
        self._scanned_once = True
        self._observer.notice(
            "scan_end", folder=self._folder.name, files=scan.files, seconds=round(scan.seconds, 3), rescued=rescued
        )
        return scan.seconds

    async def _rescan_forever(self, ready: asyncio.Event) -> None:
        while True:
            was_ready = ready.is_set()
            await self._patiently(self._scan)
            check_room()
            await self._until_rescan(None if was_ready else ready)

    async def _until_rescan(self, ready: asyncio.Event | None) -> None:
        """The setting `rescan`; with `ready` only until events have begun."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._clock.sleep(self._settings.rescan))]
        if ready is not None:
            waits.append(asyncio.ensure_future(ready.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _poll(self, for_seconds: float | None = None) -> None:
        until = None if for_seconds is None else self._clock.monotonic() + for_seconds
        while until is None or self._clock.monotonic() < until:
            seconds = await self._patiently(self._scan)
            await self._clock.sleep(min(max(POLL_SECONDS, 10 * seconds), max(POLL_SECONDS, self._settings.rescan)))

    async def _patiently(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await until_disk_is_well(self._clock, self._observer, call, *args, **kwargs)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False

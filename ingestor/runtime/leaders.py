"""What one machine does for all: whoever has the lock leads, and another one does when its holder is gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from ingestor.errors import DiskFault
from ingestor.model import ContentId
from ingestor.ports import Clock, Observer
from ingestor.stages.flights import Flights

LOOK_SECONDS = 1.0
"""Between tries to lead, and between looks at whether we still do."""
FLIGHT_SECONDS = (0.05, 0.1, 0.2, 0.5)
"""Between looks at whether another machine's flight is down; the last one again and again."""

Loop = Callable[[], Awaitable[None]]


class Locks(Protocol):
    """Names that only one process holds at a time: `ledger.postgres.locks.Locks`."""

    async def try_acquire(self, name: str) -> bool: ...

    async def release(self, name: str) -> None: ...


class Leaders:
    """Runs what only one process of all may run."""

    def __init__(self, locks: Locks, *, clock: Clock, observer: Observer) -> None:
        self._locks = locks
        self._clock = clock
        self._observer = observer
        self.led: set[str] = set()
        """What this process leads now."""

    async def lead(self, name: str, loop: Loop, otherwise: Loop | None = None) -> None:
        """Run `loop` while the lead is ours, and `otherwise` while it is not; until cancelled, or one of them fails."""
        try:
            while True:
                await self._while(otherwise, lambda: self._until(name, ours=True))
                self.led.add(name)
                self._observer.notice("leads", what=name)
                await self._while(loop, lambda: self._until(name, ours=False))
                self.led.discard(name)
                self._observer.notice("leads_no_more", what=name)
        finally:
            self.led.discard(name)
            with contextlib.suppress(DiskFault):
                await self._locks.release(name)

    @contextlib.asynccontextmanager
    async def once(self, name: str) -> AsyncIterator[bool]:
        """Whether the lead is ours for the block; nobody is waited for."""
        is_ours = await self._is_ours(name)
        try:
            yield is_ours
        finally:
            if is_ours:
                with contextlib.suppress(DiskFault):
                    await self._locks.release(name)

    async def _until(self, name: str, *, ours: bool) -> None:
        """Return when the lead is ours, or when it is not any more."""
        while await self._is_ours(name) is not ours:
            await self._clock.sleep(LOOK_SECONDS)

    async def _is_ours(self, name: str) -> bool:
        try:
            return await self._locks.try_acquire(name)
        except DiskFault:
            return False  # the database is away: others may see it, and lead

    async def _while(self, loop: Loop | None, until: Loop) -> None:
        """Run `loop` until `until` returns. What it raises comes out here."""
        waiting = asyncio.ensure_future(until())
        running = asyncio.ensure_future(loop()) if loop is not None else None
        tasks = [task for task in (waiting, running) if task is not None]
        try:
            while not waiting.done():
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if running in done:
                    running.result()
                    tasks = [waiting]
            waiting.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class SharedFlights(Flights):
    """One flight a content among all machines: the same bytes, found here and there, wait for one upload."""

    def __init__(self, locks: Locks, clock: Clock) -> None:
        super().__init__()
        self._shared = locks
        self._clock = clock

    @contextlib.asynccontextmanager
    async def alone(self, content_id: ContentId) -> AsyncIterator[None]:
        """Hold the content for the block. Raises `DiskFault` where the database is away.

        Should the lock be lost in between, two may fly: under the same key, so that the API answers both alike.
        """
        name = f"flight {hashlib.sha256(content_id.encode()).hexdigest()}"
        async with super().alone(content_id):
            try:
                waits = iter(FLIGHT_SECONDS)
                seconds = 0.0
                while not await self._shared.try_acquire(name):
                    seconds = next(waits, seconds)
                    await self._clock.sleep(seconds)
                yield
            finally:
                with contextlib.suppress(DiskFault):
                    await self._shared.release(name)

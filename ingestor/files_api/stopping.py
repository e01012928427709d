"""Waiting that can be called off: a drain ends every wait at once, and lets a request in flight finish."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ingestor.errors import EnvironmentFault

T = TypeVar("T")


class Waits:
    """All waits of one API. After `stop` none begins, and those begun end with what they were stopped for."""

    def __init__(self) -> None:
        self.stopped = False
        self._why: EnvironmentFault | None = None
        self._waiting: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def on(self, wait: Coroutine[Any, Any, T]) -> T:
        """What `wait` gives; raises an `EnvironmentFault`, usually "stopping", when everything stops first."""
        if self.stopped:
            wait.close()
            raise self._why or _stopping()
        task = asyncio.ensure_future(wait)
        self._waiting.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self.stopped and not (caller is not None and caller.cancelling()):
                raise self._why or _stopping() from None
            raise
        finally:
            self._waiting.discard(task)

    def stop(self, why: EnvironmentFault | None = None) -> None:
        if not self.stopped:
            self._why = why
        self.stopped = True
        for task in tuple(self._waiting):
            task.cancel()


def _stopping() -> EnvironmentFault:
    return EnvironmentFault("stopping", "stopping: what was not sent yet is left for the next run", retry_seconds=0.0)

"""Places for work that runs beside other work, and for work that must have the house to itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Gate:
    """At most `places` shared at once; alone means that none is taken. Whoever wants to be alone goes first."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._waiting_alone = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._taken < self._places and not self._waiting_alone)
            self._taken += 1
        try:
            yield
        finally:
            await self._leave(1)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._changed:
            self._waiting_alone += 1
            try:
                await self._changed.wait_for(lambda: self._taken == 0)
                self._taken = self._places
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            await self._leave(self._places)

    async def _leave(self, places: int) -> None:
        # No wait in here: a second cancellation must not lose the place.
        self._taken -= places
        async with self._changed:
            self._changed.notify_all()

"""Places for work that runs beside other work, and for work that must have the house to itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

_Line = deque["asyncio.Future[None]"]


class Gate:
    """At most `places` shared at once; alone means that none is taken. Whoever wants to be alone goes first.

    A place that is given back wakes the one whose turn it is, and nobody else: with a dozen in line that is a fifth
    of what an image costs.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._sharing: _Line = deque()
        self._alone: _Line = deque()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        await self._enter(self._sharing, 1)
        try:
            yield
        finally:
            self._leave(1)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        await self._enter(self._alone, self._places)
        try:
            yield
        finally:
            self._leave(self._places)

    async def _enter(self, line: _Line, places: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(places)
            else:
                turn.cancel()
                self._admit()
            raise

    def _leave(self, places: int) -> None:
        self._taken -= places
        self._admit()

    def _admit(self) -> None:
        if self._first(self._alone):
            if self._taken == 0:
                self._taken = self._places
                self._alone.popleft().set_result(None)
            return
        while self._taken < self._places and self._first(self._sharing):
            self._taken += 1
            self._sharing.popleft().set_result(None)

    @staticmethod
    def _first(line: _Line) -> bool:
        """Whether somebody waits; those who were cancelled do not."""
        while line and line[0].done():
            line.popleft()
        return bool(line)

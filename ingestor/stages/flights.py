"""One flight a content: the same bytes in two folders wait for one upload (DESIGN.md, decision 1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ingestor.model import ContentId


class Flights:
    """Who comes second for a content waits until the first is down, and then finds it live."""

    def __init__(self) -> None:
        self._locks: dict[ContentId, tuple[asyncio.Lock, int]] = {}

    def is_up(self, content_id: ContentId) -> bool:
        """Whether somebody here holds the content, or waits for it."""
        return content_id in self._locks

    @contextlib.asynccontextmanager
    async def alone(self, content_id: ContentId) -> AsyncIterator[None]:
        """Hold the content for the block; locks are kept only while somebody wants them."""
        lock, waiting = self._locks.get(content_id, (asyncio.Lock(), 0))
        self._locks[content_id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            waiting = self._locks[content_id][1] - 1
            if waiting:
                self._locks[content_id] = (lock, waiting)
            else:
                del self._locks[content_id]

"""Small pictures of images, made on demand by an image worker of their own: the daemon itself decodes nothing.

The worker starts with the first picture that is asked for and ends when none has been for a while. It is not one of
those that the flow uses, so that looking never holds an upload up.
"""

from __future__ import annotations

import asyncio
import stat
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ingestor.errors import EnvironmentFault, ImageRejected, ImageWorkerLost, SourceNotReady
from ingestor.images.workers.pool import ImagePool
from ingestor.ports import Clock, NormaliseRules

SIDE_PX = 320
MOST_BYTES = 200_000
TIMEOUT_SECONDS = 20.0
IDLE_SECONDS = 60.0
MOST_KEPT = 100
MOST_WAITING = 8


class TooManyAsk(Exception):
    """Others wait for theirs: ask again in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    content: bytes
    mime_type: str


_Key = tuple[str, int, int]


class Thumbnails:
    """Thumbnails of files by path, size and mtime. `run` until cancelled ends the worker when it is idle."""

    def __init__(self, *, max_pixels: int, spool: Path, clock: Clock) -> None:
        self._rules = NormaliseRules(
            longest_side_px=SIDE_PX,
            max_bytes=MOST_BYTES,
            webp_quality=75,
            max_pixels=max_pixels,
            integrity="header",
            metadata="strip",
        )
        self._spool = spool
        self._clock = clock
        self._pool: ImagePool | None = None
        self._used_at = clock.monotonic()
        self._alone = asyncio.Lock()
        self._waiting = 0
        self._kept: OrderedDict[_Key, Thumbnail | None] = OrderedDict()

    async def of(self, file: Path) -> Thumbnail | None:
        """The picture; None for what is not there or is no image. Raises `TooManyAsk`."""
        try:
            status = await asyncio.to_thread(file.lstat)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        key = (str(file), status.st_size, status.st_mtime_ns)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._waiting >= MOST_WAITING:
            raise TooManyAsk
        self._waiting += 1
        try:
            async with self._alone:
                thumbnail = self._kept[key] if key in self._kept else await self._made(file)
        except (SourceNotReady, ImageWorkerLost, EnvironmentFault, OSError):
            return None  # the next one who asks may have more luck
        finally:
            self._waiting -= 1
        self._kept[key] = thumbnail
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return thumbnail

    async def _made(self, file: Path) -> Thumbnail | None:
        if self._pool is None:
            self._pool = ImagePool(self._rules, workers=1, image_timeout_seconds=TIMEOUT_SECONDS, spool=self._spool)
        try:
            payload = await self._pool.normalise(file, self._spool)
            try:
                content = await asyncio.to_thread(payload.file.read_bytes)
            finally:
                if not payload.is_source:
                    payload.file.unlink(missing_ok=True)
        except ImageRejected:
            return None
        finally:
            self._used_at = self._clock.monotonic()
        return Thumbnail(content=content, mime_type=payload.mime_type)

    async def run(self) -> None:
        try:
            while True:
                await self._clock.sleep(IDLE_SECONDS)
                async with self._alone:
                    if self._clock.monotonic() - self._used_at >= IDLE_SECONDS:
                        await self._close()
        finally:
            await self._close()

    async def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

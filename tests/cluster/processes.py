"""Processes of `ingestor` around a shared ledger: begun, killed, counted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.cluster.kit import Station
from tests.home import Running
from tests.postgres_kit import PASSWORD


@contextlib.asynccontextmanager
async def started(station: Station, *arguments: str, prefix: tuple[str, ...] = ()) -> AsyncIterator[Running]:
    """A process that runs until the block ends, and then is killed if it still does. It never shows the password."""
    process = await station.home.start(*arguments, "-c", str(station.home.config), prefix=prefix)
    running = Running(process)
    reading = asyncio.create_task(_read(running))
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
        assert PASSWORD not in "\n".join(running.lines)


async def _read(running: Running) -> None:
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        running.lines.append(line.decode().rstrip("\n"))


async def stopped(running: Running) -> int:
    await running.until_logged("start", 60)  # before that it knows no signals
    running.process.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(running.process.wait(), 60)


class Database:
    """What the tests ask the database behind the program's back."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(query, parameters)  # type: ignore[call-overload]
            return await cursor.fetchall() if cursor.description else []

    async def number(self, query: str, *parameters: Any) -> int:
        (row,) = await self.ask(query, *parameters)
        return int(next(iter(row.values())))

    async def done(self) -> int:
        return await self.number("SELECT count(*) FROM sources WHERE state = 'done'")

    async def until_done(self, number: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (done := await self.done()) < number:
            assert time.monotonic() < deadline, f"{done} of {number} are done"
            await asyncio.sleep(0.2)

    async def ids_by_path(self) -> dict[str, set[str]]:
        """Every file id that was ever promised for each path."""
        found: dict[str, set[str]] = {}
        for row in await self.ask("SELECT path, detail::jsonb->>'file_id' AS file_id FROM history WHERE listed"):
            found.setdefault(row["path"], set()).add(row["file_id"])
        return found

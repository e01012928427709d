from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from ingestor.observe.metrics import Metrics
from ingestor.observe.recent import Recent
from ingestor.page import page as page_module
from ingestor.page.page import StatusPage
from ingestor.runtime.pulse import Phase, Pulse
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import ListenAddress
from tests.ledger_kit import content, sighting
from tests.unit.page.kit import World


@contextlib.asynccontextmanager
async def running(world: World, listen: ListenAddress | None) -> AsyncIterator[asyncio.Task[None]]:
    """The page as the daemon runs it, by the machine's clock."""
    parts, clock = await world.parts(), SystemClock()
    status = parts.settings.status.model_copy(update={"listen": listen})
    settings = parts.settings.model_copy(update={"status": status})
    parts = replace(parts, settings=settings, tools=replace(parts.tools, clock=clock))
    world.engine.clock = clock  # type: ignore[assignment]
    pulse = Pulse(clock=clock, engine=world.engine, settling=lambda: 0)
    pulse.phase = Phase.RUNNING
    task = asyncio.create_task(StatusPage(parts, Recent(clock), Metrics(clock), pulse).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(world: World, event: str, task: asyncio.Task[None]) -> dict[str, object]:
    async with asyncio.timeout(20):
        while not world.observer.of(event):
            assert not task.done(), world.observer.notices
            await asyncio.sleep(0.005)
    return world.observer.of(event)[0]


async def got(url: object, path: str = "") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}{path}") as answer:
        return answer.status, await answer.text()


ANY = ListenAddress(host="127.0.0.1", port=0)


async def test_it_serves_where_it_says_and_counts_meanwhile(world: World) -> None:
    await world.walk.uploaded(sighting("one.jpg"), content(1))
    async with running(world, ANY) as task:
        url = (await told(world, "page_ready", task))["url"]
        assert (await got(url))[0] == 200
        async with asyncio.timeout(20):
            while 'ingestor_entries{folder="inbox",state=' not in (await got(url, "metrics"))[1]:
                await asyncio.sleep(0.01)
        assert (await got(url, "readyz")) == (200, "ok\n")
    assert task.cancelled()
    with pytest.raises(aiohttp.ClientConnectorError):
        await got(url)
    assert world.observer.of("internal_fault") == []


async def test_an_open_stream_does_not_hold_it_up_when_it_ends(world: World) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        async with running(world, ANY) as task:
            url = (await told(world, "page_ready", task))["url"]
            stream = await session.get(f"{url}events")
            await stream.content.readuntil(b"\n\n")
        while await stream.content.read(1000):
            pass


async def test_an_address_that_is_taken_is_told_once_and_used_when_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "AGAIN_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running(world, ListenAddress(host="127.0.0.1", port=port)) as task:
            message = (await told(world, "page_unavailable", task))["message"]
            assert "another program listens there" in str(message)
            await asyncio.sleep(0.05)
            assert len(world.observer.of("page_unavailable")) == 1
            taken.close()
            assert (await told(world, "page_ready", task))["url"] == f"http://127.0.0.1:{port}/"


async def test_an_address_that_is_not_ours_is_told(world: World) -> None:
    async with running(world, ListenAddress(host="192.0.2.1", port=1)) as task:
        message = (await told(world, "page_unavailable", task))["message"]
        assert "correct status.listen" in str(message)


async def test_no_page_is_no_page(world: World) -> None:
    async with running(world, None) as task:
        await asyncio.wait_for(task, 20)
    assert world.observer.notices == []


async def test_a_fault_in_the_page_ends_the_page_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(page_module.Counting, "run", broken)
    async with running(world, ANY) as task:
        await asyncio.wait_for(task, 20)
    (fault,) = world.observer.of("internal_fault")
    assert fault["where"] == "page"

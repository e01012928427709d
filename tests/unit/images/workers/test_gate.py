from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

from ingestor.images.workers.gate import Gate


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_more_than_the_places_there_are_get_in():
    gate, inside, most = Gate(3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with gate.shared():
            inside += 1
            most = max(most, inside)
            await turns()
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(12)))
    assert most == 3
    assert inside == 0


async def test_who_is_alone_is_alone_and_goes_before_those_who_come_later():
    gate = Gate(2)
    order: list[str] = []
    release = asyncio.Event()

    async def early() -> None:
        async with gate.shared():
            await release.wait()
            order.append("early")

    async def alone() -> None:
        async with gate.alone():
            order.append("alone begins")
            await turns(20)
            order.append("alone ends")

    async def late() -> None:
        async with gate.shared():
            order.append("late")

    tasks = [asyncio.create_task(early())]
    await turns()
    tasks.append(asyncio.create_task(alone()))
    await turns()
    tasks.append(asyncio.create_task(late()))
    await turns()
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["early", "alone begins", "alone ends", "late"]


@types.coroutine
def counting(coroutine: Coroutine[Any, Any, None], steps: list[object]) -> Generator[object, None, None]:
    """Runs a coroutine; `steps` gets what it waits for, each time it does."""
    try:
        while True:
            steps.append(coroutine.send(None))
            yield steps[-1]
    finally:
        coroutine.close()


async def test_a_place_that_is_given_back_wakes_one_visitor():
    gate, steps = Gate(1), []

    async def visit() -> None:
        async with gate.shared():
            await asyncio.Event().wait()

    async with gate.shared():
        visitors = [asyncio.ensure_future(counting(visit(), steps)) for _ in range(5)]
        await turns()
        assert len(steps) == 5
    await turns()
    assert len(steps) == 6
    for visitor in visitors:
        visitor.cancel()
    await asyncio.gather(*visitors, return_exceptions=True)


async def test_a_cancelled_visitor_gives_the_place_back():
    gate = Gate(1)

    async def stay() -> None:
        async with gate.shared():
            await asyncio.Event().wait()

    async def wait_alone() -> None:
        async with gate.alone():
            await asyncio.Event().wait()

    staying, waiting = asyncio.create_task(stay()), asyncio.create_task(wait_alone())
    await turns()
    waiting.cancel()
    staying.cancel()
    await asyncio.gather(staying, waiting, return_exceptions=True)
    async with asyncio.timeout(5), gate.shared():
        assert gate._taken == 1
    async with asyncio.timeout(5), gate.alone():
        assert gate._taken == 1
    assert gate._taken == 0

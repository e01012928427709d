from __future__ import annotations

import asyncio

from ingestor.images.gate import Gate


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

from __future__ import annotations

import asyncio

import pytest

from ingestor.errors import EnvironmentFault
from ingestor.files_api.stopping import Waits


async def forever() -> None:
    await asyncio.sleep(3600)


async def test_a_wait_gives_what_it_waited_for() -> None:
    async def five() -> int:
        return 5

    waits = Waits()
    assert await waits.on(five()) == 5
    assert len(waits) == 0


async def test_a_wait_raises_what_it_met() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Waits().on(fail())


async def test_a_stop_ends_every_wait_at_once() -> None:
    waits = Waits()
    tasks = [asyncio.ensure_future(waits.on(forever())) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(waits) == 3
    waits.stop()
    for task in tasks:
        with pytest.raises(EnvironmentFault) as caught:
            await task
        assert (caught.value.reason, caught.value.retry_seconds) == ("stopping", 0.0)
    assert len(waits) == 0


async def test_after_a_stop_no_wait_begins() -> None:
    waits, begun = Waits(), []

    async def begin() -> None:
        begun.append(1)

    waits.stop()
    with pytest.raises(EnvironmentFault):
        await waits.on(begin())
    assert not begun


async def test_a_cancelled_caller_is_cancelled_even_while_everything_stops() -> None:
    waits = Waits()
    task = asyncio.ensure_future(waits.on(forever()))
    await asyncio.sleep(0)
    waits.stop()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_waited_for_learns_of_the_cancellation() -> None:
    waits, cleaned = Waits(), []

    async def careful() -> None:
        try:
            await forever()
        finally:
            cleaned.append(1)

    task = asyncio.ensure_future(waits.on(careful()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [1]

from __future__ import annotations

import asyncio
from typing import cast

from ingestor.ports import Ledger
from ingestor.runtime.memory import SECONDS, SELDOM_ROUNDS, Memory
from tests.fakes import FakeClock


class Facts:
    """The part of a ledger that keeps facts."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, object]] = []

    async def set_fact(self, name: str, value: object) -> None:
        self.saved.append((name, value))


async def test_what_is_large_is_saved_once_a_minute_and_at_the_end() -> None:
    clock, ledger, now = FakeClock(), Facts(), {"small": 0, "large": 0}
    facts = {name: lambda name=name: now[name] for name in now}
    often, seldom = {"small": facts["small"]}, {"large": facts["large"]}
    memory = Memory(often, seldom=seldom, ledger=cast(Ledger, ledger), clock=clock)
    running = asyncio.create_task(memory.run())
    for _ in range(SELDOM_ROUNDS):
        now = {name: value + 1 for name, value in now.items()}
        await clock.sleep(SECONDS)
    await clock.sleep(SECONDS / 2)
    assert [name for name, _ in ledger.saved].count("large") == 1
    assert [name for name, _ in ledger.saved].count("small") >= SELDOM_ROUNDS - 1
    running.cancel()
    now["large"] = 1000
    await memory.save()
    assert ledger.saved[-1] == ("large", 1000)

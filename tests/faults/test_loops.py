"""A loop that fails ends the run with its error: nobody waits for ever for what it was to do."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from ingestor.errors import LedgerUnreadable
from ingestor.ledger import SqliteLedger
from ingestor.observe.recent import Recent
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.memory import Memory
from tests.faults.kit import inside, picture
from tests.home import Home, until


class Broken(Exception):
    pass


async def fails(*_: Any, **__: Any) -> NoReturn:
    raise Broken


@pytest.mark.parametrize(("owner", "loop"), [(Feeder, "settle_forever"), (Feeder, "scan")])
async def test_a_backfill_whose_loop_fails_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch, owner: type, loop: str
) -> None:
    (home.inbox / "one.png").write_bytes(picture(1))
    monkeypatch.setattr(owner, loop, fails)
    async with inside(home) as program:
        with pytest.raises(Broken):
            await asyncio.wait_for(program.backfill(), 30)


@pytest.mark.parametrize(
    ("owner", "loop"), [(Feeder, "settle_forever"), (Feeder, "scan"), (Memory, "run"), (SqliteLedger, "expire")]
)
async def test_a_daemon_whose_loop_fails_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch, owner: type, loop: str
) -> None:
    (home.inbox / "one.png").write_bytes(picture(1))
    monkeypatch.setattr(owner, loop, fails)
    async with inside(home) as program:
        daemon = Daemon(program.parts, Recent(program.parts.clock))
        with pytest.raises(Broken):
            await asyncio.wait_for(daemon.run(), 30)


async def test_a_ledger_that_breaks_while_the_api_is_down_ends_the_daemon_at_once(home: Home) -> None:
    await home.sandbox.stop()
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    async with inside(home) as program:
        running = asyncio.create_task(Daemon(program.parts, Recent(program.parts.clock)).run())
        for number in range(4):
            (home.inbox / f"{number}.png").write_bytes(picture(number))
        await until(lambda: program.parts.breaker().is_open)
        program.ledger._ask = corrupt  # type: ignore[method-assign]
        with pytest.raises(LedgerUnreadable):
            await asyncio.wait_for(running, 30)


def corrupt(*_: Any) -> NoReturn:
    raise LedgerUnreadable("broken")

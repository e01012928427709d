from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import DiskFault
from ingestor.ledger import SqliteLedger
from ingestor.model import Delivery
from ingestor.runtime.hooks import Hooks
from ingestor.runtime.hooks.message import EVENTS, HookFailed, Message
from tests.fakes import FakeClock, RecordingObserver
from tests.home import until
from tests.ledger_kit import LIFETIME, Walk, content, empty_ledger_in, sighting

DAY = 86_400.0


class StillClock(FakeClock):
    """Time passes only where a test says so: the ledger works in threads, and no time may jump meanwhile."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.001)


class FakeHook:
    """Remembers what it was told; `takes` decides about each message."""

    def __init__(self, target: str, *, at_once: int = 1) -> None:
        self.target = self.name = target
        self.at_once = at_once
        self.told: list[Message] = []
        self.takes: Callable[[Message], Awaitable[None]] = _take

    async def tell(self, message: Message) -> None:
        self.told.append(message)
        await self.takes(message)

    @property
    def paths(self) -> list[str]:
        return [json.loads(message.body)["path"] for message in self.told]


async def _take(message: Message) -> None:
    pass


async def refuse(message: Message) -> None:
    raise HookFailed("exited with 1")


class Corner:
    """A ledger, and hooks that are told of everything in the folder `inbox`."""

    def __init__(self, folder: Path) -> None:
        self.clock = StillClock()
        self.observer = RecordingObserver()
        self.ledger = SqliteLedger(empty_ledger_in(folder), self.clock)
        self.walk = Walk(self.ledger, self.clock)
        self._count = 0

    async def hooks(
        self, *hooks: FakeHook, outbox: Any = None, expiring: Mapping[str, timedelta] | None = None
    ) -> Hooks:
        events = [event for events in EVENTS.values() for event in events]
        made = Hooks(
            {hook.target: hook for hook in hooks},
            {("inbox", event): [hook.target for hook in hooks] for event in events},
            expiring or {},
            outbox=outbox or self.ledger,
            clock=self.clock,
            observer=self.observer,
        )
        await made.open()
        return made

    async def happen(self, number: int = 1) -> None:
        """So many images are uploaded."""
        for _ in range(number):
            self._count += 1
            await self.walk.uploaded(sighting(f"{self._count}.jpg"), content(self._count))


@pytest.fixture
async def corner(tmp_path: Path) -> AsyncIterator[Corner]:
    made = Corner(tmp_path)
    await made.ledger.open()
    yield made
    await made.ledger.close()


async def test_what_happens_is_told_once_as_the_manifest_has_it(corner: Corner) -> None:
    hook = FakeHook("a")
    hooks = await corner.hooks(hook)
    await corner.happen(2)
    await hooks.finish(60)
    await hooks.finish(60)
    first, second = hook.told
    line = json.loads(first.body)
    assert (first.event, line["event"], line["path"], line["v"]) == ("uploaded", "uploaded", "1.jpg", 1)
    assert line["file_id"].startswith("file_")
    assert b"\n" not in first.body
    assert len({first.event_id, second.event_id}) == 2
    assert await corner.ledger.pending_deliveries() == 0
    assert corner.observer.events() == ["hook_told", "hook_told"]


async def test_one_that_fails_is_told_again_later_under_the_same_event_id(corner: Corner) -> None:
    hook = FakeHook("a")
    hooks = await corner.hooks(hook)
    await corner.happen()
    hook.takes = refuse
    await hooks.finish(60)
    assert len(hook.told) == 1
    corner.clock.advance(700)
    await hooks.finish(60)
    hook.takes = _take
    corner.clock.advance(700)
    await hooks.finish(60)
    assert len({message.event_id for message in hook.told}) == 1
    assert len(hook.told) == 3
    assert corner.observer.events() == [
        "hook_failing",
        "hooks_left",
        "hook_failed",
        "hooks_left",
        "hook_told",
        "hook_recovered",
    ]
    assert corner.observer.of("hook_failing") == [
        {"hook": "a", "told": "uploaded", "folder": "inbox", "path": "1.jpg", "message": "exited with 1", "attempt": 1}
    ]
    assert corner.observer.of("hook_told")[0]["attempt"] == 3


async def test_one_that_takes_nothing_is_left_alone_for_a_while(corner: Corner) -> None:
    hook, other = FakeHook("a", at_once=4), FakeHook("b")
    hook.takes = refuse
    hooks = await corner.hooks(hook, other)
    await corner.happen(20)
    await hooks.finish(60)
    assert len(hook.told) == 12
    assert len(other.told) == 20
    corner.clock.advance(1)
    await hooks.finish(60)
    assert len(hook.told) == 16


async def test_one_message_that_is_refused_holds_up_no_other(corner: Corner) -> None:
    hook = FakeHook("a", at_once=2)

    async def refuse_first(message: Message) -> None:
        if b'"1.jpg"' in message.body:
            raise HookFailed("not this one")

    hook.takes = refuse_first
    hooks = await corner.hooks(hook)
    await corner.happen(5)
    await hooks.finish(60)
    assert sorted(hook.paths) == [f"{number}.jpg" for number in range(1, 6)]
    assert await corner.ledger.pending_deliveries() == 1


async def test_one_that_hangs_holds_up_no_other(corner: Corner) -> None:
    hanging, other = FakeHook("a"), FakeHook("b")
    never = asyncio.Event()
    hanging.takes = lambda message: never.wait()  # type: ignore[assignment, return-value]
    hooks = await corner.hooks(hanging, other)
    await corner.happen(3)
    running = asyncio.create_task(hooks.run())
    await until(lambda: len(other.told) == 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(hanging.told) == 1
    assert await corner.ledger.pending_deliveries() == 3


async def test_what_was_not_taken_is_told_by_the_next_process(corner: Corner) -> None:
    before, after = FakeHook("a"), FakeHook("a")
    before.takes = refuse
    hooks = await corner.hooks(before)
    await corner.happen(2)
    await hooks.finish(60)
    corner.clock.advance(700)
    await (await corner.hooks(after)).finish(60)
    assert {message.event_id for message in before.told} <= {message.event_id for message in after.told}
    assert sorted(after.paths) == ["1.jpg", "2.jpg"]


async def test_what_is_being_told_at_the_stop_may_end(corner: Corner) -> None:
    hook = FakeHook("a")
    going, go = asyncio.Event(), asyncio.Event()

    async def take_slowly(message: Message) -> None:
        going.set()
        await go.wait()

    hook.takes = take_slowly
    hooks = await corner.hooks(hook)
    await corner.happen()
    running = asyncio.create_task(hooks.run())
    await going.wait()
    running.cancel()
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(running, return_exceptions=True)
    assert await corner.ledger.pending_deliveries() == 0


async def test_hooks_that_are_not_set_any_more_are_told_nothing(corner: Corner) -> None:
    old, new = FakeHook("a"), FakeHook("b")
    old.takes = refuse
    hooks = await corner.hooks(old)
    await corner.happen()
    await hooks.finish(60)
    corner.clock.advance(700)
    await (await corner.hooks(new)).finish(60)
    assert (len(old.told), len(new.told)) == (1, 0)
    assert corner.observer.of("hooks_forgotten") == [{"number": 1}]


async def test_without_hooks_the_loop_ends_and_nothing_is_kept(corner: Corner) -> None:
    hooks = await corner.hooks()
    await asyncio.wait_for(hooks.run(), 5)
    await corner.happen()
    await hooks.finish(60)
    assert await corner.ledger.facts() == {}
    assert corner.observer.events() == []


async def test_an_id_that_ends_soon_is_told_by_the_loop(corner: Corner) -> None:
    hook = FakeHook("a")
    hooks = await corner.hooks(hook, expiring={"inbox": timedelta(hours=1)})
    await corner.happen()
    corner.clock.advance(LIFETIME.total_seconds() - 3000)
    await hooks.finish(60)
    await hooks.finish(60)
    assert [message.event for message in hook.told] == ["uploaded", "expiring"]


async def test_a_message_is_given_up_when_it_is_old_and_was_tried_often(corner: Corner) -> None:
    hook = FakeHook("a")
    hook.takes = refuse
    hooks = await corner.hooks(hook)
    await corner.happen()
    for _ in range(40):
        corner.clock.advance(DAY / 35)
        await hooks.finish(1)
    (given_up,) = corner.observer.of("hook_given_up")
    assert given_up == {
        "hook": "a",
        "number": 1,
        "message": "1 messages could not be delivered within 24 h, and are given up",
    }
    assert await corner.ledger.pending_deliveries() == 0


async def test_a_machine_that_was_off_gives_up_nothing_at_the_first_failure(corner: Corner) -> None:
    hook = FakeHook("a")
    hook.takes = refuse
    await (await corner.hooks(hook)).finish(1)
    await corner.happen(3)
    await (await corner.hooks(hook)).finish(1)
    corner.clock.advance(3 * DAY)
    await (await corner.hooks(hook)).finish(1)
    assert await corner.ledger.pending_deliveries() == 3


async def test_the_queue_of_one_that_fails_for_days_does_not_grow_without_end(corner: Corner) -> None:
    hook = FakeHook("a")
    hook.takes = refuse
    hooks = await corner.hooks(hook)
    await corner.happen(20)
    for _ in range(3):
        corner.clock.advance(DAY / 2 + 1)
        await hooks.finish(1)
    assert sum(one["number"] for one in corner.observer.of("hook_given_up")) == 20
    assert len(hook.told) < 20


async def test_a_fault_of_ours_in_one_is_told_and_stops_no_other(corner: Corner) -> None:
    broken, other = FakeHook("a", at_once=2), FakeHook("b")

    async def break_(message: Message) -> None:
        raise ZeroDivisionError

    broken.takes = break_
    hooks = await corner.hooks(broken, other)
    await corner.happen(3)
    await hooks.finish(60)
    assert len(other.told) == 3
    faults = {(fault["where"], type(fault["error"])) for fault in corner.observer.of("internal_fault")}
    assert faults == {("hook a", ZeroDivisionError)}


class FullDisk:
    """An outbox whose disk is full for a while: what was delivered cannot be noted."""

    def __init__(self, ledger: SqliteLedger, failures: int) -> None:
        self._ledger = ledger
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def delivered(self, delivery: Delivery) -> None:
        self._failures -= 1
        if self._failures >= 0:
            raise DiskFault("disk_full", "the ledger's disk is full")
        await self._ledger.delivered(delivery)


async def test_what_could_not_be_noted_is_told_again(corner: Corner) -> None:
    hook = FakeHook("a")
    hooks = await corner.hooks(hook, outbox=FullDisk(corner.ledger, 1))
    await corner.happen()
    await hooks.finish(60)
    assert await corner.ledger.pending_deliveries() == 1
    corner.clock.advance(60)
    await hooks.finish(60)
    assert len(hook.told) == 2
    assert await corner.ledger.pending_deliveries() == 0
    assert corner.observer.of("internal_fault") == []


class Unreachable:
    """An outbox whose disk is at fault."""

    def __getattr__(self, name: str) -> Any:
        async def fail(*args: object, **named: object) -> Sequence[str]:
            if name == "keep_targets":
                return 0  # type: ignore[return-value]
            raise DiskFault("disk", "fails")

        return fail


async def test_a_disk_at_fault_is_waited_for_and_ends_no_run(corner: Corner) -> None:
    hooks = await corner.hooks(FakeHook("a"), outbox=Unreachable())
    await hooks.finish(60)
    running = asyncio.create_task(hooks.run())
    await until(lambda: bool(corner.observer.of("disk_paused")))
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import AccountRefused, ApiUnavailable
from ingestor.files_api import ApiKey, Breaker
from ingestor.files_api.breaker import Ticket
from ingestor.policy.breaking import FAILURES
from tests.fakes import FakeClock, RecordingObserver

KEY = AccountRefused("key", "the API refuses our API key")
BALANCE = AccountRefused("balance", "the account's balance is too low")
ROUTE = ApiUnavailable("route", "no Files API answers there")


class Kit:
    """A breaker, its clock, and what waits at it."""

    def __init__(self, key: ApiKey | None = None) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.breaker = Breaker(clock=self.clock, observer=self.observer, rng=random.Random(7), key=key)
        self.admitted: list[str] = []

    def down(self) -> None:
        """Enough server faults of several requests to open it."""
        for _ in range(FAILURES):
            self.breaker.failed(self.breaker.ticket(), "the API failed (503)")
        assert self.breaker.is_open

    def waits(self, name: str, ticket: Ticket | None = None) -> tuple[Ticket, asyncio.Task[None]]:
        ticket = ticket or self.breaker.ticket()

        async def admit() -> None:
            await self.breaker.admit(ticket)
            self.admitted.append(name)

        return ticket, asyncio.ensure_future(admit())


async def ends(wait: Coroutine[Any, Any, None]) -> bool:
    """Whether this returns without time passing."""
    task = asyncio.ensure_future(wait)
    for _ in range(5):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        return False
    await task
    return True


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_closed_lets_everyone_pass() -> None:
    kit = Kit()
    for _ in range(3):
        ticket = kit.breaker.ticket()
        await kit.breaker.passable(ticket)
        await kit.breaker.admit(ticket)
    await kit.breaker.closed()
    assert not kit.breaker.state.is_open
    assert kit.observer.notices == []


async def test_faults_in_a_row_of_several_requests_open_it_and_one_notice_tells() -> None:
    kit = Kit()
    kit.down()
    state = kit.breaker.state
    assert (state.is_open, state.reason, state.message) == (True, "api", "the API failed (503)")
    assert state.since == kit.clock.now()
    assert state.next_probe_at is not None
    assert 0.9 <= (state.next_probe_at - kit.clock.now()).total_seconds() <= 1.0
    kit.breaker.failed(kit.breaker.ticket(), "again")
    assert kit.observer.events() == ["api_paused"]


async def test_a_success_in_between_starts_the_count_anew() -> None:
    kit = Kit()
    for _ in range(5):
        for _ in range(FAILURES - 1):
            kit.breaker.failed(kit.breaker.ticket(), "down")
        kit.breaker.succeeded(kit.breaker.ticket())
    assert not kit.breaker.is_open


async def test_open_holds_everyone_until_the_probe_is_due_and_then_lets_one_go() -> None:
    kit = Kit()
    kit.down()
    tasks = [kit.waits(name)[1] for name in "abc"]
    started = kit.clock.monotonic()
    await tasks[0]
    assert 0.9 <= kit.clock.monotonic() - started <= 1.0
    await settle()
    assert kit.admitted == ["a"]
    for task in tasks[1:]:
        task.cancel()


async def test_a_probe_that_goes_well_lets_all_others_go_and_tells_how_long_it_took() -> None:
    kit = Kit()
    kit.down()
    ticket, probe = kit.waits("a")
    others = [kit.waits(name)[1] for name in "bc"]
    await probe
    kit.clock.advance(9.0)
    kit.breaker.succeeded(ticket)
    await asyncio.gather(*others)
    assert sorted(kit.admitted) == ["a", "b", "c"]
    assert kit.observer.events() == ["api_paused", "api_resumed"]
    assert 9.9 <= kit.observer.of("api_resumed")[0]["seconds"] <= 10.0


async def test_a_probe_that_fails_puts_the_next_one_off() -> None:
    kit = Kit()
    kit.down()
    ticket = kit.breaker.ticket()
    gaps, before = [], kit.clock.monotonic()
    for _ in range(8):
        await kit.breaker.admit(ticket)
        gaps.append(kit.clock.monotonic() - before)
        before = kit.clock.monotonic()
        kit.breaker.failed(ticket, "still down")
    for gap, most in zip(gaps, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert 0.9 * most <= gap <= most
    assert kit.breaker.state.message == "still down"


async def test_another_request_probes_after_one_has_failed() -> None:
    kit = Kit()
    kit.down()
    first, first_task = kit.waits("first")
    _, second_task = kit.waits("second")
    await first_task
    kit.breaker.failed(first, "the image that the API chokes on")
    _, again = kit.waits("first again", first)
    await second_task
    await settle()
    assert kit.admitted == ["first", "second"]
    again.cancel()


async def test_a_probe_that_was_cancelled_lets_another_go_at_once() -> None:
    kit = Kit()
    kit.down()
    first, first_task = kit.waits("first")
    _, second_task = kit.waits("second")
    await first_task
    at = kit.clock.monotonic()
    kit.breaker.undecided(first)
    await second_task
    assert kit.clock.monotonic() == at


async def test_new_work_is_wanted_when_all_that_wait_have_probed_in_vain() -> None:
    kit = Kit()
    kit.down()
    ticket, task = kit.waits("choker")
    await task
    kit.breaker.failed(ticket, "down")
    _, waiting = kit.waits("choker again", ticket)
    kit.breaker.failed(kit.breaker.ticket(), "not a probe")
    await kit.breaker.closed()
    assert kit.breaker.is_open
    waiting.cancel()


async def test_new_work_is_not_wanted_before_the_probe_is_due_nor_while_somebody_fresh_can_probe() -> None:
    kit = Kit()
    kit.down()
    assert not await ends(kit.breaker.closed())
    _, waiting = kit.waits("fresh")
    kit.clock.advance(0.5)
    assert not await ends(kit.breaker.closed())
    waiting.cancel()


async def test_new_work_is_wanted_when_a_probe_is_due_and_nobody_waits() -> None:
    kit = Kit()
    kit.down()
    await kit.breaker.closed()
    assert kit.breaker.is_open


@pytest.mark.parametrize("fault", [KEY, BALANCE, ROUTE])
async def test_one_refusal_opens_it_at_once(fault: Any) -> None:
    kit = Kit()
    kit.breaker.refused(kit.breaker.ticket(), fault)
    assert kit.breaker.state.reason == fault.reason
    assert kit.observer.of("api_paused") == [{"reason": fault.reason, "message": str(fault)}]


@pytest.mark.parametrize(("fault", "passes"), [(BALANCE, True), (AccountRefused("scope", "no"), True), (KEY, False)])
async def test_ids_can_be_looked_at_while_only_uploads_are_refused(fault: Any, passes: bool) -> None:
    kit = Kit()
    kit.breaker.refused(kit.breaker.ticket(), fault)
    reads = kit.breaker.ticket(reads=True)
    assert await ends(kit.breaker.passable(reads)) is passes
    assert await ends(kit.breaker.admit(reads)) is passes
    assert not await ends(kit.breaker.admit(kit.breaker.ticket()))


async def test_an_answer_to_a_request_from_before_shows_only_that_the_api_is_up() -> None:
    before = Kit()
    ticket = before.breaker.ticket()
    before.down()
    before.breaker.succeeded(ticket)
    assert not before.breaker.is_open
    refused = Kit()
    ticket = refused.breaker.ticket()
    refused.breaker.refused(refused.breaker.ticket(), KEY)
    refused.breaker.succeeded(ticket)
    assert refused.breaker.is_open


async def test_a_late_failure_of_a_request_from_before_changes_nothing() -> None:
    kit = Kit()
    kit.breaker.refused(kit.breaker.ticket(), KEY)
    state = kit.breaker.state
    kit.breaker.failed(kit.breaker.ticket(), "late")
    kit.breaker.refused(kit.breaker.ticket(), BALANCE)
    assert kit.breaker.state == state


async def test_a_changed_key_file_is_probed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("al_live_OLD")
    file.chmod(0o600)
    key = ApiKey(file=file)
    kit = Kit(key)
    for _ in range(10):  # far into the backoff
        ticket = kit.breaker.ticket()
        await kit.breaker.admit(ticket)
        key.refused(key.current())
        kit.breaker.refused(ticket, KEY)
    _, task = kit.waits("resumed")
    await settle()
    assert not task.done()
    file.write_text("al_live_NEW")
    at = kit.clock.monotonic()
    await task
    assert kit.clock.monotonic() - at <= 2.0


async def test_whoever_gives_up_waiting_leaves_no_trace() -> None:
    kit = Kit()
    kit.down()
    _, first = kit.waits("gone")
    _, second = kit.waits("stays")
    await settle()
    first.cancel()
    await second
    assert kit.admitted == ["stays"]
    assert kit.breaker._waiting == []

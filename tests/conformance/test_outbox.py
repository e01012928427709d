"""What every `ports.Outbox` does, on each ledger of `test_ledger.MAKERS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.ports import Ledger
from tests.conformance.test_ledger import MAKERS, reopened
from tests.fakes import FakeClock
from tests.ledger_kit import LIFETIME, Walk, content, sighting

HOUR = timedelta(hours=1)
A, B, C = sighting("a/b.jpg"), sighting("a/c.jpg"), sighting("top.jpg")
ODD = sighting("caf\udce9\\x/%_.jpg")
ONE, TWO = content(1), content(2)
EVERYTHING = {
    ("inbox", event): ["t"] for event in ("uploaded", "renewed", "expired", "purged", "quarantined", "expiring")
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=MAKERS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ledger]:
    made = MAKERS[request.param](tmp_path, clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def walk(ledger: Ledger, clock: FakeClock) -> Walk:
    return Walk(ledger, clock)


async def due(ledger: Ledger, target: str = "t") -> list[tuple[str, str]]:
    return [(one.entry.event, one.entry.path) for one in await ledger.deliveries(target, 100)]


async def test_an_outbox_that_nobody_uses_is_empty(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    assert await ledger.keep_targets([]) == 0
    assert await ledger.targets_due() == []
    assert await ledger.pending_deliveries() == 0
    assert await ledger.facts() == {}


async def test_the_first_targets_are_told_of_what_happens_from_then_on(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await ledger.keep_targets(["t"])
    await walk.uploaded(B, TWO)
    await ledger.enqueue(EVERYTHING)
    await ledger.enqueue(EVERYTHING)
    assert await ledger.targets_due() == ["t"]
    assert await due(ledger) == [("uploaded", "a/c.jpg")]


async def test_a_delivery_says_what_the_manifest_says(ledger: Ledger, walk: Walk) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(ODD, ONE)
    await ledger.enqueue(EVERYTHING)
    (line,) = await ledger.lines_after(0, 10)
    (delivery,) = await ledger.deliveries("t", 10)
    assert (delivery.target, delivery.attempt, delivery.entry) == ("t", 0, line)


async def test_each_target_is_told_of_its_own_events_and_folders_only(ledger: Ledger, walk: Walk) -> None:
    routes = {("inbox", "uploaded"): ["t", "u"], ("inbox", "quarantined"): ["u"], ("other", "uploaded"): ["v"]}
    await ledger.keep_targets(["t", "u", "v"])
    await walk.uploaded(A, ONE)
    await walk.entered(B, TWO)
    await ledger.quarantine(B.source, TWO.content_id, "truncated", "m", None)
    await ledger.enqueue(routes)
    assert await due(ledger, "t") == [("uploaded", "a/b.jpg")]
    assert await due(ledger, "u") == [("uploaded", "a/b.jpg"), ("quarantined", "a/c.jpg")]
    assert sorted(await ledger.targets_due()) == ["t", "u"]
    assert await ledger.pending_deliveries() == 3


async def test_more_than_fits_one_change_is_enqueued_all_the_same(ledger: Ledger, walk: Walk) -> None:
    await ledger.keep_targets(["t"])
    seen = [sighting(f"{number:04}.jpg") for number in range(1100)]
    await asyncio.gather(*(walk.taken(one) for one in seen))
    await asyncio.gather(*(ledger.quarantine(one.source, None, "no_image", "m", None) for one in seen))
    await ledger.enqueue(EVERYTHING)
    assert await ledger.pending_deliveries() == 1100


async def test_what_was_delivered_is_due_no_more(ledger: Ledger, walk: Walk) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(A, ONE)
    await walk.uploaded(B, TWO)
    await ledger.enqueue(EVERYTHING)
    (first,) = await ledger.deliveries("t", 1)
    await ledger.delivered(first)
    assert await due(ledger) == [("uploaded", "a/c.jpg")]


async def test_what_was_put_off_comes_again_later(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(A, ONE)
    await ledger.enqueue(EVERYTHING)
    (delivery,) = await ledger.deliveries("t", 1)
    await ledger.put_off(delivery, 60)
    assert await due(ledger) == []
    assert await ledger.targets_due() == []
    assert await ledger.pending_deliveries() == 1
    clock.advance(60)
    (again,) = await ledger.deliveries("t", 1)
    assert (again.attempt, again.entry) == (1, delivery.entry)


async def test_what_is_old_is_given_up_for_one_target(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.keep_targets(["t", "u"])
    await walk.uploaded(A, ONE)
    await ledger.enqueue({("inbox", "uploaded"): ["t", "u"]})
    clock.advance(3600)
    await walk.uploaded(B, TWO)
    await ledger.enqueue({("inbox", "uploaded"): ["t", "u"]})
    clock.advance(1)
    assert await ledger.give_up("t", older_than=HOUR, attempts=1) == 0
    (first,) = await ledger.deliveries("t", 1)
    await ledger.put_off(first, 0)
    assert await ledger.give_up("t", older_than=2 * HOUR, attempts=0) == 0
    assert await ledger.give_up("t", older_than=HOUR, attempts=1) == 1
    assert await due(ledger, "t") == [("uploaded", "a/c.jpg")]
    assert len(await due(ledger, "u")) == 2


async def test_targets_that_are_gone_are_forgotten_and_new_ones_begin_now(ledger: Ledger, walk: Walk) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(A, ONE)
    await ledger.enqueue(EVERYTHING)
    assert await ledger.keep_targets(["u"]) == 1
    assert await ledger.pending_deliveries() == 0
    await ledger.keep_targets([])
    await walk.uploaded(B, TWO)
    await ledger.keep_targets(["t"])
    await ledger.enqueue(EVERYTHING)
    assert await ledger.pending_deliveries() == 0


async def test_nothing_is_missed_between_two_lives(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(A, ONE)
    await ledger.close()
    next_life: Any = reopened(ledger, clock)
    await next_life.open()
    assert await next_life.keep_targets(["t"]) == 0
    await next_life.enqueue(EVERYTHING)
    assert await due(next_life) == [("uploaded", "a/b.jpg")]
    await next_life.close()


async def test_compaction_of_the_manifest_takes_no_event_away(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.keep_targets(["t"])
    await walk.uploaded(A, ONE)
    clock.advance(LIFETIME.total_seconds() + 1)
    await ledger.expire()
    assert await ledger.unlist_superseded(1_000_000) == 1
    await ledger.enqueue(EVERYTHING)
    assert await due(ledger) == [("uploaded", "a/b.jpg"), ("expired", "a/b.jpg")]


async def test_an_id_that_ends_soon_is_told_once(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.keep_targets(["t"])
    for seen, what in ((A, ONE), (C, TWO), (ODD, content(3))):
        await walk.uploaded(seen, what)
    lines = {line.path: line.detail for line in await ledger.lines_after(0, 10)}
    assert await ledger.tell_expiring("inbox", HOUR) == 0
    clock.advance((LIFETIME - HOUR).total_seconds())
    assert await ledger.tell_expiring("other", HOUR) == 0
    assert await ledger.tell_expiring("inbox", HOUR) == 3
    clock.advance(1)
    assert await ledger.tell_expiring("inbox", HOUR) == 0
    await ledger.enqueue({("inbox", "expiring"): ["t"]})
    told = {one.entry.path: one.entry for one in await ledger.deliveries("t", 10)}
    assert {path: entry.detail for path, entry in told.items()} == lines
    assert not any(entry.listed for entry in told.values())
    assert len(await ledger.lines_after(0, 10)) == 3


async def test_a_renewed_id_ends_anew_and_an_ended_one_never(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    clock.advance((LIFETIME - HOUR).total_seconds())
    assert await ledger.tell_expiring("inbox", HOUR) == 1
    await walk.renewed(A, ONE)
    assert await ledger.tell_expiring("inbox", HOUR) == 0
    clock.advance((LIFETIME - HOUR).total_seconds())
    assert await ledger.tell_expiring("inbox", HOUR) == 1
    await walk.uploaded(B, TWO)
    clock.advance(LIFETIME.total_seconds() + 1)
    assert await ledger.tell_expiring("inbox", HOUR) == 0


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
async def test_each_station_of_a_shared_ledger_tells_its_own_hooks(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    from ingestor.ledger.postgres.ledger import PostgresLedger

    assert isinstance(ledger, PostgresLedger)
    there = PostgresLedger(ledger.database, clock, station="here%")
    await ledger.keep_targets(["t"])
    await there.keep_targets(["t", "u"])
    await walk.uploaded(A, ONE)
    await ledger.enqueue({("inbox", "uploaded"): ["t"]})
    await there.enqueue({("inbox", "uploaded"): ["t", "u"]})
    (delivery,) = await ledger.deliveries("t", 10)
    await ledger.delivered(delivery)
    assert await ledger.targets_due() == []
    assert sorted(await there.targets_due()) == ["t", "u"]
    assert await ledger.pending_deliveries() == 2
    assert await ledger.keep_targets([]) == 0
    assert await there.keep_targets([]) == 2
    await there.close()

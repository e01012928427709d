"""`ingestor ledger copy`: a ledger goes to PostgreSQL and back, and is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import LedgerError
from ingestor.ledger import SqliteLedger
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.ports import Ledger
from tests.cluster.kit import Station
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting
from tests.postgres_kit import PASSWORD, database, new_database

ODD = sighting("caf\udce9\\x/%_.jpg")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def filled(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    """Something of everything."""
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    walk = Walk(ledger, clock)
    await ledger.keep_targets(["t"])
    await walk.uploaded(sighting("a.jpg"), content(1, odd="\u0000\u2028", nested={"a": [1, None]}))
    await walk.uploaded(ODD, content(2))
    await walk.intended(sighting("c.jpg"), content(3))
    await walk.taken(sighting("d.jpg"))
    await ledger.enqueue({("inbox", "uploaded"): ["t"]})
    await ledger.set_fact("runtime.status", {"old": True})
    await ledger.set_fact("quota.uploads", {"tokens": 1.5})
    yield ledger
    await ledger.close()


async def everything(ledger: Ledger) -> dict[str, Any]:
    return {
        "entries": await ledger.entries(),
        "lines": await ledger.lines_after(0, 1000),
        "facts": dict(await ledger.facts()),
        "deliveries": await ledger.deliveries("t", 1000),
        "next": await ledger.next_ready_at(),
    }


async def test_all_of_it_arrives_and_comes_back(filled: SqliteLedger, tmp_path: Path, clock: FakeClock) -> None:
    before = await everything(filled)
    shared = PostgresLedger(database(new_database()), clock, station="here", own_facts=["runtime.status"])
    copied = await shared.copy_from(filled, lambda name: shared.kept_name(name))
    assert copied["sources"] == 4
    assert await everything(shared) == before

    again = SqliteLedger(tmp_path / "again.db", clock)
    await again.open()
    await again.copy_from(shared, lambda name: shared.plain_name(name))
    assert await everything(again) == before
    await again.close()
    await shared.close()


async def test_what_happens_next_is_numbered_after_what_was_copied(filled: SqliteLedger, clock: FakeClock) -> None:
    shared = PostgresLedger(database(new_database()), clock, station="here")
    await shared.copy_from(filled, lambda name: name)
    last = (await shared.lines_after(0, 1000))[-1].seq
    await Walk(shared, clock).uploaded(sighting("new.jpg"), content(9))
    assert [line.path for line in await shared.lines_after(last, 10)] == ["new.jpg"]
    await shared.close()


async def test_another_stations_own_facts_are_left_behind(
    filled: SqliteLedger, tmp_path: Path, clock: FakeClock
) -> None:
    url = new_database()
    here = PostgresLedger(database(url), clock, station="here", own_facts=["runtime.status"])
    there = PostgresLedger(database(url), clock, station="there", own_facts=["runtime.status"])
    await here.set_fact("runtime.status", 1)
    await there.set_fact("runtime.status", 2)
    assert (await here.fact("runtime.status"), await there.fact("runtime.status")) == (1, 2)
    file = SqliteLedger(tmp_path / "file.db", clock)
    await file.open()
    await file.copy_from(here, here.plain_name)
    assert await file.facts() == {"runtime.status": 1}
    for ledger in (here, there, file):
        await ledger.close()


async def test_a_ledger_that_holds_something_is_not_written_over(filled: SqliteLedger, clock: FakeClock) -> None:
    shared = PostgresLedger(database(new_database()), clock, station="here")
    await shared.copy_from(filled, lambda name: name)
    before = await everything(shared)
    with pytest.raises(LedgerError, match="holds something already"):
        await shared.copy_from(filled, lambda name: name)
    assert await everything(shared) == before
    await shared.close()


async def test_the_command_moves_a_ledger_and_the_next_run_finds_all_live(station: Station) -> None:
    home = station.home
    station.draw("a.png", "b.png")
    url, home.settings["ledger"] = home.settings["ledger"], "var/ledger.db"
    home.save()
    assert (await home.run("backfill")).code == 0

    copied = await home.run("ledger", "copy", "var/ledger.db", url, "--json")
    assert copied.code == 0, copied.err
    assert copied.json["sources"] == 2

    home.settings["ledger"] = url
    home.save()
    again = await home.run("backfill", "--json")
    assert (again.json["already_live"], again.json["uploaded"]) == (2, 0)
    refused = await home.run("ledger", "copy", "var/ledger.db", url)
    assert refused.code == 1
    assert "holds something already" in refused.last_words
    assert PASSWORD not in refused.err + copied.err + copied.out


async def test_it_waits_for_nobody_who_works_with_either(station: Station) -> None:
    async with station.home.watching():
        held = await station.home.run("ledger", "copy", station.home.settings["ledger"], "var/other.db")
    assert held.code == 6

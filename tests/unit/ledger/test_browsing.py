from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ingestor.ledger import SqliteBrowser, SqliteLedger, browsing
from ingestor.ledger.browsing import LedgerBrowser, Sought, is_rare
from ingestor.ledger.totals import Totals
from ingestor.model import Lane
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    made = SqliteLedger(empty_ledger_in(tmp_path), clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def walk(ledger: SqliteLedger, clock: FakeClock) -> Walk:
    return Walk(ledger, clock)


@pytest.fixture
async def browser(ledger: SqliteLedger, clock: FakeClock) -> AsyncIterator[LedgerBrowser]:
    made = SqliteBrowser(ledger.path, clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def populated(walk: Walk, clock: FakeClock) -> Walk:
    """One path in each state, and one whose id has expired without anybody having marked it."""
    await walk.uploaded(sighting("old/expired.jpg"), content(1))
    await walk.ledger.expire()
    clock.advance(20 * 3600)
    await walk.uploaded(sighting("soon.jpg"), content(2))
    clock.advance(5 * 3600)
    await walk.uploaded(sighting("live.jpg", folder="other"), content(3))
    await walk.taken(sighting("b/waiting.jpg"))
    await walk.intended(sighting("b/sending.jpg"), content(4))
    gone = await walk.taken(sighting("vanished.jpg"))
    await walk.ledger.vanish(gone.folder, gone.path, "is gone")
    purged = await walk.uploaded(sighting("purged.jpg"), content(5))
    await walk.ledger.purge(content(5).content_id, purged.file_id, "asked to")
    for name, reason in (("bad.jpg", "truncated"), ("worse.png", "not_an_image")):
        source = await walk.taken(sighting(f"bad/{name}"))
        await walk.ledger.quarantine(source, None, reason, f"{name}: no", None)
    await walk.uploaded(sighting("renewing.jpg"), content(6))
    assert await walk.ledger.want_renewal(content(6).content_id, None)
    return walk


async def paths(browser: LedgerBrowser, sought: Sought, *, is_rare: bool) -> list[str]:
    leaf = await browser.browse(sought, limit=50, is_rare=is_rare)
    assert leaf.go_on_after is None
    return [f"{seen.state} {seen.entry.path}" for seen in leaf.seen]


STATES = {
    "waiting": ["waiting b/waiting.jpg"],
    "sending": ["sending b/sending.jpg"],
    "renewing": ["renewing renewing.jpg"],
    "live": ["live soon.jpg", "live live.jpg"],
    "expired": ["expired old/expired.jpg"],
    "purged": ["purged purged.jpg"],
    "quarantined": ["quarantined bad/bad.jpg", "quarantined bad/worse.png"],
    "vanished": ["vanished vanished.jpg"],
}


@pytest.mark.parametrize("rare", [True, False], ids=["by index", "by slices"])
@pytest.mark.parametrize("state", STATES)
async def test_each_state_is_found_the_same_either_way(
    browser: LedgerBrowser, populated: Walk, state: str, rare: bool
) -> None:
    assert await paths(browser, Sought(state=state), is_rare=rare) == STATES[state]


async def test_what_stands_in_a_list_is_what_status_counts(browser: LedgerBrowser, populated: Walk) -> None:
    counted = {(stand.folder, stand.state): stand.number for stand in await browser.stands()}
    seen: dict[tuple[str, str], int] = {}
    for one in (await browser.browse(Sought(), limit=50)).seen:
        seen[one.entry.folder, one.state] = seen.get((one.entry.folder, one.state), 0) + 1
    assert seen == counted


@pytest.mark.parametrize("rare", [True, False])
async def test_ids_that_expire_soon_are_found(browser: LedgerBrowser, populated: Walk, rare: bool) -> None:
    assert await paths(browser, Sought(expires_within=timedelta(hours=1)), is_rare=rare) == []
    assert await paths(browser, Sought(expires_within=timedelta(hours=20)), is_rare=rare) == ["live soon.jpg"]


@pytest.mark.parametrize("rare", [True, False])
async def test_folder_reason_and_words_narrow_it_down(browser: LedgerBrowser, populated: Walk, rare: bool) -> None:
    quarantined = Sought(state="quarantined", reason="truncated")
    assert await paths(browser, quarantined, is_rare=rare) == ["quarantined bad/bad.jpg"]
    assert await paths(browser, Sought(state="live", folder="other"), is_rare=rare) == ["live live.jpg"]
    assert await paths(browser, Sought(state="live", words="SOON"), is_rare=rare) == ["live soon.jpg"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("b/sen", ["b/sending.jpg"]),
        ("inbox/bad/", ["bad/bad.jpg", "bad/worse.png"]),
        ("inbox/soon", ["soon.jpg"]),
        ("%", []),
        ("_", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_words_are_part_of_folder_and_path_to_the_letter(
    browser: LedgerBrowser, populated: Walk, words: str, found: list[str]
) -> None:
    leaf = await browser.browse(Sought(words=words), limit=50)
    assert [seen.entry.path for seen in leaf.seen] == found


async def test_names_of_any_bytes_are_found_and_come_back_whole(browser: LedgerBrowser, walk: Walk) -> None:
    odd = ("back\\slash.jpg", "a\udcffb/not-utf8.jpg", "50%_off.jpg", "Ünïcode.jpg")
    await walk.taken(*(sighting(path) for path in odd))
    for path, words in zip(odd, ("k\\s", "\udcffb", "50%_", "ünï"), strict=True):
        found = [seen.entry.path for seen in (await browser.browse(Sought(words=words), limit=9)).seen]
        # SQLite folds the case of ASCII alone.
        assert found == ([path] if words != "ünï" else []), words
        one = await browser.one(("inbox", path))
        assert one is not None
        assert one.entry.path == path


@pytest.mark.parametrize("rare", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_put_together_are_the_whole_list_in_order_and_once(
    browser: LedgerBrowser, walk: Walk, monkeypatch: pytest.MonkeyPatch, limit: int, rare: bool
) -> None:
    monkeypatch.setattr(browsing, "SLICE", 4)
    names = [f"{directory}{number:02}.jpg" for directory in ("", "a/", "a/b/", "z/") for number in range(6)]
    await walk.taken(*(sighting(name) for name in names))
    await walk.taken(*(sighting(name, folder="zoo") for name in names))
    listed: list[tuple[str, str]] = []
    after = None
    while True:
        leaf = await browser.browse(Sought(state="waiting"), limit=limit, after=after, is_rare=rare)
        assert len(leaf.seen) <= limit
        listed += [(seen.entry.folder, seen.entry.path) for seen in leaf.seen]
        after = leaf.go_on_after
        if after is None:
            break
    assert listed == [(folder, name) for folder in ("inbox", "zoo") for name in names]


async def test_a_search_that_takes_long_says_where_to_go_on(
    browser: LedgerBrowser, walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "SLICE", 5)
    monkeypatch.setattr(browsing, "LOOK_SECONDS", 0.0)
    await walk.taken(*(sighting(f"{number:02}.jpg") for number in range(12)))
    leaf = await browser.browse(Sought(words="11.jpg"), limit=10)
    assert (leaf.seen, leaf.go_on_after) == ((), ("inbox", "04.jpg"))
    leaf = await browser.browse(Sought(words="11.jpg"), limit=10, after=leaf.go_on_after)
    leaf = await browser.browse(Sought(words="11.jpg"), limit=10, after=leaf.go_on_after)
    assert [seen.entry.path for seen in leaf.seen] == ["11.jpg"]
    assert leaf.go_on_after is None


async def test_file_ids_and_digests_name_all_paths_with_them(browser: LedgerBrowser, walk: Walk) -> None:
    receipt = await walk.uploaded(sighting("one.jpg"), content(1))
    twin = sighting("twin.jpg")
    await walk.entered(twin, content(1))
    for wanted in (receipt.file_id, content(1).digest):
        assert {seen.entry.path for seen in await browser.named(wanted, 9)} == {"one.jpg", "twin.jpg"}
    assert await browser.named("file_nobody", 9) == ()
    assert await browser.one(("inbox", "nobody.jpg")) is None


TOTALS = Totals(
    sources={"waiting": 20_001, "quarantined": 3},
    uploads={"live": 900_000, "expired": 4},
    live_ids=900_000,
    expiring_1h=50,
    expiring_6h=60_000,
    next_expiry_at=None,
    oldest_found_at=None,
)


@pytest.mark.parametrize(
    ("sought", "rare"),
    [
        (Sought(state="quarantined"), True),
        (Sought(state="vanished"), True),
        (Sought(state="expired"), True),
        (Sought(state="waiting"), False),
        (Sought(state="sending"), False),
        (Sought(state="live"), False),
        (Sought(words="x"), False),
        (Sought(expires_within=timedelta(hours=1)), True),
        (Sought(expires_within=timedelta(hours=6)), False),
    ],
)
def test_the_index_is_used_for_what_is_rare(sought: Sought, rare: bool) -> None:
    assert is_rare(sought, TOTALS) is rare


async def test_totals_are_those_of_all_folders(browser: LedgerBrowser, populated: Walk, clock: FakeClock) -> None:
    totals = await browser.totals()
    assert totals.sources == {"waiting": 3, "done": 4, "quarantined": 2, "vanished": 1}
    assert (totals.live_ids, totals.expiring_1h, totals.expiring_6h) == (3, 0, 0)
    assert totals.oldest_found_at == clock.now(), "of those in line, renewals aside"
    clock.advance(18.5 * 3600)
    later = await browser.totals()
    assert (later.live_ids, later.expiring_1h, later.expiring_6h) == (3, 1, 3)


async def test_who_waits_to_be_renewed_has_not_waited_since_it_was_found(browser: LedgerBrowser, walk: Walk) -> None:
    await walk.uploaded(sighting("one.jpg"), content(1))
    assert await walk.ledger.want_renewal(content(1).content_id, None)
    assert (await browser.totals()).oldest_found_at is None
    await walk.ledger.take([sighting("two.jpg")], Lane.BACKFILL, None)
    assert (await browser.totals()).oldest_found_at == walk.clock.now()


async def test_closing_ends_a_question_that_nobody_waits_for_any_more(ledger: SqliteLedger, clock: FakeClock) -> None:
    reader = SqliteBrowser(ledger.path, clock)
    await reader.open()
    endless = "WITH RECURSIVE n(x) AS (SELECT begun() UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    begun = threading.Event()

    def ask(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.create_function("begun", 0, lambda: begun.set() or 1)
        connection.exec_driver_sql(endless).all()

    asking = asyncio.create_task(reader._read(ask))
    await asyncio.to_thread(begun.wait)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(reader.close(), 30)


async def test_questions_are_asked_one_after_another_also_when_an_asker_has_gone(browser: LedgerBrowser) -> None:
    at_once, most = 0, 0

    def ask(connection: Connection) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        connection.exec_driver_sql("SELECT 1").all()
        at_once -= 1

    asking = [asyncio.create_task(browser._read(ask)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asking[::2]:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert most == 1

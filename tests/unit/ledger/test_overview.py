"""What operators ask a ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from ingestor.ledger import SqliteLedger, SqliteReader, overview
from ingestor.ledger.overview import STATES
from ingestor.ledger.schema import sources
from ingestor.model import ContentId, State
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting


@dataclass
class Shelf:
    walk: Walk
    clock: FakeClock
    reader: SqliteReader

    async def counts(self) -> dict[tuple[str, str], int]:
        """By folder and state; the same as when every path is looked at together with its upload."""
        stands = await self.reader.stands()
        for folder in {stand.folder for stand in stands}:
            every = overview._by_uploads(self.clock.now()).where(sources.c.folder == folder)
            rows = await self.reader._read(lambda connection, every=every: connection.execute(every).all())
            assert {row.shown: (row.number, row.expiring_1h, row.expiring_6h, row.next_attempt_at) for row in rows} == {
                stand.state: (stand.number, stand.expiring_1h, stand.expiring_6h, stand.next_attempt_at)
                for stand in stands
                if stand.folder == folder
            }
        return {(stand.folder, stand.state): stand.number for stand in stands}


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    clock = FakeClock()
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    reader = SqliteReader(ledger.path, clock)
    await reader.open()
    yield Shelf(Walk(ledger, clock), clock, reader)
    await reader.close()
    await ledger.close()


# -- counts ----------------------------------------------------------------------------------------


async def test_every_path_is_counted_once_where_it_stands(shelf: Shelf) -> None:
    walk = shelf.walk
    await walk.uploaded(sighting("live.jpg"), content(1))
    await walk.taken(sighting("waits.jpg"))
    await walk.intended(sighting("sent.jpg"), content(2))
    await walk.entered(sighting("bad.jpg"), content(3))
    await walk.ledger.quarantine(sighting("bad.jpg").source, content(3).content_id, "corrupt", "m", None)
    await walk.uploaded(sighting("other.jpg", folder="faces"), content(4))
    gone = await walk.uploaded(sighting("gone.jpg"), content(5))
    await walk.ledger.purge(content(5).content_id, gone.file_id, "by hand")
    await walk.taken(sighting("vanished.jpg"))
    await walk.ledger.vanish("inbox", "vanished.jpg", "is gone")
    counts = await shelf.counts()
    assert counts == {
        ("inbox", "live"): 1,
        ("inbox", "waiting"): 1,
        ("inbox", "sending"): 1,
        ("inbox", "quarantined"): 1,
        ("inbox", "purged"): 1,
        ("inbox", "vanished"): 1,
        ("faces", "live"): 1,
    }
    assert {state for _, state in counts} <= set(STATES)


async def test_no_path_is_counted_but_by_the_index(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("live.jpg"), content(1))
    asked: list[tuple[str, Any]] = []
    event.listen(shelf.reader._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    await shelf.reader.stands()

    def plans(connection: Connection) -> list[str]:
        selects = [(text, given) for text, given in asked if text.startswith("SELECT")]
        rows = [
            row for text, given in selects for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)
        ]
        return [row.detail for row in rows if "sources" in row.detail]

    told = await shelf.reader._read(plans)
    assert len(told) > 4
    assert all("SEARCH sources USING" in plan for plan in told), told


async def test_paths_with_the_same_content_are_several_paths_and_one_id(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    copy = sighting("b.jpg")
    await shelf.walk.entered(copy, content(1))
    await shelf.walk.ledger.finish(copy.source, None)
    assert await shelf.counts() == {("inbox", "live"): 2}
    assert await shelf.reader.live_ids() == 1


async def test_an_id_counts_as_expired_from_its_last_instant_on(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    shelf.clock.advance(24 * 3600 - 1)
    assert await shelf.counts() == {("inbox", "live"): 1}
    shelf.clock.advance(1)
    assert await shelf.counts() == {("inbox", "expired"): 1}
    assert await shelf.reader.live_ids() == 0


@pytest.mark.parametrize(("hours", "one", "six"), [(17, 0, 0), (18, 0, 1), (22, 0, 1), (23, 1, 1)])
async def test_ids_that_end_soon_are_counted_by_how_soon(shelf: Shelf, hours: int, one: int, six: int) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    shelf.clock.advance(hours * 3600)
    (stand,) = await shelf.reader.stands()
    assert (stand.expiring_1h, stand.expiring_6h) == (one, six)


async def test_the_next_instants_are_those_of_the_first(shelf: Shelf) -> None:
    first = await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    shelf.clock.advance(60)
    await shelf.walk.uploaded(sighting("b.jpg"), content(2))
    await shelf.walk.taken(sighting("c.jpg"))
    stands = {stand.state: stand for stand in await shelf.reader.stands()}
    assert stands["live"].next_expiry_at == first.expires_at
    assert stands["waiting"].next_attempt_at == shelf.clock.now()
    assert stands["waiting"].next_expiry_at is None


async def test_quarantines_are_counted_by_folder_and_reason(shelf: Shelf) -> None:
    for number, (path, reason) in enumerate([("a.jpg", "corrupt"), ("b.jpg", "corrupt"), ("c.jpg", "not_an_image")]):
        await shelf.walk.entered(sighting(path), content(number))
        await shelf.walk.ledger.quarantine(sighting(path).source, content(number).content_id, reason, "m", None)
    found = [(one.folder, one.reason, one.number) for one in await shelf.reader.quarantines()]
    assert found == [("inbox", "corrupt", 2), ("inbox", "not_an_image", 1)]


async def test_folders_are_those_that_have_a_path(shelf: Shelf) -> None:
    await shelf.walk.taken(sighting("a.jpg", folder="b"))
    await shelf.walk.taken(sighting("a.jpg", folder="a"))
    assert await shelf.reader.folder_names() == ["a", "b"]


# -- lines -----------------------------------------------------------------------------------------


async def present(shelf: Shelf, **which: object) -> list[tuple[str, str]]:
    asked = {"up_to_seq": 10_000, "after_seq": 0, "folder": None, "limit": 100, **which}
    return [(line.path, line.event) for line in await shelf.reader.present_lines(**asked)]  # type: ignore[arg-type]


async def test_only_the_last_line_of_each_path_is_present(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    await shelf.walk.uploaded(sighting("b.jpg"), content(2))
    await shelf.walk.renewed(sighting("a.jpg"), content(1))
    assert await present(shelf) == [("b.jpg", "uploaded"), ("a.jpg", "renewed")]


async def test_the_present_may_be_that_of_an_earlier_number(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    until = await shelf.reader.last_seq()
    await shelf.walk.renewed(sighting("a.jpg"), content(1))
    assert await present(shelf, up_to_seq=until) == [("a.jpg", "uploaded")]


async def test_lines_come_page_by_page_and_by_folder(shelf: Shelf) -> None:
    for number, folder in enumerate(["one", "two", "one"]):
        await shelf.walk.uploaded(sighting(f"{number}.jpg", folder=folder), content(number))
    (first,) = await shelf.reader.present_lines(up_to_seq=99, after_seq=0, folder="one", limit=1)
    (second,) = await shelf.reader.present_lines(up_to_seq=99, after_seq=first.seq, folder="one", limit=1)
    assert (first.path, second.path) == ("0.jpg", "2.jpg")


async def test_an_empty_ledger_has_no_number(shelf: Shelf) -> None:
    assert await shelf.reader.last_seq() == 0


# -- where something is ----------------------------------------------------------------------------


async def test_a_file_is_found_where_it_was_put_away(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    await shelf.walk.ledger.note_put_away(sighting("a.jpg").source, "/done/a.jpg")
    assert [entry.path for entry in await shelf.reader.find_put_away(["/x", "/done/a.jpg"])] == ["a.jpg"]
    assert await shelf.reader.find_put_away(["/done/b.jpg"]) == []


async def test_the_paths_of_a_content_are_told_in_order(shelf: Shelf) -> None:
    for path in ("b/c.jpg", "a.jpg", "b/a.jpg"):
        await shelf.walk.entered(sighting(path), content(1))
    paths = await shelf.reader.paths_of(content(1).content_id, 2)
    assert paths == [("inbox", "a.jpg"), ("inbox", "b/a.jpg")]


async def test_what_was_found_under_a_path_is_told(shelf: Shelf) -> None:
    await shelf.walk.entered(sighting("a/b.jpg"), content(1))
    assert await shelf.reader.content_of("inbox", "a/b.jpg") == content(1).content_id
    assert await shelf.reader.content_of("inbox", "a/c.jpg") is None


async def test_sizes_are_told_of_files_whose_content_is_known(shelf: Shelf) -> None:
    await shelf.walk.taken(sighting("a.jpg"))
    assert await shelf.reader.source_sizes([9, 10, 11]) == frozenset()
    await shelf.walk.entered(sighting("b.jpg"), content(1))
    assert await shelf.reader.source_sizes([9, 10, 11]) == {10}
    assert await shelf.reader.source_sizes([9, 11]) == frozenset()
    assert await shelf.reader.source_sizes([]) == frozenset()


async def test_contents_are_told_where_they_stand(shelf: Shelf) -> None:
    await shelf.walk.uploaded(sighting("a.jpg"), content(1))
    unknown = ContentId("0" * 64)
    held = await shelf.reader.standing_of([content(1).content_id, unknown])
    assert held.keys() == {content(1).content_id}
    one = held[content(1).content_id]
    assert (one.state, one.expires_at) == (State.LIVE, shelf.clock.now() + timedelta(hours=24))

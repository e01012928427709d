"""What every `ports.Ledger` does, on each implementation. A further one adds a row to `MAKERS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.ledger import SqliteLedger, overview, reads
from ingestor.ledger.sql import SqlLedger
from ingestor.model import Content, Known, Lane, Mark, Marks, Receipt, Sighting, SourceState, State
from ingestor.policy.life_cycle import IllegalMove
from ingestor.ports import Ledger
from ingestor.runtime.story import sentence_of
from tests.fakes import FakeClock
from tests.ledger_kit import LIFETIME, Walk, content, empty_ledger_in, moved_on, payload, receipt, sighting

Maker = Callable[[Path, FakeClock], Ledger]


def _sqlite(folder: Path, clock: FakeClock) -> Ledger:
    return SqliteLedger(empty_ledger_in(folder), clock)


def _postgresql(folder: Path, clock: FakeClock) -> Ledger:
    from ingestor.ledger.postgres.ledger import PostgresLedger
    from tests.postgres_kit import database, new_database

    return PostgresLedger(database(new_database()), clock, station="here")


MAKERS: dict[str, Maker] = {"sqlite": _sqlite, "postgresql": _postgresql}


def reopened(ledger: Ledger, clock: FakeClock) -> Ledger:
    """The same ledger in another life of the program; still to be opened."""
    if isinstance(ledger, SqliteLedger):
        return SqliteLedger(ledger.path, clock)
    from ingestor.ledger.postgres.ledger import PostgresLedger

    assert isinstance(ledger, PostgresLedger)
    return PostgresLedger(ledger.database, clock, station="here")


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


async def known_of(ledger: Ledger, seen: Sighting) -> Known:
    directory, _, name = seen.source.path.rpartition("/")
    return (await ledger.known(seen.source.folder, directory))[name]


async def events(ledger: Ledger, path: str = "a/b.jpg") -> list[str]:
    return [entry.event for entry in await ledger.story("inbox", path)]


A = sighting("a/b.jpg")
B = sighting("a/c.jpg")
ONE, TWO = content(1), content(2)


# -- opening


async def test_an_empty_ledger_knows_nothing(ledger: Ledger) -> None:
    assert await ledger.known("inbox", "") == {}
    assert await ledger.due(Lane.FRESH, 10) == []
    assert await ledger.next_ready_at() is None
    assert await ledger.next_expiry_at() is None
    assert await ledger.entries() == []
    assert await ledger.facts() == {}
    assert (await ledger.counts(timedelta(hours=1))).by_state == {}


async def test_opening_twice_changes_nothing(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await ledger.open()
    assert len(await ledger.entries()) == 1


# -- taking


async def test_what_is_taken_is_due_in_the_order_it_was_taken(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await ledger.take([B, A], Lane.FRESH, None)
    clock.advance(1)
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 10)] == ["a/c.jpg", "a/b.jpg"]
    assert await ledger.due(Lane.BACKFILL, 10) == []


async def test_a_queued_source_is_what_was_seen(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.take([A], Lane.BACKFILL, None)
    (queued,) = await ledger.due(Lane.BACKFILL, 10)
    assert (queued.source, queued.context, queued.lane, queued.attempt) == (A.source, A.context, Lane.BACKFILL, 0)


async def test_taking_nothing_is_fine(ledger: Ledger) -> None:
    await ledger.take([], Lane.FRESH, None)
    assert await ledger.count_waiting() == 0


async def test_a_path_that_waits_as_it_is_keeps_its_place_its_attempts_and_why(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.taken(A)
    await ledger.postpone(
        A.source, event="retry", reason="internal", message="m", request_id="r", attempt=2, delay_seconds=60
    )
    ready_at = await ledger.next_ready_at()
    clock.advance(5)
    await walk.taken(A)
    held = await known_of(ledger, A)
    assert (held.reason, held.message, held.request_id) == ("internal", "m", "r")
    assert await ledger.next_ready_at() == ready_at
    clock.advance(60)
    assert [queued.attempt for queued in await ledger.due(Lane.FRESH, 1)] == [2]


@pytest.mark.parametrize("change", ["bytes", "context"])
async def test_a_path_that_changed_begins_anew(ledger: Ledger, walk: Walk, clock: FakeClock, change: str) -> None:
    await walk.taken(A)
    await ledger.postpone(
        A.source, event="retry", reason="internal", message="m", request_id=None, attempt=2, delay_seconds=600
    )
    newer = moved_on(A, mtime_ns=2) if change == "bytes" else replace(A, context="other")
    await walk.taken(newer)
    clock.advance(0.001)
    (queued,) = await ledger.due(Lane.FRESH, 10)
    assert (queued.source, queued.context, queued.attempt) == (newer.source, newer.context, 0)
    assert (await known_of(ledger, newer)).reason is None


@pytest.mark.parametrize("lanes", [(Lane.FRESH, Lane.BACKFILL), (Lane.BACKFILL, Lane.FRESH)])
async def test_a_path_in_two_lanes_stays_in_the_better_one(
    ledger: Ledger, walk: Walk, clock: FakeClock, lanes: tuple[Lane, Lane]
) -> None:
    for lane in lanes:
        await walk.taken(A, lane=lane)
    clock.advance(0.001)
    assert len(await ledger.due(Lane.FRESH, 10)) == 1


@pytest.mark.parametrize("state", [SourceState.DONE, SourceState.QUARANTINED, SourceState.VANISHED])
async def test_a_path_that_was_out_of_line_can_be_taken_again_as_it_is(
    ledger: Ledger, walk: Walk, clock: FakeClock, state: SourceState
) -> None:
    if state is SourceState.DONE:
        await walk.uploaded(A, ONE)
    else:
        await walk.taken(A)
        if state is SourceState.QUARANTINED:
            await ledger.quarantine(A.source, None, "bad_sidecar", "m", None)
        else:
            await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert (await known_of(ledger, A)).state is state
    await walk.taken(A)
    clock.advance(0.001)
    assert len(await ledger.due(Lane.FRESH, 10)) == 1
    held = await known_of(ledger, A)
    assert (held.state, held.reason, held.message) == (SourceState.WAITING, None, None)


async def test_a_batch_sees_its_own_paths_and_a_folder_its_own(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.taken(A, batch="one")
    await walk.taken(sighting("x.jpg", folder="other"), batch="two")
    clock.advance(0.001)
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 10, "one")] == ["a/b.jpg"]
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 10, None, ["other"])] == ["x.jpg"]
    assert await ledger.count_waiting() == 2
    assert await ledger.count_waiting("one") == 1
    assert await ledger.count_waiting("one", ["other"]) == 0
    assert await ledger.next_ready_at("none") is None
    await ledger.leave_batch(A.source)
    assert (await ledger.count_waiting("one"), await ledger.count_waiting()) == (0, 2)


async def test_the_next_turn_is_the_earliest_of_all_lanes(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    begin = clock.now()
    await walk.taken(B, lane=Lane.BACKFILL)
    clock.advance(10)
    await walk.taken(A, lane=Lane.FRESH)
    assert await ledger.next_ready_at() == begin


# -- names


NAMES = [
    "plain.jpg",
    "new\nline.jpg",
    "back\\slash.jpg",
    "\\xff.jpg",
    "\udcff\udcfe.jpg",
    "-rf.jpg",
    "😀.jpg",
    "e\u0301.jpg",
    "\u00e9.jpg",
    "a'b\"c;--.jpg",
    "%s %d {}.jpg",
    "x" * 251 + ".jpg",
]


async def test_names_of_any_bytes_come_back_as_they_were(ledger: Ledger, clock: FakeClock) -> None:
    seen = [sighting(f"d/{name}") for name in NAMES]
    await ledger.take(seen, Lane.FRESH, None)
    clock.advance(1)
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 100)] == [f"d/{name}" for name in NAMES]
    assert set(await ledger.known("inbox", "d")) == set(NAMES)
    assert set(await ledger.known("inbox", "d", NAMES[:5])) == set(NAMES[:5])
    found = await ledger.find("file_none", [("inbox", f"d/{name}") for name in NAMES])
    assert [entry.path for entry in found] == [f"d/{name}" for name in NAMES]


async def test_identities_of_64_bits_come_back_as_they_were(ledger: Ledger, walk: Walk) -> None:
    identity = replace(A.source.identity, inode=(1 << 64) - 1, device=1 << 63)
    seen = replace(A, source=replace(A.source, identity=identity))
    await walk.taken(seen)
    assert (await known_of(ledger, seen)).identity == identity


# -- comparing


def marks_of(*seen: Sighting, sidecars: dict[str, str] | None = None) -> Marks:
    def mark(one: Sighting) -> Mark:
        identity = one.source.identity
        return (identity.device, identity.inode, identity.size_bytes, identity.mtime_ns, identity.ctime_ns)

    by_name = {one.source.path.rpartition("/")[2]: mark(one) for one in seen}
    return Marks(by_name=by_name, context="c", contexts=sidecars or {})


async def strangers(ledger: Ledger, marks: Marks, *, whole: bool = True) -> tuple[str, ...]:
    return (await ledger.compare("inbox", "a", marks, whole=whole)).strangers


@pytest.mark.parametrize("whole", [True, False])
async def test_only_what_is_done_with_and_live_needs_no_closer_look(
    ledger: Ledger, walk: Walk, clock: FakeClock, whole: bool
) -> None:
    await walk.uploaded(A, ONE)
    assert await strangers(ledger, marks_of(A), whole=whole) == ()
    assert await strangers(ledger, marks_of(A, B), whole=whole) == ("c.jpg",)
    await walk.taken(B)
    assert await strangers(ledger, marks_of(A, B), whole=whole) == ("c.jpg",)
    assert await strangers(ledger, marks_of(moved_on(A, mtime_ns=2)), whole=whole) == ("b.jpg",)
    clock.advance(LIFETIME.total_seconds())
    assert await strangers(ledger, marks_of(A), whole=whole) == ("b.jpg",)


@pytest.mark.parametrize("whole", [True, False])
async def test_what_has_ended_needs_no_closer_look_where_nobody_wants_it_again(
    ledger: Ledger, walk: Walk, clock: FakeClock, whole: bool
) -> None:
    with_sidecar = replace(B, context="c:1:2")
    await walk.uploaded(A, ONE)
    await walk.uploaded(with_sidecar, content(2))
    await walk.taken(sighting("a/d.jpg"))
    clock.advance(LIFETIME.total_seconds())
    await ledger.expire()
    seen = marks_of(A, B, sighting("a/d.jpg"), sidecars={"c.jpg": "c:1:2"})
    every = await ledger.compare("inbox", "a", seen, whole=whole)
    assert every.strangers == ("b.jpg", "c.jpg", "d.jpg")
    assert (await ledger.compare("inbox", "a", seen, whole=whole, ended=True)).strangers == ("d.jpg",)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_sidecar_that_came_went_or_changed_makes_a_stranger(ledger: Ledger, walk: Walk, whole: bool) -> None:
    with_sidecar = replace(A, context="c:1:2")
    await walk.uploaded(with_sidecar, ONE)
    assert await strangers(ledger, marks_of(A, sidecars={"b.jpg": "c:1:2"}), whole=whole) == ()
    assert await strangers(ledger, marks_of(A, sidecars={"b.jpg": "c:9:9"}), whole=whole) == ("b.jpg",)
    assert await strangers(ledger, marks_of(A), whole=whole) == ("b.jpg",)
    await walk.uploaded(B, content(2))
    assert await strangers(ledger, marks_of(A, B, sidecars={"b.jpg": "c:1:2"}), whole=whole) == ()
    both = {"b.jpg": "c:1:2", "c.jpg": "c:1:2"}
    assert await strangers(ledger, marks_of(A, B, sidecars=both), whole=whole) == ("c.jpg",)


async def test_names_of_any_bytes_can_be_compared(ledger: Ledger, walk: Walk) -> None:
    seen = [sighting(f"a/{name}") for name in NAMES]
    for number, one in enumerate(seen):
        await walk.uploaded(one, content(number + 1))
    assert await ledger.compare("inbox", "a", marks_of(*seen), whole=True) == await ledger.compare(
        "inbox", "a", marks_of(*seen), whole=False
    )
    assert await strangers(ledger, marks_of(*seen)) == ()
    assert set((await ledger.compare("inbox", "a", marks_of(), whole=True)).missing) == set(NAMES)


async def test_strangers_are_told_in_name_order(ledger: Ledger) -> None:
    seen = [sighting(f"a/{name}.jpg") for name in "cabd"]
    assert await strangers(ledger, marks_of(*seen)) == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


async def test_what_a_whole_listing_did_not_have_is_missing_until_that_is_known(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(B)
    assert (await ledger.compare("inbox", "a", marks_of(), whole=False)).missing == ()
    assert (await ledger.compare("inbox", "a", marks_of(A), whole=True)).missing == ("c.jpg",)
    assert await ledger.miss("inbox", "a", ["b.jpg", "c.jpg", "never.jpg"], "gone") == 2
    assert (await ledger.compare("inbox", "a", marks_of(), whole=True)).missing == ()
    assert await ledger.miss("inbox", "a", ["b.jpg", "c.jpg"], "gone") == 0


async def test_a_directory_that_is_gone_takes_all_its_files_along(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(B)
    await walk.taken(sighting("x.jpg"), batch=None)
    await walk.taken(sighting("\udcff/x.jpg"))
    assert set(await ledger.directories("inbox")) == {"", "\udcff", "a"}
    assert await ledger.directories("other") == []
    assert await ledger.miss("inbox", "a", None, "gone") == 2
    assert await ledger.miss("inbox", "a", None, "gone") == 0
    assert await ledger.count_waiting() == 2


async def test_a_file_that_was_put_away_is_not_missing(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(A)
    await ledger.finish(A.source, "/out/b.jpg")
    assert (await ledger.compare("inbox", "a", marks_of(), whole=True)).missing == ()
    assert await ledger.miss("inbox", "a", ["b.jpg"], "gone") == 0


async def test_a_missing_file_keeps_its_id_and_is_looked_at_when_it_comes_back(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    (entry,) = await ledger.entries()
    assert (entry.state, entry.file_id, entry.reason) == ("live", promised.file_id, "vanished")
    assert (await known_of(ledger, A)).state is SourceState.VANISHED
    assert await strangers(ledger, marks_of(A)) == ("b.jpg",)
    assert not await ledger.want_renewal(ONE.content_id, None)


async def test_a_renewal_of_a_known_file_leaves_it_known(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(20 * 3600)
    await walk.renewed(A, ONE)
    clock.advance(20 * 3600)
    assert await strangers(ledger, marks_of(A)) == ()


# -- vanishing and waiting


async def test_a_waiting_path_that_is_gone_leaves_the_line(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A, batch="one")
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert await ledger.count_waiting() == 0
    assert (await known_of(ledger, A)).state is SourceState.VANISHED
    assert await events(ledger) == ["vanished"]


async def test_vanishing_touches_nothing_that_does_not_wait(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    await ledger.vanish("inbox", "none.jpg", "gone")
    assert (await known_of(ledger, A)).state is SourceState.DONE
    assert await events(ledger) == ["uploaded"]


async def test_a_listed_path_that_is_gone_while_it_waits_keeps_its_id(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    await walk.taken(A)
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    (entry,) = await ledger.entries()
    assert (entry.state, entry.file_id) == ("live", promised.file_id)


async def test_a_path_that_is_gone_before_its_newer_bytes_are_listed_is_told_when_its_promised_id_ends(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    promised = await walk.uploaded(A, ONE)
    newer = moved_on(A, mtime_ns=2)
    await walk.intended(newer, content(2))
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    clock.advance(25 * 3600)
    assert await ledger.expire() == 1
    assert await walk.lines() == [
        {"event": "uploaded", "path": "a/b.jpg", "file_id": promised.file_id},
        {"event": "expired", "path": "a/b.jpg", "file_id": promised.file_id},
    ]


async def test_a_path_that_is_gone_after_its_promised_id_ended_is_told_so(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.intended(moved_on(A, mtime_ns=2), content(2))
    clock.advance(25 * 3600)
    await ledger.expire()
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "expired"]


async def test_a_file_that_was_rewritten_under_its_old_time_is_not_done_with(ledger: Ledger, walk: Walk) -> None:
    intent = await walk.intended(A, ONE)
    rewritten = replace(A.source, identity=replace(A.source.identity, ctime_ns=A.source.identity.ctime_ns + 1))
    await walk.taken(replace(A, source=rewritten))
    await ledger.complete(A.source, intent, payload(), receipt(walk.clock, 1))
    await ledger.finish(A.source, None)
    assert [queued.source for queued in await ledger.due(Lane.FRESH, 10)] == [rewritten]


async def test_what_could_not_be_kept_of_an_image_is_in_its_story(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A)
    intent = await walk.intended(A, content())
    warned = replace(payload(), warnings=("the colour profile was left out", "it moves"))
    assert await ledger.complete(A.source, intent, warned, receipt(walk.clock, 1))
    told = [entry for entry in await ledger.story("inbox", "a/b.jpg") if entry.event == "warned"]
    assert [(entry.detail, entry.listed) for entry in told] == [({"warnings": list(warned.warnings)}, False)]
    assert sentence_of(told[0]) == "with a warning: the colour profile was left out; it moves"


async def test_a_long_wait_for_one_reason_is_one_line_of_the_story(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A)
    for reason in ("api", "api", "api", "disk", "disk"):
        await ledger.postpone(
            A.source, event="snoozed", reason=reason, message="m", request_id=None, attempt=0, delay_seconds=1
        )
        await walk.taken(A)
    assert await events(ledger) == ["snoozed", "snoozed"]


async def test_what_befell_older_bytes_does_not_hold_newer_ones_up(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.taken(A)
    newer = moved_on(A, mtime_ns=2)
    await walk.taken(newer)
    await ledger.postpone(
        A.source, event="retry", reason="internal", message="m", request_id=None, attempt=3, delay_seconds=600
    )
    clock.advance(0.001)
    (queued,) = await ledger.due(Lane.FRESH, 10)
    assert (queued.source.identity, queued.attempt) == (newer.source.identity, 0)


# -- the flow


async def test_an_image_s_walk_is_told_in_one_line_with_all_that_the_manifest_promises(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    what = content(1, campaign="x")
    promised = await walk.uploaded(A, what)
    (line,) = await ledger.lines_after(0, 10)
    assert (line.event, line.folder, line.path, line.listed) == ("uploaded", "inbox", "a/b.jpg", True)
    assert line.detail == {
        "source": "/in/a/b.jpg",
        "sha256": what.digest,
        "idempotency_key": (await ledger.entries())[0].key,
        "generation": 0,
        "file_id": promised.file_id,
        "purpose": "reference",
        "mime_type": "image/webp",
        "size_bytes": 11,
        "width_px": 8,
        "height_px": 9,
        "created_at": "2026-11-24T10:00:00Z",
        "expires_at": "2026-11-25T10:00:00Z",
        "metadata": {"campaign": "x"},
        "replayed": False,
        "normalised": ["resized", "webp"],
        "sent_sha256": payload().sha256,
        "request_id": "req_1",
    }
    held = await known_of(ledger, A)
    assert (held.state, held.upload_state, held.expires_at) == (SourceState.DONE, State.LIVE, promised.expires_at)


async def test_a_new_content_waits_and_is_listed_nowhere(ledger: Ledger, walk: Walk) -> None:
    standing = await walk.entered(A, ONE)
    assert (standing.state, standing.generation, standing.file_id) == (State.WAITING, 0, None)
    assert not standing.listed
    assert not standing.renewal_wanted


async def test_the_intent_is_kept_until_its_receipt_comes(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    first = await walk.intended(A, ONE)
    assert not first.resumed
    clock.advance(3600)
    again = await ledger.intend(ONE.content_id, "another encoder")
    assert again == replace(first, resumed=True)


async def test_an_intent_older_than_the_replay_window_begins_anew_under_the_same_generation(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    first = await walk.intended(A, ONE)
    clock.advance(24 * 3600)
    again = await ledger.intend(ONE.content_id, "as-is")
    assert (again.generation, again.key, again.resumed) == (0, first.key, False)
    assert again.first_sent_at == clock.now()


async def test_a_fresh_generation_has_another_key(ledger: Ledger, walk: Walk) -> None:
    keys = [(await walk.intended(A, ONE)).key]
    for generation in (1, 2, 3):
        intent = await ledger.intend(ONE.content_id, "as-is", fresh=True)
        assert (intent.generation, intent.resumed) == (generation, False)
        keys.append(intent.key)
    assert len(set(keys)) == 4
    assert await ledger.complete(A.source, intent, payload(), receipt(walk.clock))
    assert (await ledger.entries())[0].generation == 3


async def test_a_receipt_for_another_generation_changes_nothing(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    first = await walk.intended(A, ONE)
    second = await ledger.intend(ONE.content_id, "as-is", fresh=True)
    assert not await ledger.complete(A.source, first, payload(), receipt(clock, 1))
    assert await ledger.complete(A.source, second, payload(), receipt(clock, 2))
    assert not await ledger.complete(A.source, second, payload(), receipt(clock, 3))
    assert [line["file_id"] for line in await walk.lines()] == [receipt(clock, 2).file_id]


async def test_a_second_path_of_a_live_content_is_listed_without_an_upload(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    standing = await walk.entered(B, ONE)
    assert (standing.state, standing.file_id, standing.listed) == (State.LIVE, promised.file_id, False)
    await ledger.list_source(B.source, ONE.content_id)
    await ledger.finish(B.source, None)
    assert await walk.lines() == [
        {"event": "uploaded", "path": "a/b.jpg", "file_id": promised.file_id},
        {"event": "uploaded", "path": "a/c.jpg", "file_id": promised.file_id},
    ]
    assert (await ledger.enter(B.source, "c", ONE)).listed


async def test_a_path_is_never_listed_as_uploaded_with_an_id_that_has_ended(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.entered(B, ONE)
    clock.advance(LIFETIME.total_seconds())
    await ledger.expire()
    await ledger.list_source(B.source, ONE.content_id)
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "expired", "expired"]


async def test_a_path_whose_bytes_changed_meanwhile_stays_in_line(ledger: Ledger, walk: Walk) -> None:
    await walk.entered(A, ONE)
    newer = moved_on(A, mtime_ns=2)
    await walk.taken(newer)
    await ledger.finish(A.source, None)
    assert not await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "m", None)
    assert (await known_of(ledger, newer)).state is SourceState.WAITING
    assert await walk.lines() == []


async def test_where_a_file_was_put_is_told(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(A)
    await ledger.finish(A.source, "/out/\udcff.jpg")
    assert (await ledger.entries())[0].put_away == "/out/\udcff.jpg"
    assert await events(ledger) == ["uploaded", "put_away"]


# -- quarantine


async def test_a_quarantined_image_is_told_with_its_reason_and_without_an_id(ledger: Ledger, walk: Walk) -> None:
    await walk.entered(A, ONE)
    assert await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "no image", "req_9")
    (line,) = await ledger.lines_after(0, 10)
    assert line.event == "quarantined"
    assert line.detail == {
        "source": "/in/a/b.jpg",
        "sha256": ONE.digest,
        "reason": "not_an_image",
        "message": "no image",
        "request_id": "req_9",
    }
    (entry,) = await ledger.entries(states=["quarantined"])
    assert (entry.reason, entry.message, entry.request_id) == ("not_an_image", "no image", "req_9")
    standing = await ledger.enter(A.source, "c", ONE)
    assert (standing.state, standing.reason, standing.message) == (State.QUARANTINED, "not_an_image", "no image")


async def test_words_about_a_file_may_hold_what_no_database_takes(ledger: Ledger, walk: Walk) -> None:
    said, kept = "a\udcff.png: \ud800 and \0", "a\\xff.png: \\ud800 and \\x00"
    await walk.taken(A)
    await ledger.postpone(
        A.source, event="retry", reason="busy", message=said, request_id=None, attempt=1, delay_seconds=0.0
    )
    await ledger.quarantine(A.source, None, "bad_sidecar", said, None)
    assert (await ledger.entries())[0].message == kept
    assert [line.detail["message"] for line in await ledger.lines_after(0, 10)] == [kept]
    await walk.taken(B)
    await ledger.vanish(B.source.folder, B.source.path, said)
    assert (await ledger.story(B.source.folder, B.source.path))[-1].detail == {"message": kept}


async def test_a_refused_renewal_leaves_the_present_id_alive(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    promised = await walk.uploaded(A, ONE)
    await ledger.want_renewal(ONE.content_id, None)
    await ledger.enter(A.source, "c", ONE)
    await ledger.intend(ONE.content_id, "as-is")
    assert await ledger.quarantine(A.source, ONE.content_id, "reference_blocked", "m", None)
    standing = await ledger.enter(A.source, "c", ONE)
    assert (standing.state, standing.file_id) == (State.LIVE, promised.file_id)


async def test_a_file_quarantined_for_its_sidecar_has_no_content(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A)
    assert await ledger.quarantine(A.source, None, "bad_sidecar", "m", None)
    assert (await ledger.lines_after(0, 10))[0].detail["sha256"] is None


async def test_where_a_quarantined_file_went_is_not_told_of_one_that_came_later(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A)
    await ledger.quarantine(A.source, None, "bad_sidecar", "m", None)
    newer = moved_on(A, mtime_ns=2)
    await walk.taken(newer)
    await ledger.note_put_away(A.source, "/q/b.jpg")
    assert (await ledger.entries())[0].put_away is None


async def test_putting_back_says_where_the_file_is_and_lets_its_content_try_again(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    first = await walk.intended(A, ONE)
    await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "m", None)
    await ledger.note_put_away(A.source, "/q/b.jpg")
    assert await ledger.put_back("inbox", "a/b.jpg") == "/q/b.jpg"
    clock.advance(0.001)
    assert len(await ledger.due(Lane.FRESH, 10)) == 1
    assert (await ledger.enter(A.source, "c", ONE)).state is State.WAITING
    assert (await ledger.intend(ONE.content_id, "as-is")).key == first.key
    assert await events(ledger) == ["quarantined", "put_away", "put_back"]


async def test_only_quarantined_paths_are_put_back(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    assert await ledger.put_back("inbox", "a/b.jpg") is None
    assert await ledger.put_back("inbox", "none.jpg") is None
    assert (await known_of(ledger, A)).state is SourceState.DONE


# -- time


async def test_an_id_is_live_until_its_last_moment_and_expired_after(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    promised = await walk.uploaded(A, ONE)
    assert await ledger.next_expiry_at() == promised.expires_at
    clock.advance(LIFETIME.total_seconds() - 0.001)
    assert await ledger.expire() == 0
    clock.advance(0.001)
    assert await ledger.expire() == 1
    assert await ledger.expire() == 0
    assert await ledger.next_expiry_at() is None
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "expired"]
    assert (await known_of(ledger, A)).upload_state is State.EXPIRED


async def test_ids_expire_a_slice_at_a_time(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    for number in range(5):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
    clock.advance(LIFETIME.total_seconds())
    assert [await ledger.expire(2), await ledger.expire(2), await ledger.expire(2)] == [2, 2, 1]


async def test_an_expired_id_is_noticed_by_whoever_comes_along(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(LIFETIME.total_seconds())
    assert (await walk.entered(B, ONE)).state is State.EXPIRED
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "expired"]


async def test_every_path_of_a_content_is_told_when_it_is_renewed_and_when_it_ends(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.entered(B, ONE)
    await ledger.list_source(B.source, ONE.content_id)
    await ledger.finish(B.source, None)
    second = await walk.renewed(A, ONE)
    clock.advance(LIFETIME.total_seconds())
    await ledger.expire()
    told = await walk.lines()
    assert sorted((line["path"], line["event"]) for line in told[2:]) == [
        ("a/b.jpg", "expired"),
        ("a/b.jpg", "renewed"),
        ("a/c.jpg", "expired"),
        ("a/c.jpg", "renewed"),
    ]
    assert {line["file_id"] for line in told[2:]} == {second.file_id}


async def test_a_renewal_is_wanted_of_one_path_which_joins_the_run_that_asks(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    assert await ledger.want_renewal(ONE.content_id, "first")
    assert await ledger.want_renewal(ONE.content_id, "second")
    assert await ledger.due(Lane.RENEWAL, 10, "first") == []
    assert len(await ledger.due(Lane.RENEWAL, 10, "second")) == 1
    assert (await ledger.enter(A.source, "c", ONE)).renewal_wanted


async def test_an_id_that_has_expired_can_be_followed_by_another(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(LIFETIME.total_seconds())
    await ledger.expire()
    assert await ledger.want_renewal(ONE.content_id, None)
    assert (await ledger.enter(A.source, "c", ONE)).state is State.EXPIRED
    assert (await ledger.intend(ONE.content_id, "as-is")).generation == 1


async def test_whose_id_ends_first_is_first_in_line_however_late_it_was_put_there(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(3600)
    await walk.uploaded(B, TWO)
    clock.advance(3600)
    assert await ledger.want_renewal(TWO.content_id, None)
    clock.advance(60)
    assert await ledger.want_renewal(ONE.content_id, None)
    first, second = await ledger.due(Lane.RENEWAL, 10)
    assert [first.source.path, second.source.path] == ["a/b.jpg", "a/c.jpg"]
    assert first.since is not None
    assert second.since is not None
    assert second.since - first.since == timedelta(hours=1)
    told = {entry.path: entry.ready_at for entry in await ledger.entries()}
    assert told == {"a/c.jpg": clock.now() - timedelta(seconds=60), "a/b.jpg": clock.now()}


async def test_an_id_that_has_ended_waits_for_those_that_can_be_saved(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(3600)
    await walk.uploaded(B, TWO)
    clock.advance(LIFETIME.total_seconds() - 60)
    await ledger.expire()
    assert await ledger.want_renewal(ONE.content_id, None)
    assert await ledger.want_renewal(TWO.content_id, None)
    assert [queued.source.path for queued in await ledger.due(Lane.RENEWAL, 10)] == ["a/c.jpg", "a/b.jpg"]


async def test_a_content_without_an_id_is_not_renewed(ledger: Ledger, walk: Walk) -> None:
    await walk.entered(A, ONE)
    assert not await ledger.want_renewal(ONE.content_id, None)


async def test_a_source_that_was_put_away_is_not_renewed(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(A)
    await ledger.finish(A.source, "deleted")
    assert not await ledger.want_renewal(ONE.content_id, None)


async def test_an_id_that_expires_during_its_renewal_is_followed_by_the_next_generation(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    clock.advance(LIFETIME.total_seconds() - 1)
    await ledger.want_renewal(ONE.content_id, None)
    await ledger.enter(A.source, "c", ONE)
    intent = await ledger.intend(ONE.content_id, "as-is")
    clock.advance(1)
    assert await ledger.expire() == 1
    assert await ledger.intend(ONE.content_id, "as-is") == replace(intent, resumed=True)
    assert await ledger.complete(A.source, intent, payload(), receipt(clock, 2))
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "expired", "renewed"]


async def test_what_was_purged_is_told_with_the_reason(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    assert not await ledger.purge(ONE.content_id, "file_other", "purged by ingestor")
    assert await ledger.purge(ONE.content_id, promised.file_id, "purged by ingestor")
    assert not await ledger.purge(ONE.content_id, promised.file_id, "again")
    (*_, line) = await ledger.lines_after(0, 10)
    assert (line.event, line.detail["reason"], line.detail["file_id"]) == (
        "purged",
        "purged by ingestor",
        promised.file_id,
    )


async def begun_renewal(ledger: Ledger, walk: Walk, *also: Sighting) -> Receipt:
    """A's renewal is under way; further paths have the same content, and are done with."""
    promised = await walk.uploaded(A, ONE)
    for other in also:
        await walk.entered(other, ONE)
        await ledger.list_source(other.source, ONE.content_id)
        await ledger.finish(other.source, None)
    await ledger.want_renewal(ONE.content_id, None)
    await ledger.enter(A.source, "c", ONE)
    assert (await ledger.intend(ONE.content_id, "as-is")).generation == 1
    return promised


async def renewable_in(ledger: Ledger, clock: FakeClock, *, ended: bool = False) -> list[str]:
    found = await ledger.renewable(["inbox"], clock.now() + LIFETIME, ended=ended)
    return [content_id for content_id, _ in found]


async def test_a_renewal_whose_path_leaves_the_line_is_wanted_for_a_copy(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await begun_renewal(ledger, walk, B)
    assert await renewable_in(ledger, clock) == []
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert await renewable_in(ledger, clock) == [ONE.content_id]
    assert await ledger.want_renewal(ONE.content_id, None)
    assert (await ledger.enter(B.source, "c", ONE)).renewal_wanted
    assert (await ledger.intend(ONE.content_id, "as-is")).generation == 1
    assert await renewable_in(ledger, clock) == []


async def test_a_renewal_that_nobody_is_in_line_for_ends_with_its_id(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await begun_renewal(ledger, walk, B)
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    clock.advance(LIFETIME.total_seconds())
    assert await ledger.expire() == 1
    assert (await ledger.content_states([ONE.digest]))[ONE.content_id] is State.EXPIRED
    assert await renewable_in(ledger, clock) == []
    assert await renewable_in(ledger, clock, ended=True) == [ONE.content_id]


async def test_an_id_whose_renewal_lost_its_file_can_be_purged(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    promised = await begun_renewal(ledger, walk)
    intent = await ledger.intend(ONE.content_id, "as-is")
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert await ledger.forsaken(["inbox"]) == [(ONE.content_id, promised.file_id)]
    assert await ledger.purge(ONE.content_id, promised.file_id, "w")
    assert await ledger.forsaken(["inbox"]) == []
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "purged"]
    # Its request was on its way: what came of it is not forgotten.
    late = receipt(clock, 2)
    assert await ledger.complete(A.source, intent, payload(), late)
    await ledger.finish(A.source, None)
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    assert await ledger.forsaken(["inbox"]) == [(ONE.content_id, late.file_id)]
    assert await ledger.purge(ONE.content_id, late.file_id, "w")
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "purged", "renewed", "purged"]


async def test_what_waits_with_as_many_bytes_may_be_what_is_gone(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    await walk.uploaded(B, content(2))
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    forsaken = [(ONE.content_id, promised.file_id)]
    assert await ledger.forsaken(["inbox"]) == forsaken
    other = sighting("new.jpg", folder="other")
    identity = replace(other.source.identity, size_bytes=11)
    await walk.taken(replace(other, source=replace(other.source, identity=identity)))
    assert await ledger.forsaken(["inbox"]) == forsaken, "it has more bytes"
    assert await ledger.want_renewal(content(2).content_id, None)
    assert await ledger.forsaken(["inbox"]) == forsaken, "what is to be renewed has been read"
    await walk.taken(other)
    assert await ledger.forsaken(["inbox"]) == []
    await ledger.enter(other.source, "c", content(3))
    await ledger.finish(other.source, None)
    assert await ledger.forsaken(["inbox"]) == forsaken, "it was something else"


async def test_an_id_is_good_while_its_successor_is_waited_for(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(B, content(2))
    await begun_renewal(ledger, walk)
    await walk.entered(sighting("new.jpg"), content(3))
    live = await ledger.entries(has_live_id=True)
    assert [(entry.path, entry.state, entry.upload_state, entry.awaits_renewal) for entry in live] == [
        ("a/b.jpg", "waiting", State.RENEWING, True),
        ("a/c.jpg", "live", State.LIVE, False),
    ]
    assert [entry.path for entry in await ledger.entries(has_live_id=True, states=["waiting"])] == ["a/b.jpg"]
    assert await ledger.entries(has_live_id=True, folder="other") == []
    clock.advance(LIFETIME.total_seconds())
    assert await ledger.entries(has_live_id=True) == [], "though nobody has marked them yet"


async def test_an_id_stays_good_when_its_renewal_is_quarantined(ledger: Ledger, walk: Walk) -> None:
    await begun_renewal(ledger, walk)
    await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "m", None)
    assert [entry.state for entry in await ledger.entries(has_live_id=True)] == ["quarantined"]


async def test_an_id_that_is_gone_is_followed_by_the_renewal_in_line(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    promised = await begun_renewal(ledger, walk)
    assert await ledger.purge(ONE.content_id, promised.file_id, "gone at the API")
    assert await ledger.entries(has_live_id=True) == []
    assert await ledger.in_line("inbox", "a/b.jpg") is not None
    intent = await ledger.intend(ONE.content_id, "as-is")
    assert (intent.generation, intent.resumed) == (1, True)
    assert await ledger.complete(A.source, intent, payload(), receipt(clock, 2))
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "purged", "renewed"]


async def test_a_purge_takes_a_renewal_out_of_the_line(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    promised = await walk.uploaded(A, ONE)
    await ledger.want_renewal(ONE.content_id, "run")
    (queued,) = await ledger.due(Lane.RENEWAL, 1)
    assert await ledger.purge(ONE.content_id, promised.file_id, "w", withdraw=True)
    assert await ledger.count_waiting() == 0
    assert await renewable_in(ledger, clock, ended=True) == []
    standing = await ledger.enter(queued.source, queued.context, ONE)
    assert standing.withdrawn, "for whoever has read it from the line before"
    assert not standing.renewal_wanted
    assert [entry.state for entry in await ledger.entries()] == ["purged"]
    assert await ledger.want_renewal(ONE.content_id, None), "it is named, and wanted again"
    assert not (await ledger.enter(queued.source, queued.context, ONE)).withdrawn


async def test_a_renewal_on_its_way_may_end_though_its_image_was_purged(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    promised = await begun_renewal(ledger, walk)
    intent = await ledger.intend(ONE.content_id, "as-is")
    assert await ledger.purge(ONE.content_id, promised.file_id, "w", withdraw=True)
    assert await ledger.count_waiting() == 0
    assert [entry.state for entry in await ledger.entries()] == ["purged"]
    assert await ledger.complete(A.source, intent, payload(), receipt(clock, 2))
    await ledger.finish(A.source, None)
    assert [(entry.state, entry.file_id) for entry in await ledger.entries()] == [("live", receipt(clock, 2).file_id)]
    assert [line["event"] for line in await walk.lines()] == ["uploaded", "purged", "renewed"]


async def test_a_purge_leaves_in_line_what_waits_for_its_own_sake(ledger: Ledger, walk: Walk) -> None:
    promised = await begun_renewal(ledger, walk)
    await walk.entered(B, ONE)
    await ledger.take([moved_on(sighting("changed.jpg"), mtime_ns=9)], Lane.FRESH, None)
    assert await ledger.purge(ONE.content_id, promised.file_id, "w", withdraw=True)
    assert {queued.source.path for queued in await ledger.due(Lane.FRESH, 10)} == {"a/c.jpg", "changed.jpg"}
    assert await ledger.due(Lane.RENEWAL, 10) == []


async def test_other_bytes_in_line_stay_there_though_their_path_was_to_be_renewed(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    await walk.taken(moved_on(A, mtime_ns=9))
    assert await ledger.want_renewal(ONE.content_id, None)
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 10)] == ["a/b.jpg"]
    assert await ledger.purge(ONE.content_id, promised.file_id, "w", withdraw=True)
    assert [queued.source.path for queued in await ledger.due(Lane.FRESH, 10)] == ["a/b.jpg"]


async def test_a_renewal_that_is_in_line_is_put_there_for_no_other_path(ledger: Ledger, walk: Walk) -> None:
    await begun_renewal(ledger, walk, B)
    assert await ledger.want_renewal(ONE.content_id, "run")
    assert await ledger.count_waiting() == 1


ELSEWHERE = sighting("a/b.jpg", folder="before")
"""The same image in a folder that is not in the settings any more; by its name it comes first."""


async def in_line_elsewhere(ledger: Ledger, walk: Walk) -> Receipt:
    """ONE is live in two folders, and its renewal is in line in the one that nobody works on."""
    promised = await walk.uploaded(ELSEWHERE, ONE)
    await walk.entered(A, ONE)
    await ledger.list_source(A.source, ONE.content_id)
    await ledger.finish(A.source, None)
    assert await ledger.want_renewal(ONE.content_id, None, ["before"])
    return promised


async def served_in(ledger: Ledger, clock: FakeClock, *, ended: bool = False) -> list[str]:
    until = clock.now() + LIFETIME
    found = await ledger.renewable(["inbox"], until, ended=ended, served=["inbox"])
    return [content_id for content_id, _ in found]


async def test_a_renewal_is_given_to_a_path_that_somebody_takes_from_the_line(ledger: Ledger, walk: Walk) -> None:
    await walk.uploaded(ELSEWHERE, ONE)
    assert not await ledger.want_renewal(ONE.content_id, None, ["inbox"])
    await walk.entered(A, ONE)
    await ledger.list_source(A.source, ONE.content_id)
    await ledger.finish(A.source, None)
    assert await ledger.want_renewal(ONE.content_id, None, ["inbox"])
    assert [queued.source.folder for queued in await ledger.due(Lane.RENEWAL, 10)] == ["inbox"]


async def test_whoever_is_in_line_where_nobody_works_holds_no_renewal_up(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await in_line_elsewhere(ledger, walk)
    assert await renewable_in(ledger, clock) == [], "another machine may work on that folder"
    assert await served_in(ledger, clock) == [ONE.content_id]
    await ledger.enter(ELSEWHERE.source, "c", ONE)
    await ledger.intend(ONE.content_id, "as-is")
    assert await served_in(ledger, clock) == [ONE.content_id], "though it had begun"
    assert await ledger.want_renewal(ONE.content_id, None, ["inbox"])
    assert await served_in(ledger, clock) == []


async def test_renewals_leave_the_line_where_nobody_works(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await in_line_elsewhere(ledger, walk)
    await walk.taken(sighting("new.jpg", folder="before"))
    await walk.uploaded(B, content(2))
    assert await ledger.want_renewal(content(2).content_id, None)
    assert await ledger.withdraw_unserved(["inbox"]) == 1
    assert await ledger.withdraw_unserved(["inbox"]) == 0
    assert [(entry.folder, entry.path, entry.state) for entry in await ledger.entries()] == [
        ("before", "new.jpg", "waiting"),
        ("before", "a/b.jpg", "live"),
        ("inbox", "a/b.jpg", "live"),
        ("inbox", "a/c.jpg", "waiting"),
    ]
    assert await renewable_in(ledger, clock) == [ONE.content_id]


async def test_an_id_whose_renewal_was_left_where_nobody_works_has_ended(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await in_line_elsewhere(ledger, walk)
    await ledger.enter(ELSEWHERE.source, "c", ONE)
    intent = await ledger.intend(ONE.content_id, "as-is")
    clock.advance(LIFETIME.total_seconds())
    assert await ledger.expire() == 1
    assert (await ledger.content_states([ONE.digest]))[ONE.content_id] is State.SENDING
    assert await ledger.withdraw_unserved(["inbox"]) == 1
    assert (await ledger.content_states([ONE.digest]))[ONE.content_id] is State.EXPIRED
    assert await served_in(ledger, clock, ended=True) == [ONE.content_id]
    assert await ledger.want_renewal(ONE.content_id, None, ["inbox"])
    await ledger.enter(A.source, "c", ONE)
    # What may have reached the API goes on under its own key.
    assert (await ledger.intend(ONE.content_id, "as-is")).key == intent.key


async def test_an_id_that_ended_is_renewable_only_where_its_file_is_there(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.uploaded(B, content(2))
    clock.advance(LIFETIME.total_seconds() * 3)
    await ledger.expire()
    await ledger.miss("inbox", "a", ["c.jpg"], "gone")
    assert await renewable_in(ledger, clock) == []
    assert await renewable_in(ledger, clock, ended=True) == [ONE.content_id]


async def test_what_was_purged_is_uploaded_again_under_the_next_generation(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    await ledger.purge(ONE.content_id, promised.file_id, "w")
    assert (await walk.intended(A, ONE)).generation == 1


async def test_a_move_that_the_life_cycle_does_not_have_raises_and_changes_nothing(ledger: Ledger, walk: Walk) -> None:
    await walk.entered(A, ONE)
    await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "m", None)
    with pytest.raises(IllegalMove):
        await ledger.intend(ONE.content_id, "as-is")
    assert (await ledger.enter(A.source, "c", ONE)).state is State.QUARANTINED


# -- the manifest's lines


async def test_lines_come_in_order_and_page_by_page(ledger: Ledger, walk: Walk) -> None:
    for number in range(5):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
    first = await ledger.lines_after(0, 2)
    rest = await ledger.lines_after(first[-1].seq, 10)
    assert [line.path for line in (*first, *rest)] == [f"{number}.jpg" for number in range(5)]
    assert await ledger.line_numbers(0, 3) == [line.seq for line in (*first, *rest)][:3]


async def test_numbers_go_on_above_what_a_manifest_has(ledger: Ledger, walk: Walk) -> None:
    await ledger.start_numbering_after(500)
    await walk.uploaded(A, ONE)
    assert await ledger.line_numbers(0, 10) == [501]
    await ledger.start_numbering_after(7)
    await walk.uploaded(B, content(2))
    assert await ledger.line_numbers(0, 10) == [501, 502]


async def test_only_the_last_line_of_a_path_stays_listed_and_the_story_stays_whole(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.uploaded(B, content(2))
    await walk.renewed(A, ONE)
    last = (await ledger.line_numbers(0, 10))[-1]
    assert await ledger.unlist_superseded(last - 1) == 0
    assert await ledger.unlist_superseded(last) == 1
    assert [(line["event"], line["path"]) for line in await walk.lines()] == [
        ("uploaded", "a/c.jpg"),
        ("renewed", "a/b.jpg"),
    ]
    assert await events(ledger) == ["uploaded", "renewed"]


# -- forgetting


async def test_a_path_long_gone_is_forgotten_and_its_content_with_it(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.uploaded(B, content(2))
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    clock.advance(3 * 24 * 3600)
    await ledger.expire()
    clock.advance(3 * 24 * 3600)
    assert await ledger.prune(clock.now()) == 1
    assert [entry.path for entry in await ledger.entries()] == ["a/c.jpg"]
    assert await events(ledger) == []
    assert set(await ledger.content_states([ONE.digest, content(2).digest])) == {content(2).content_id}
    assert await ledger.prune(clock.now()) == 0


async def test_a_file_moved_away_after_its_upload_is_forgotten_when_its_id_has_ended(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(A)
    await ledger.finish(A.source, "/out/b.jpg")
    assert await ledger.prune(clock.now()) == 0
    clock.advance(3 * 24 * 3600)
    assert await ledger.prune(clock.now()) == 0
    await ledger.expire()
    clock.advance(3 * 24 * 3600)
    assert await ledger.prune(clock.now()) == 1


async def test_nothing_young_waiting_quarantined_or_live_is_forgotten(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.taken(sighting("waits.jpg"))
    await walk.entered(sighting("bad.jpg"), content(8))
    await ledger.quarantine(sighting("bad.jpg").source, content(8).content_id, "not_an_image", "m", None)
    clock.advance(30 * 24 * 3600)
    await walk.uploaded(A, ONE)
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    clock.advance(60)
    assert await ledger.prune(clock.now()) == 0
    assert [entry.path for entry in await ledger.entries()] == ["bad.jpg", "waits.jpg", "a/b.jpg"]


async def test_old_history_goes_but_the_last_line_of_each_path_stays(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    await walk.taken(A)
    await ledger.postpone(
        A.source, event="snoozed", reason="api", message="m", request_id=None, attempt=0, delay_seconds=0
    )
    await walk.uploaded(A, ONE)
    await walk.renewed(A, ONE)
    clock.advance(10 * 24 * 3600)
    await ledger.prune(clock.now())
    assert await events(ledger) == ["renewed"]
    await walk.uploaded(B, content(2))
    assert await events(ledger, "a/c.jpg") == ["uploaded"]


async def test_numbers_are_never_used_twice_also_after_forgetting(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.taken(A)
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    (entry,) = await ledger.story("inbox", "a/b.jpg")
    clock.advance(10 * 24 * 3600)
    assert await ledger.prune(clock.now()) == 1
    await walk.uploaded(B, ONE)
    assert (await ledger.line_numbers(0, 10))[0] > entry.seq


# -- operators


async def test_counts_tell_paths_by_what_users_call_their_state(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    await walk.entered(B, ONE)
    await ledger.list_source(B.source, ONE.content_id)
    await ledger.finish(B.source, None)
    await walk.taken(sighting("waits.jpg"))
    counts = await ledger.counts(timedelta(hours=25))
    assert counts.by_state == {("inbox", "live"): 2, ("inbox", "waiting"): 1}
    assert counts.expiring == {"inbox": 2}
    assert (await ledger.counts(timedelta(hours=1))).expiring == {}
    assert counts.next_expiry_at == clock.now() + LIFETIME


async def test_entries_come_in_path_order_whatever_the_page(ledger: Ledger) -> None:
    paths = ["b.jpg", "a.jpg", "d/a.jpg", "d/\udcff.jpg", "d/é.jpg", "c/z.jpg", "d/back\\slash.jpg"]
    await ledger.take([sighting(path) for path in paths], Lane.FRESH, None)
    everything = [entry.path for entry in await ledger.entries()]
    assert sorted(everything) == sorted(paths)
    for size in (1, 2, 3):
        after, found = None, list[str]()
        while page := await ledger.entries(limit=size, after=after):
            found += [entry.path for entry in page]
            after = (page[-1].folder, page[-1].path)
        assert found == everything


async def test_entries_can_be_narrowed(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    await walk.uploaded(A, ONE)
    await walk.taken(sighting("x.jpg", folder="other"), batch="one")
    assert [entry.path for entry in await ledger.entries(folder="other")] == ["x.jpg"]
    assert [entry.path for entry in await ledger.entries(states=["live"])] == ["a/b.jpg"]
    assert [entry.path for entry in await ledger.entries(states=["waiting", "live"])] == ["a/b.jpg", "x.jpg"]
    assert [entry.path for entry in await ledger.entries(batch="one")] == ["x.jpg"]
    assert await ledger.entries(expires_before=clock.now()) == []
    assert len(await ledger.entries(expires_before=clock.now() + LIFETIME)) == 1


@pytest.mark.parametrize("few", [0, 5_000], ids=["walked in order", "found by state"])
async def test_paths_in_a_state_of_their_own_are_the_same_however_many_there_are(
    ledger: Ledger, walk: Walk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reads, "_FEW", few)
    await walk.uploaded(A, ONE)
    # Its twin is done with, and its content quarantined when it was to be sent again.
    twin, bad = sighting("twin.jpg"), content(9)
    await walk.uploaded(twin, bad)
    clock.advance(LIFETIME.total_seconds() + 1)
    await walk.intended(sighting("bad.jpg"), bad)
    await ledger.quarantine(sighting("bad.jpg").source, bad.content_id, "corrupt", "m", None)
    await walk.taken(sighting("z/waits.jpg"), sighting("waits.jpg"), sighting("x.jpg", folder="other"), batch="one")

    async def pages(**wanted: Any) -> list[str]:
        found, after = list[str](), None
        while page := await ledger.entries(limit=1, after=after, **wanted):
            found += [entry.path for entry in page]
            after = (page[-1].folder, page[-1].path)
        return found

    assert await pages(states=["waiting"]) == ["waits.jpg", "z/waits.jpg", "x.jpg"]
    assert await pages(states=["waiting"], folder="inbox") == ["waits.jpg", "z/waits.jpg"]
    assert await pages(states=["waiting"], batch="two") == []
    assert await pages(states=["quarantined"], folder="inbox") == ["bad.jpg", "twin.jpg"]
    assert await pages(states=["quarantined", "waiting"]) == [
        "bad.jpg",
        "twin.jpg",
        "waits.jpg",
        "z/waits.jpg",
        "x.jpg",
    ]


async def test_every_directory_is_named_once(ledger: Ledger, walk: Walk) -> None:
    assert await ledger.directories("inbox") == []
    paths = ["b.jpg", "a/x.jpg", "a/y.jpg", "a/b/z.jpg", "c\udcff/z.jpg"]
    await walk.taken(*(sighting(path) for path in paths), sighting("d/x.jpg", folder="other"))
    assert sorted(await ledger.directories("inbox")) == ["", "a", "a/b", "c\udcff"]
    assert await ledger.directories("other") == ["d"]


async def test_a_path_is_found_by_its_id_its_place_and_an_id_it_once_had(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    former = await walk.uploaded(A, ONE)
    present = await walk.renewed(A, ONE)
    assert [entry.path for entry in await ledger.find(present.file_id, [])] == ["a/b.jpg"]
    assert [entry.path for entry in await ledger.find(present.file_id, [("inbox", "a/b.jpg")])] == ["a/b.jpg"]
    assert await ledger.find(former.file_id, []) == []
    assert await ledger.find_former(former.file_id) == [("inbox", "a/b.jpg")]
    assert await ledger.find_former("file_%") == []


async def test_facts_are_kept_and_replaced(ledger: Ledger) -> None:
    await ledger.set_fact("quota", {"tokens": 1.5})
    await ledger.set_fact("quota", {"tokens": 2})
    await ledger.set_fact("other", None)
    assert await ledger.fact("quota") == {"tokens": 2}
    assert await ledger.fact("none") is None
    assert await ledger.facts() == {"quota": {"tokens": 2}, "other": None}


# -- many at once


async def test_one_change_that_fails_takes_no_other_with_it(ledger: Ledger, walk: Walk) -> None:
    await walk.entered(A, ONE)
    await ledger.quarantine(A.source, ONE.content_id, "not_an_image", "m", None)

    async def illegal() -> Any:
        return await ledger.intend(ONE.content_id, "as-is")

    changes = [ledger.set_fact(f"fact {number}", number) for number in range(20)]
    ends = await asyncio.gather(*changes[:10], illegal(), *changes[10:], illegal(), return_exceptions=True)
    assert [type(end).__name__ for end in ends if end is not None] == ["IllegalMove", "IllegalMove"]
    assert await ledger.facts() == {f"fact {number}": number for number in range(20)}


async def test_a_change_is_made_though_its_caller_has_gone(ledger: Ledger) -> None:
    task = asyncio.create_task(ledger.set_fact("kept", True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ledger.set_fact("after", True)
    assert await ledger.fact("kept") is True


async def test_walks_at_once_do_not_disturb_each_other(ledger: Ledger, walk: Walk) -> None:
    seen = [sighting(f"{number}.jpg") for number in range(40)]
    await asyncio.gather(*(walk.uploaded(one, content(number)) for number, one in enumerate(seen)))
    lines = await walk.lines()
    assert {line["path"] for line in lines} == {one.source.path for one in seen}
    assert len({line["file_id"] for line in lines}) == 40


# -- several at once: who was taken for dead comes back late


async def test_a_path_in_line_is_told_whether_or_not_its_turn_has_come(ledger: Ledger, walk: Walk) -> None:
    await walk.taken(A)
    await ledger.postpone(
        A.source, event="retry", reason="r", message="m", request_id=None, attempt=1, delay_seconds=60
    )
    queued = await ledger.in_line("inbox", "a/b.jpg")
    assert queued is not None
    assert (queued.source, queued.attempt) == (A.source, 1)
    assert await ledger.in_line("inbox", "a/other.jpg") is None
    await ledger.vanish("inbox", "a/b.jpg", "gone")
    assert await ledger.in_line("inbox", "a/b.jpg") is None


async def test_whoever_completes_a_generation_second_changes_nothing(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    intent = await walk.intended(A, ONE)
    assert await ledger.complete(A.source, intent, payload(), receipt(clock, 1))
    before = await ledger.entries()
    assert not await ledger.complete(A.source, intent, payload(), receipt(clock, 2))
    assert await ledger.entries() == before
    assert [line["file_id"] for line in await walk.lines()] == [receipt(clock, 1).file_id]


async def test_a_path_that_somebody_else_has_finished_is_neither_put_off_nor_quarantined(
    ledger: Ledger, walk: Walk
) -> None:
    await walk.uploaded(A, ONE)
    before = (await ledger.entries(), await ledger.story("inbox", "a/b.jpg"))
    await ledger.postpone(A.source, event="retry", reason="r", message="m", request_id=None, attempt=3, delay_seconds=9)
    assert not await ledger.quarantine(A.source, ONE.content_id, "broken", "m", None)
    await ledger.finish(A.source, "/away/b.jpg")
    assert (await ledger.entries(), await ledger.story("inbox", "a/b.jpg")) == before


async def test_a_file_that_a_scan_missed_while_it_was_put_away_is_done_with_all_the_same(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    intent = await walk.intended(A, ONE)
    assert await ledger.complete(A.source, intent, payload(), receipt(clock, 1))
    assert await ledger.miss("inbox", "a", ["b.jpg"], "gone") == 1
    await ledger.finish(A.source, "/away/b.jpg")
    (entry,) = await ledger.entries()
    assert (entry.state, entry.put_away, entry.reason) == ("live", "/away/b.jpg", None)


# -- ids that paths had before


async def edited(ledger: Ledger, walk: Walk, seen: Sighting, what: Content) -> Receipt:
    """The path with other bytes, which are uploaded."""
    return await walk.uploaded(moved_on(seen, mtime_ns=seen.source.identity.mtime_ns + 1), what)


async def former_of(ledger: Ledger, *seen: Sighting) -> list[tuple[str, list[str]]]:
    found = await ledger.former_ids([one.source.key for one in seen])
    return sorted((one.file_id, [path for _, path in one.places]) for one in found)


async def test_an_id_that_was_followed_is_known_until_it_ends(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    first = await walk.uploaded(A, ONE)
    assert await ledger.former_ids([A.source.key]) == []
    clock.advance(3600)
    second = await walk.renewed(A, ONE)
    third = await edited(ledger, walk, A, content(2))
    found = {one.file_id: one for one in await ledger.former_ids([A.source.key, ("inbox", "unknown.jpg")])}
    assert set(found) == {first.file_id, second.file_id}
    assert {one.followed_by for one in found.values()} == {third.file_id}
    assert {one.content_id for one in found.values()} == {ONE.content_id}
    assert found[first.file_id].created_at == first.created_at
    assert [found[one.file_id].is_newest for one in (first, second)] == [False, True]
    # The manifest forgets its older lines; the story does not.
    assert await ledger.unlist_superseded(10_000) == 2
    assert len(await ledger.former_ids([A.source.key])) == 2
    assert await ledger.find_former(first.file_id) == [A.source.key]
    clock.advance(LIFETIME.total_seconds() - 3600)
    assert await former_of(ledger, A) == [(second.file_id, ["a/b.jpg"])], "though nobody has marked the first yet"
    clock.advance(3600)
    assert await former_of(ledger, A) == []


async def test_copies_had_the_same_id_before(ledger: Ledger, walk: Walk) -> None:
    first = await begun_renewal(ledger, walk, B)
    assert await former_of(ledger, A, B) == []
    intent = await ledger.intend(ONE.content_id, "as-is")
    assert await ledger.complete(A.source, intent, payload(), receipt(walk.clock, 7))
    assert await former_of(ledger, A, B) == [(first.file_id, ["a/b.jpg", "a/c.jpg"])]
    (one,) = await ledger.former_ids([A.source.key])
    before = await walk.lines()
    await ledger.purge_former(one, "w")
    assert await former_of(ledger, A, B) == [], "the copy has heard of it"
    assert await walk.lines() == before
    assert [entry.state for entry in await ledger.entries(has_live_id=True)] == ["waiting", "live"]


async def test_a_former_id_is_told_of_once_in_the_story_and_not_in_the_manifest(ledger: Ledger, walk: Walk) -> None:
    former = await walk.uploaded(A, ONE)
    await walk.renewed(A, ONE)
    lines = await walk.lines()
    (one,) = await ledger.former_ids([A.source.key])
    await ledger.purge_former(one, "asked to")
    await ledger.purge_former(one, "asked again, as whoever had asked was killed")
    assert await walk.lines() == lines
    told = [sentence_of(entry) for entry in await ledger.story(*A.source.key) if not entry.listed]
    assert told == [f"{former.file_id}, which it had before, is gone at the API (asked to)"]
    assert [entry.state for entry in await ledger.entries()] == ["live"]


async def test_former_bytes_whose_id_was_purged_are_uploaded_anew_when_they_come_back(
    ledger: Ledger, walk: Walk
) -> None:
    former = await walk.uploaded(A, ONE)
    await edited(ledger, walk, A, content(2))
    (one,) = await ledger.former_ids([A.source.key])
    await ledger.purge_former(one, "asked to")
    assert await former_of(ledger, A) == []
    assert (await ledger.content_states([ONE.digest]))[ONE.content_id] is State.PURGED
    assert {"event": "purged", "path": "a/b.jpg", "file_id": former.file_id} not in await walk.lines()
    back = moved_on(A, mtime_ns=9)
    assert not (await walk.entered(back, ONE)).withdrawn
    assert (await ledger.intend(ONE.content_id, "as-is")).generation == 1


async def test_other_bytes_in_line_do_not_hide_the_id_of_those_before(ledger: Ledger, walk: Walk) -> None:
    promised = await walk.uploaded(A, ONE)
    changed = moved_on(A, mtime_ns=2)
    await walk.taken(changed)
    assert [entry.file_id for entry in await ledger.entries(has_live_id=True)] == [promised.file_id]
    await ledger.enter(changed.source, "c", content(2))
    assert await ledger.entries(has_live_id=True) == []
    assert await former_of(ledger, A) == [(promised.file_id, ["a/b.jpg"])]
    await ledger.quarantine(changed.source, content(2).content_id, "corrupt", "m", None)
    (one,) = await ledger.former_ids([A.source.key])
    assert (one.followed_by, one.is_newest) == (None, True)


async def test_an_id_that_was_purged_before_its_successor_came_is_gone(ledger: Ledger, walk: Walk) -> None:
    first = await walk.uploaded(A, ONE)
    assert await ledger.purge(ONE.content_id, first.file_id, "w")
    await walk.uploaded(A, ONE)
    assert await former_of(ledger, A) == []


async def test_what_was_missed_is_told_once_and_of_these_folders(ledger: Ledger, walk: Walk, clock: FakeClock) -> None:
    elsewhere = sighting("x.jpg", folder="other")
    for number, seen in enumerate((A, B, elsewhere)):
        await walk.uploaded(seen, content(number))
    await ledger.miss("inbox", "a", ["b.jpg"], "gone")
    await ledger.miss("other", "", ["x.jpg"], "gone")
    missed, seen_to = await ledger.vanished(["inbox"], 0)
    assert missed == [A.source.key]
    assert await ledger.vanished(["inbox"], seen_to) == ([], seen_to)
    await ledger.miss("inbox", "a", ["c.jpg"], "gone")
    assert (await ledger.vanished(["inbox"], seen_to))[0] == [B.source.key]
    clock.advance(3 * LIFETIME.total_seconds())
    assert (await ledger.vanished(["inbox"], 0))[0] == []
    assert [entry.path for entry in await ledger.entries_of(content(0).content_id)] == ["a/b.jpg"]


async def test_what_is_kept_alive_is_counted_by_contents_that_have_a_source(
    ledger: Ledger, walk: Walk, clock: FakeClock
) -> None:
    async def kept_alive(*folders: str) -> int:
        assert isinstance(ledger, SqlLedger)
        return await ledger._read(overview.kept_alive, folders, clock.now())

    for number, path in enumerate(("a.jpg", "copy-of-a.jpg", "b.jpg", "c.jpg")):
        await walk.uploaded(sighting(path), content(max(1, number)))
    await walk.uploaded(sighting("other.jpg", folder="faces"), content(9))
    await walk.taken(sighting("waits.jpg"))
    await walk.entered(sighting("sent.jpg"), content(10))
    intent = await walk.intended(sighting("moved.jpg"), content(4))
    assert await ledger.complete(sighting("moved.jpg").source, intent, payload(), receipt(clock, 4))
    assert await kept_alive("inbox") == 4
    assert await kept_alive("inbox", "faces") == 5
    await ledger.miss("inbox", "", ["a.jpg", "c.jpg"], "the file is gone")
    assert await kept_alive("inbox") == 3
    await ledger.finish(sighting("moved.jpg").source, "/done/moved.jpg")
    assert await kept_alive("inbox") == 2
    assert await ledger.want_renewal(content(2).content_id, None)
    assert await kept_alive("inbox") == 2
    clock.advance(LIFETIME.total_seconds())
    assert await kept_alive("inbox", "faces") == 0


async def test_a_folder_that_has_moved_is_held_where_it_is_now(ledger: Ledger, walk: Walk) -> None:
    elsewhere = sighting("x.jpg", folder="other")
    for number, one in enumerate((A, elsewhere), 1):
        await walk.uploaded(one, content(number))
    assert await ledger.move_root(A.source.folder, Path("/new")) == 1
    assert await ledger.move_root(A.source.folder, Path("/new")) == 0
    roots = {entry.folder: entry.root for entry in await ledger.entries()}
    assert roots == {A.source.folder: Path("/new"), "other": elsewhere.source.root}

"""The cluster's engine: jobs of paths in line, worked on by whichever machine takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ingestor.errors import LedgerUnreadable
from ingestor.model import DoneAs, Lane, Outcome, Quarantined, QueuedSource, Snoozed
from tests.cluster.engine_kit import DONE, Field, Machine, claim, names, take
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, moved_on, payload, receipt, sighting


@pytest.fixture
async def field() -> AsyncIterator[Field]:
    async with AsyncExitStack() as stack:
        yield Field(stack)


@pytest.fixture
async def one(field: Field) -> Machine:
    return await field.machine("one")


async def test_each_path_in_line_is_worked_on_once_by_one_of_the_machines(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    await take(one, *names(40))
    one.start()
    two.start()
    await field.until_no_jobs()
    assert sorted(one.begun + two.begun) == sorted(names(40))
    assert len(one.ended) + len(two.ended) == 40


async def test_what_comes_while_nobody_has_anything_to_do_is_begun_at_once(field: Field, one: Machine) -> None:
    one.start()
    await field.until(lambda: one.engine.turned_at > 0 and one.engine._worker.worker_id is not None)
    await asyncio.sleep(0.3)
    waits = []
    for name in names(5):
        began = one.clock.monotonic()
        await take(one, name)
        await field.until(lambda name=name: name in one.begun)
        waits.append(one.clock.monotonic() - began)
    # By a notification, not by the next look: those are two seconds apart.
    assert sorted(waits)[2] < 1.0


async def test_a_path_that_is_put_off_comes_again_in_its_time_and_not_before(field: Field, one: Machine) -> None:
    times: list[float] = []

    async def flow(queued: QueuedSource) -> Outcome:
        times.append(one.clock.monotonic())
        if len(times) == 1:
            snoozed = Snoozed(reason="quota", message="m", delay_seconds=0.8)
            await one.ledger.postpone(
                queued.source,
                event="snoozed",
                reason="quota",
                message="m",
                request_id=None,
                attempt=0,
                delay_seconds=0.8,
            )
            return snoozed
        return await one.finish(queued)

    await take(one, "a.jpg")
    one.start(flow)
    await field.until(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.75
    await field.until_no_jobs()


async def test_fresh_drops_go_first_and_a_backlog_does_not_take_their_places(field: Field, one: Machine) -> None:
    release = asyncio.Event()

    async def flow(queued: QueuedSource) -> Outcome:
        if queued.lane is Lane.BACKFILL:
            await release.wait()
        return await one.finish(queued)

    await take(one, *(f"old{number}.jpg" for number in range(10)), lane=Lane.BACKFILL)
    one.start(flow, places=2)
    await field.until(lambda: one.engine.running == 2)
    await take(one, "fresh.jpg")
    await field.until(lambda: ("fresh.jpg", DONE) in one.ended)
    assert len(one.begun) == 3
    release.set()
    await field.until_no_jobs()


async def test_a_path_that_is_taken_again_while_it_is_worked_on_is_not_worked_on_twice_at_once(
    field: Field, one: Machine
) -> None:
    two = await field.machine("two")
    at_once, most = 0, 0
    release = asyncio.Event()

    async def flow(queued: QueuedSource) -> Outcome:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await release.wait()
        at_once -= 1
        return await one.finish(queued)

    await take(one, "a.jpg")
    one.start(flow)
    two.start(flow)
    await field.until(lambda: at_once == 1)
    await one.ledger.take([moved_on(sighting("a.jpg"), mtime_ns=5)], Lane.FRESH, None)
    await asyncio.sleep(1.0)
    release.set()
    await field.until_no_jobs()
    assert most == 1
    assert len(one.begun + two.begun) == 2


async def test_the_better_lane_counts_for_a_job_that_waits_already(field: Field, one: Machine) -> None:
    await take(one, "a.jpg", lane=Lane.BACKFILL)
    await take(one, "a.jpg", lane=Lane.FRESH)
    (job,) = await field.jobs()
    assert (job["queue_name"], job["priority"]) == ("ingest", 20)


async def test_a_path_that_does_not_wait_any_more_costs_its_job_nothing(field: Field, one: Machine) -> None:
    await take(one, "a.jpg", "b.jpg")
    await one.ledger.vanish("inbox", "a.jpg", "gone")
    one.start()
    await field.until_no_jobs()
    assert one.begun == ["b.jpg"]


async def test_a_job_whose_folder_is_not_in_the_settings_is_left_to_others(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    await take(one, "a.jpg")
    one.start(folders=[])
    await field.until(lambda: one.engine._worker.worker_id is not None)

    async def put_back() -> bool:
        (job,) = await field.jobs()
        return job["attempts"] == 1 and job["status"] == "todo"

    await field.until(put_back)
    assert one.begun == []
    await one.stop()
    await field.ask("UPDATE procrastinate_jobs SET scheduled_at = NULL")
    two.start()
    await field.until_no_jobs()
    assert two.begun == ["a.jpg"]


async def test_a_run_is_told_what_other_machines_have_done_for_it(field: Field, one: Machine) -> None:
    worker = await field.machine("worker")
    quarantined = Quarantined(reason="broken", message="caf\udce9 \x00", request_id="req_1")

    async def flow(queued: QueuedSource) -> Outcome:
        await one.ledger.finish(queued.source, None)
        return quarantined if queued.source.path.startswith("bad") else DONE

    odd = "bad caf\udce9.jpg"
    await take(one, "a.jpg", odd, batch="run")
    await take(one, "other.jpg")
    worker.start(flow)
    one.start(works=False, batch="run")
    await field.until(lambda: one.engine.is_idle)
    told = dict(one.ended)
    assert set(told) == {"a.jpg", odd}
    assert told["a.jpg"] == DONE
    assert isinstance(told[odd], Quarantined)
    assert told[odd].request_id == "req_1"
    assert await field.jobs() == []
    assert one.begun == []


async def test_a_run_is_not_idle_before_the_last_of_its_paths_has_come_to_an_end(field: Field, one: Machine) -> None:
    worker = await field.machine("worker")
    release = asyncio.Event()

    async def flow(queued: QueuedSource) -> Outcome:
        await release.wait()
        return await worker.finish(queued)

    one.start(works=False, batch="run")
    await field.until(lambda: one.engine.is_idle)
    await take(one, "a.jpg", batch="run")
    one.engine.wake()
    assert not one.engine.is_idle
    worker.start(flow)
    await field.until(lambda: worker.engine.running == 1)
    await asyncio.sleep(0.5)
    assert not one.engine.is_idle
    release.set()
    await field.until(lambda: one.engine.is_idle)
    assert one.ended == [("a.jpg", DONE)]


async def test_a_run_is_told_of_what_others_had_brought_to_an_end_before_its_turn_came(
    field: Field, one: Machine
) -> None:
    walk = Walk(one.ledger, FakeClock(one.clock.now()))
    live, bad = sighting("live.jpg"), sighting("bad.jpg")
    await take(one, "live.jpg", "bad.jpg", "gone.jpg", batch="run")
    intent = await walk.intended(live, content(1))
    promised = receipt(FakeClock(one.clock.now()), 1)
    assert await one.ledger.complete(live.source, intent, payload(), promised)
    await one.ledger.finish(live.source, None)
    assert await one.ledger.quarantine(bad.source, None, "broken", "m", None)
    await one.ledger.vanish("inbox", "gone.jpg", "gone")
    await field.ask("UPDATE procrastinate_jobs SET args = jsonb_set(args, '{batch}', '\"run\"')")
    one.start(batch="run")
    await field.until(lambda: one.engine.is_idle)
    told = dict(one.ended)
    assert set(told) == {"live.jpg", "bad.jpg"}
    assert told["live.jpg"].how is DoneAs.ALREADY_LIVE  # type: ignore[union-attr]
    assert told["bad.jpg"].reason == "broken"  # type: ignore[union-attr]
    assert one.begun == []


async def test_a_path_that_leaves_a_run_is_not_waited_for(field: Field, one: Machine) -> None:
    await take(one, "a.jpg", "b.jpg", batch="run")
    one.start(works=False, batch="run")
    await one.ledger.leave_batch(sighting("a.jpg").source)
    await one.ledger.disband("run")
    one.engine.wake()
    await field.until(lambda: one.engine.is_idle)
    assert [job["args"].get("batch") for job in await field.jobs()] == [None, None]


async def test_a_ledger_that_cannot_be_used_ends_the_engine_and_the_job_goes_to_another(
    field: Field, one: Machine
) -> None:
    async def flow(queued: QueuedSource) -> Outcome:
        raise LedgerUnreadable("broken")

    await take(one, "a.jpg")
    one.start(flow)
    assert one.running is not None
    with pytest.raises(LedgerUnreadable):
        await asyncio.wait_for(one.running, 20)
    assert [job["status"] for job in await field.jobs()] == ["todo"]


async def test_the_gate_before_the_intake_holds_jobs_back(field: Field, one: Machine) -> None:
    gate = asyncio.Event()

    async def ready() -> None:
        await gate.wait()

    await take(one, "a.jpg")
    one.start(ready=ready, is_ready=gate.is_set)
    await asyncio.sleep(0.5)
    assert one.begun == []
    gate.set()
    await field.until_no_jobs()
    assert one.begun == ["a.jpg"]


async def test_a_closed_gate_does_not_keep_it_from_stopping(field: Field, one: Machine) -> None:
    async def ready() -> None:
        await asyncio.Event().wait()

    one.start(ready=ready)
    await field.until(lambda: one.engine._is_at_gate)
    await one.stop()


async def test_renewals_and_images_that_are_put_back_have_jobs_too(field: Field, one: Machine) -> None:
    seen, what = sighting("a.jpg"), content(1)
    await take(one, "a.jpg")
    await one.ledger.enter(seen.source, seen.context, what)
    assert await one.ledger.quarantine(seen.source, what.content_id, "broken", "m", None)
    await field.ask("DELETE FROM procrastinate_jobs")
    await one.ledger.put_back("inbox", "a.jpg")
    assert [job["queue_name"] for job in await field.jobs()] == ["ingest"]


async def test_a_path_in_line_without_a_job_gets_one(field: Field, one: Machine) -> None:
    await take(one, "a.jpg", "b.jpg")
    await field.ask("DELETE FROM procrastinate_jobs")
    one.start()
    await field.until(lambda: sorted(one.begun) == ["a.jpg", "b.jpg"])


async def test_a_folder_of_one_machine_has_its_own_queue_and_moves_there_with_its_jobs(
    field: Field, one: Machine
) -> None:
    await take(one, "a.jpg", lane=Lane.BACKFILL)
    assert await one.ledger.claim([claim(queue="ingest@one", shared=False)]) == []
    assert [job["queue_name"] for job in await field.jobs()] == ["ingest@one/backfill"]


async def test_a_folders_name_belongs_to_the_machine_that_runs_with_it(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    assert await one.ledger.claim([claim(queue="ingest@one", root="/one", shared=False)]) == []
    assert await one.ledger.locks.try_acquire("station one")
    (said,) = await two.ledger.claim([claim(queue="ingest@two", root="/two", shared=False)])
    assert "station one has it as /one" in said
    await one.ledger.locks.release("station one")
    assert await two.ledger.claim([claim(queue="ingest@two", root="/two", shared=False)]) == []


async def test_a_shared_folder_has_one_path_everywhere(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    assert await one.ledger.locks.try_acquire("station one")
    assert await one.ledger.claim([claim(root="/mnt/in")]) == []
    assert await two.ledger.claim([claim(root="/mnt/in")]) == []
    assert await one.ledger.claim([claim(root="/mnt/in")]) == []
    (said,) = await two.ledger.claim([claim(root="/other/in")])
    assert "one path everywhere" in said


async def test_where_tokens_are_short_no_more_is_begun_than_they_allow(field: Field, one: Machine) -> None:
    """Each attempt has fingerprinted and decoded an image before it is put off: that work is not to be wasted."""
    at_once, most_later = 0, 0

    async def flow(queued: QueuedSource) -> Outcome:
        nonlocal at_once, most_later
        number = len(one.begun)
        at_once += 1
        if number > 24:
            most_later = max(most_later, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        # At first all in vain, so that one at a time is left whatever ends first; then one in three gets its token.
        if number <= 16 or number % 3:
            await one.ledger.postpone(
                queued.source,
                event="snoozed",
                reason="quota",
                message="m",
                request_id=None,
                attempt=0,
                delay_seconds=0.05,
            )
            return Snoozed(reason="quota", message="m", delay_seconds=0.05)
        return await one.finish(queued)

    await take(one, *names(40), lane=Lane.BACKFILL)
    one.start(flow, places=8)
    await field.until(lambda: len(one.begun) >= 45)
    assert most_later <= 4

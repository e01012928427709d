"""What procrastinate's stock worker gets wrong, shown on it, and that ours gets it right."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from procrastinate import exceptions
from procrastinate.worker import Worker as StockWorker

from ingestor.engines.cluster_reaping import Reaping
from ingestor.engines.cluster_worker import Timing
from ingestor.model import Outcome, QueuedSource
from ingestor.policy.jobs import TASK
from tests.cluster.engine_kit import QUICK, Field, Machine, names, take
from tests.postgres_kit import GIVEN_URL, own_server

ours_to_stop = pytest.mark.skipif(GIVEN_URL is not None, reason="the given PostgreSQL is not ours to stop")
LONG = 3 * QUICK.stale_seconds


@pytest.fixture
async def field() -> AsyncIterator[Field]:
    async with AsyncExitStack() as stack:
        yield Field(stack)


@pytest.fixture
async def one(field: Field) -> Machine:
    return await field.machine("one")


class Slow:
    """A flow that lasts, and remembers how often it was begun."""

    def __init__(self, machine: Machine, seconds: float = LONG) -> None:
        self.machine = machine
        self.seconds = seconds
        self.begun = 0

    async def __call__(self, queued: QueuedSource) -> Outcome:
        self.begun += 1
        await asyncio.sleep(self.seconds)
        return await self.machine.finish(queued)


def stock_worker(machine: Machine, slow: Slow) -> StockWorker:
    async def task(**place: str) -> None:
        slow.begun += 1
        await asyncio.sleep(slow.seconds)

    machine.app.task(name=TASK)(task)
    return StockWorker(
        machine.app,
        concurrency=4,
        install_signal_handlers=False,
        fetch_job_polling_interval=0.2,
        update_heartbeat_interval=QUICK.beat_seconds,
        stalled_worker_timeout=QUICK.stale_seconds,
        delete_jobs="successful",
    )


def reaping(machine: Machine) -> Reaping:
    return Reaping(
        machine.desk,
        timing=QUICK,
        clock=machine.clock,
        observer=machine.observer,
        held=lambda: (None, frozenset()),
        again=lambda: None,
    )


@contextlib.asynccontextmanager
async def at_work(worker: StockWorker) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(worker.run())
    try:
        yield running
    finally:
        for task in (*worker._running_jobs, running):
            task.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def registered(field: Field, *, silent_for: float = 3600.0) -> int:
    """The number of a worker that has been silent for so long."""
    rows = await field.ask(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s)) RETURNING id",
        silent_for,
    )
    number: int = rows[0]["id"]
    return number


async def fetched_by(field: Field, worker_id: int) -> int:
    """The job that this worker has fetched and will never run."""
    rows = await field.ask("SELECT id FROM procrastinate_fetch_job_v2(NULL, %s)", worker_id)
    number: int = rows[0]["id"]
    return number


# -- the heart beats while it drains (its issue 1585)


async def test_the_stock_worker_is_taken_for_dead_while_it_drains(field: Field, one: Machine) -> None:
    await take(one, "a.jpg")
    slow = Slow(one)
    worker = stock_worker(one, slow)
    async with at_work(worker):
        await field.until(lambda: slow.begun == 1)
        worker.stop()
        await asyncio.sleep(QUICK.stale_seconds + QUICK.reap_seconds)
        assert await reaping(one).reap() == 1  # a job that is being worked on


async def test_a_job_of_a_machine_that_drains_stays_its_own(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    slow = Slow(one)
    await take(one, "a.jpg")
    one.start(slow)
    await field.until(lambda: slow.begun == 1)
    two.start(slow)
    await one.stop()
    assert slow.begun == 1
    assert two.begun == []
    assert [path for path, _ in one.ended] == ["a.jpg"]


# -- jobs that a live worker holds and does not run


async def orphan(field: Field, worker_id: int | None) -> None:
    """A job that the database gave to a worker over a connection that broke before it heard of it."""
    await field.ask(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) "
        "VALUES ('ingest/other', 'ingest', 'doing', %s)",
        worker_id,
    )


async def test_the_stock_worker_never_finds_what_it_holds_and_does_not_run(field: Field, one: Machine) -> None:
    worker = stock_worker(one, Slow(one))
    async with at_work(worker):
        await field.until(lambda: worker.worker_id is not None)
        await orphan(field, worker.worker_id)
        await asyncio.sleep(2 * QUICK.stale_seconds)
        assert await reaping(one).reap() == 0  # for its heart beats
        assert [job["status"] for job in await field.jobs()] == ["doing"]


async def test_a_job_that_was_fetched_over_a_connection_that_broke_is_found_by_its_own_worker(
    field: Field, one: Machine
) -> None:
    one.start()
    await field.until(lambda: one.engine._worker.worker_id is not None)
    await orphan(field, one.engine._worker.worker_id)

    async def is_back() -> bool:
        return [job["status"] for job in await field.jobs()] == ["todo"]

    await field.until(is_back)
    assert "jobs_orphaned" in one.observer.events()


async def test_what_was_fetched_this_very_moment_is_no_orphan(field: Field, one: Machine) -> None:
    held: frozenset[int] = frozenset()
    worker_id = await registered(field, silent_for=0.0)
    looks = Reaping(
        one.desk,
        timing=QUICK,
        clock=one.clock,
        observer=one.observer,
        held=lambda: (worker_id, held),
        again=lambda: None,
    )
    await take(one, "a.jpg")
    job_id = await fetched_by(field, worker_id)
    assert await looks.look_at_own() == 0
    held = frozenset({job_id})
    assert await looks.look_at_own() == 0
    held = frozenset()
    assert await looks.look_at_own() == 0
    assert await looks.look_at_own() == 1


# -- jobs of the dead


async def test_what_a_dead_machine_held_is_taken_over_by_any_worker(field: Field, one: Machine) -> None:
    await take(one, *names(3))
    dead = await registered(field)
    for _ in range(3):
        await fetched_by(field, dead)
    began = one.clock.monotonic()
    one.start()
    await field.until_no_jobs()
    assert sorted(one.begun) == sorted(names(3))
    assert one.clock.monotonic() - began < 10.0
    assert await field.ask("SELECT * FROM procrastinate_workers WHERE id = %s", dead) == []


async def test_the_worker_row_of_the_dead_may_be_gone_before_its_jobs_are_found(field: Field, one: Machine) -> None:
    await take(one, "a.jpg")
    dead = await registered(field)
    await fetched_by(field, dead)
    await field.ask("DELETE FROM procrastinate_workers")
    one.start()
    await field.until_no_jobs()
    assert one.begun == ["a.jpg"]


# -- a retry that meets a queued twin (its issues 1050 and 1446)


async def with_twin(field: Field, one: Machine) -> tuple[int, int]:
    """A job of a dead worker, while another one for the same path waits; job and worker."""
    await take(one, "a.jpg")
    dead = await registered(field)
    job_id = await fetched_by(field, dead)
    await take(one, "a.jpg")
    assert [job["status"] for job in await field.jobs()] == ["doing", "todo"]
    return job_id, dead


async def test_the_stock_retry_fails_where_a_twin_waits(field: Field, one: Machine) -> None:
    await with_twin(field, one)
    (stalled,) = await one.app.job_manager.get_stalled_jobs()
    with pytest.raises(exceptions.UniqueViolation):
        await one.app.job_manager.retry_job(stalled)


async def test_a_stalled_job_whose_twin_waits_ends(field: Field, one: Machine) -> None:
    await with_twin(field, one)
    assert await reaping(one).reap() == 1
    assert [job["status"] for job in await field.jobs()] == ["todo"]
    one.start()
    await field.until_no_jobs()
    assert one.begun == ["a.jpg"]


async def test_a_job_that_somebody_else_has_by_now_is_not_put_back(field: Field, one: Machine) -> None:
    await take(one, "a.jpg")
    dead, alive = await registered(field), await registered(field, silent_for=0.0)
    job_id = await fetched_by(field, dead)
    assert await one.desk.put_back_held(job_id, dead)
    assert await fetched_by(field, alive) == job_id
    assert not await one.desk.put_back_held(job_id, dead)
    assert [job["worker_id"] for job in await field.jobs()] == [alive]


async def test_no_job_has_a_lock_that_others_share(field: Field, one: Machine) -> None:
    await take(one, *names(3))
    assert [job["lock"] for job in await field.jobs()] == [None] * 3


# -- the database restarts


@ours_to_stop
async def test_the_stock_worker_ends_with_the_database(field: Field, one: Machine) -> None:
    worker = stock_worker(one, Slow(one))
    server = own_server()
    async with at_work(worker) as running:
        await field.until(lambda: worker.worker_id is not None)
        await asyncio.to_thread(server.stop)
        try:
            await asyncio.wait({running}, timeout=15)
            assert running.done()
        finally:
            await asyncio.to_thread(server.start)


@ours_to_stop
async def test_a_worker_outlives_the_database_and_ends_what_it_had(field: Field, one: Machine) -> None:
    slow = Slow(one, 1.0)
    await take(one, *names(3))
    one.start(slow)
    await field.until(lambda: slow.begun == 3)
    server = own_server()
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(1.5)  # what runs comes to its end meanwhile, and cannot say so
    await asyncio.to_thread(server.start)
    await field.until_no_jobs(30)
    await take(one, "later.jpg")
    await field.until(lambda: "later.jpg" in one.begun)
    assert "disk_paused" in one.observer.events()
    await field.until(lambda: "disk_resumed" in one.observer.events())
    assert one.running is not None
    assert not one.running.done()


@ours_to_stop
async def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(field: Field, one: Machine) -> None:
    await take(one, "a.jpg")
    server = own_server()
    await asyncio.to_thread(server.stop)
    try:
        one.start()
        await asyncio.sleep(1.0)
        assert one.running is not None
        assert not one.running.done()
    finally:
        await asyncio.to_thread(server.start)
    await field.until(lambda: one.begun == ["a.jpg"], 30)


@ours_to_stop
async def test_a_worker_can_be_stopped_while_the_database_is_away(field: Field, one: Machine) -> None:
    one.start()
    await field.until(lambda: one.engine._worker.worker_id is not None)
    server = own_server()
    await asyncio.to_thread(server.stop)
    try:
        await one.stop()
    finally:
        await asyncio.to_thread(server.start)


# -- frozen, and back


async def test_a_worker_that_was_taken_for_dead_goes_on_under_another_number(field: Field, one: Machine) -> None:
    slow = Slow(one, 1.5)
    await take(one, "a.jpg")
    one.start(slow, timing=Timing(stale_seconds=2.0))
    await field.until(lambda: slow.begun == 1)
    before = one.engine._worker.worker_id
    await field.ask("DELETE FROM procrastinate_workers")
    await field.until(lambda: one.engine._worker.worker_id != before)
    await field.until_no_jobs()
    assert slow.begun == 1
    assert [path for path, _ in one.ended] == ["a.jpg"]


async def test_who_comes_back_late_neither_ends_nor_counts_what_others_have_taken(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    frozen = asyncio.Event()

    async def flow(queued: QueuedSource) -> Outcome:
        await frozen.wait()
        return await one.finish(queued)

    await take(one, "a.jpg")
    one.start(flow)
    await field.until(lambda: one.begun == ["a.jpg"])
    # As if it had been frozen: its heart stops, its locks are lost, others take what it had.
    (job,) = await field.jobs()
    await one.ledger.locks.close()
    assert await two.desk.put_back_held(job["id"], job["worker_id"])
    two.start()
    await field.until(lambda: two.begun == ["a.jpg"] or one.begun == ["a.jpg"] * 2)
    frozen.set()
    await field.until_no_jobs()
    assert len(one.ended) + len(two.ended) == 1


async def test_an_abort_gives_what_runs_to_others_at_once(field: Field, one: Machine) -> None:
    two = await field.machine("two")
    slow = Slow(one, 60.0)
    await take(one, "a.jpg")
    one.start(slow)
    await field.until(lambda: slow.begun == 1)
    one.engine.abort()
    assert one.running is not None
    await asyncio.wait_for(one.running, 10)
    two.start()
    await field.until_no_jobs()
    assert two.begun == ["a.jpg"]


# -- what has ended goes


async def test_jobs_that_ended_are_not_kept(field: Field, one: Machine) -> None:
    await take(one, "a.jpg")
    await take(one, "b.jpg", batch="a run that is gone")
    one.start()

    async def told() -> bool:
        return [job["status"] for job in await field.jobs()] == ["succeeded"]

    await field.until(told)
    assert await one.desk.prune(3600.0) == 0
    await field.ask("UPDATE procrastinate_events SET at = at - interval '2 hours'")
    assert await one.desk.prune(3600.0) == 1
    assert await field.jobs() == []

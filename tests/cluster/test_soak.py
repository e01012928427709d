"""Long runs of several machines, with the numbers that they have to keep: `make soak`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from ingestor.engines.cluster_worker import Timing
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.model import Lane, SourceFile
from ingestor.runtime.feeder import Feeder
from ingestor.runtime.system_clock import SystemClock
from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from ingestor.stages.discover import DropFolder
from tests.cluster.engine_kit import Field, names, take
from tests.cluster.kit import Station, draw
from tests.cluster.processes import Database, started, stopped
from tests.fakes import RecordingObserver
from tests.home import Home
from tests.ledger_kit import folder_settings
from tests.postgres_kit import GIVEN_URL, database, new_database, own_server

pytestmark = pytest.mark.soak
ours_to_stop = pytest.mark.skipif(GIVEN_URL is not None, reason="the given PostgreSQL is not ours to stop")

STALE_SECONDS = 3.0
REAP_SECONDS = STALE_SECONDS / 3
STEP_SECONDS = 2.0
"""What one look of a busy machine takes."""


@contextlib.asynccontextmanager
async def field(folder: Path, bucket: Bucket) -> AsyncIterator[tuple[Station, Database]]:
    async with Sandbox(SandboxOptions(data_dir=folder / "api", upload_bucket=bucket)) as sandbox:
        url = new_database(empty=True)
        quota = {"burst": bucket.burst, "per_minute": bucket.per_minute}
        home = Home(
            folder / "one",
            sandbox,
            ledger=url,
            cluster={"station": "one", "stale": f"{STALE_SECONDS}s"},
            api={"base_url": sandbox.base_url, "quota": quota},
            log={"level": "info"},
        )
        yield Station(home, sandbox), Database(url)


def images_for(seconds: float, most: int = 10_000) -> int:
    """As many as there is time for: the whole number from ten minutes on."""
    return max(100, min(most, int(most * seconds / 600)))


async def test_killed_workers_lose_nothing_and_nothing_has_two_ids(tmp_path: Path, soak_seconds: float) -> None:
    number = images_for(soak_seconds)
    kills = 20 if number >= 5000 else 5
    async with field(tmp_path, Bucket(2000, 120_000)) as (station, database):
        names = [f"{n // 500}/{n}.png" for n in range(number)]
        for begin in range(0, number, 500):
            draw(station.home.inbox, *names[begin : begin + 500], seed=begin // 500)
        submitted = await station.home.run("backfill", "--submit-only", "--json", seconds=600)
        assert submitted.json["discovered"] == number
        rng = random.Random(number)
        longest = 0.0
        async with contextlib.AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(started(station, "worker")) for _ in range(3)]
            for _ in range(kills):
                await asyncio.sleep(rng.uniform(2.0, 5.0))
                victim = workers.pop(rng.randrange(len(workers)))
                victim.process.kill()
                longest = max(longest, await seconds_until_taken_over(database, victim.process.pid))
                workers.append(await stack.enter_async_context(started(station, "worker")))
            await database.until_done(number, 1200)
            for worker in workers:
                assert await stopped(worker) == 0
        ids = await database.ids_by_path()
        print(f"{number} images, {kills} kills; the longest takeover took {longest:.1f} s")
        assert len(ids) == number
        assert all(len(one) == 1 for one in ids.values())
        assert len(station.sandbox_files()) == number
        assert await database.ask("SELECT id FROM procrastinate_jobs") == []
        assert longest <= STALE_SECONDS + 2 * REAP_SECONDS + STEP_SECONDS


async def seconds_until_taken_over(database: Database, pid: int) -> float:
    """Until nothing is held by the worker with this process any more."""
    rows = await database.ask(
        "SELECT substr(name, 8)::bigint AS id FROM facts "
        "WHERE name LIKE 'worker.%%' AND (value::jsonb->>'process')::int = %s",
        pid,
    )
    workers = [row["id"] for row in rows]
    began = time.monotonic()
    while await database.number(
        "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = ANY (%s)", workers
    ):
        assert time.monotonic() - began < 60
        await asyncio.sleep(0.1)
    return time.monotonic() - began


@ours_to_stop
async def test_restarts_of_the_database_end_no_worker_and_leave_nothing_stuck(
    tmp_path: Path, soak_seconds: float
) -> None:
    number = images_for(max(soak_seconds, 300.0), 3000)
    async with field(tmp_path, Bucket(100, 2400)) as (station, database):
        draw(station.home.inbox, *(f"{n}.png" for n in range(number)))
        assert (await station.home.run("backfill", "--submit-only", seconds=600)).code == 0
        async with contextlib.AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(started(station, "worker")) for _ in range(3)]
            await database.until_done(10, 60)
            drained_after = []
            for down in (1.0, 2.0, 4.0, 7.0, 10.0):
                await asyncio.to_thread(own_server().stop)
                await asyncio.sleep(down)
                await asyncio.to_thread(own_server().start)
                began = time.monotonic()
                before = await database.done()
                while await database.done() <= before and before < number:
                    assert time.monotonic() - began < 60
                    await asyncio.sleep(0.2)
                drained_after.append(time.monotonic() - began)
                await asyncio.sleep(3.0)
            await database.until_done(number, 900)
            assert all(worker.process.returncode is None for worker in workers)
            for worker in workers:
                assert await stopped(worker) == 0
        print(f"at work again after {', '.join(f'{one:.1f}' for one in drained_after)} s")
        assert max(drained_after) <= 15.0
        assert await database.ask("SELECT id FROM procrastinate_jobs") == []
        assert all(len(one) == 1 for one in (await database.ids_by_path()).values())
        assert len(station.sandbox_files()) == number


async def test_three_processes_share_the_bucket_and_waste_nothing_of_it(tmp_path: Path, soak_seconds: float) -> None:
    burst, per_second = 60, 30
    number = max(200, min(3000, int(soak_seconds * per_second / 3)))
    async with field(tmp_path, Bucket(burst, per_second * 60)) as (station, database):
        draw(station.home.inbox, *(f"{n}.png" for n in range(number)))
        assert (await station.home.run("backfill", "--submit-only", seconds=600)).code == 0
        async with contextlib.AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(started(station, "worker")) for _ in range(3)]
            # From when the burst is used up: then it is the refill alone that counts.
            await database.until_done(2 * burst, 60)
            began, done = time.monotonic(), await database.done()
            await database.until_done(number, 600)
            share = (number - done) / (per_second * (time.monotonic() - began))
            for worker in workers:
                assert await stopped(worker) == 0
            refused = sum(line["event"] == "quota_held" for worker in workers for line in worker.log)
        print(f"{number} images: {share:.1%} of what the bucket gives, {refused} refusals")
        assert refused == 0  # the API counts strictly: more than the bucket gives would have been refused
        assert share >= 0.98


async def test_an_idle_cluster_begins_at_once_and_costs_little(tmp_path: Path) -> None:
    async with field(tmp_path, Bucket(2000, 120_000)) as (station, database):
        async with started(station, "watch") as daemon:
            await daemon.until_logged("scan_end")
            await asyncio.sleep(3.0)
            waits = []
            for number in range(40):
                draw(station.home.inbox, f"{number}.png", seed=number)
                await database.until_done(number + 1, 30)
                await asyncio.sleep(0.3)
            for line in daemon.log:
                if line["event"] == "image_end":
                    waits.append(line["seconds"])
            starts = await database.ask(
                "SELECT (found_at / 1e6)::float AS found, (changed_at / 1e6)::float AS ended FROM sources"
            )
            took = sorted(row["ended"] - row["found"] for row in starts)
            assert await stopped(daemon) == 0
        whole, flow = took[int(len(took) * 0.95)], sorted(waits)[int(len(waits) * 0.95)]
        print(f"from taken to done {whole * 1000:.0f} ms (p95), of which the flow {flow * 1000:.0f} ms")
        assert whole - flow <= 0.1


async def test_a_pass_over_known_files_finds_nothing_to_do_and_takes_its_time_for_it(
    tmp_path: Path, soak_seconds: float
) -> None:
    number = images_for(soak_seconds, 1_000_000) // 5000 * 5000 or 5000
    inbox = tmp_path / "inbox"
    for directory in range(number // 5000):
        (inbox / f"{directory}").mkdir(parents=True)
        for name in range(5000):
            (inbox / f"{directory}" / f"{name}.png").write_bytes(b"x")
    settings = folder_settings(inbox, settle="0s")
    url, clock = new_database(), SystemClock()
    remember(url, DropFolder(settings))
    ledger = PostgresLedger(database(url), clock, station="one")
    feeder = Feeder(DropFolder(settings), ledger=ledger, clock=clock, observer=RecordingObserver(), fed=lambda: None)
    began = time.monotonic()
    scan = await feeder.scan(Lane.FRESH)
    seconds = time.monotonic() - began
    await ledger.close()
    print(f"{scan.files:,} known files in {seconds:.1f} s")
    assert (scan.files, scan.new) == (number, 0)
    assert seconds <= 60 * max(0.05, number / 1_000_000)


def remember(url: str, folder: DropFolder) -> None:
    """Every file of a folder as done with, its id good for a day; behind the program's back, for that is quicker."""
    later = int((time.time() + 86_000) * 1e6)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO uploads (content_id, digest, purpose, metadata, state, file_id, expires_at, changed_at) "
            "VALUES ('c', 'd', 'reference', '{}', 'live', 'file_1', %s, 0)",
            (later,),
        )
        columns = (
            "folder, directory, name, device, inode, size_bytes, mtime_ns, ctime_ns, context, state, live_until, root, "
            "lane, ready_at, content_id, listed_content_id, found_at, changed_at"
        )
        with connection.cursor() as cursor, cursor.copy(f"COPY sources ({columns}) FROM STDIN") as copy:
            for source, context in everything_in(folder):
                directory, _, name = source.path.rpartition("/")
                one = source.identity
                identity = (one.device, one.inode, one.size_bytes, one.mtime_ns, one.ctime_ns)
                where = (source.folder, directory, name)
                state = (context, "done", later, str(source.root), 2, 0, "c", "c", 0, 0)
                copy.write_row((*where, *identity, *state))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE sources")


def everything_in(folder: DropFolder) -> Iterator[tuple[SourceFile, str]]:
    for piece in folder.walk():
        for sighting in piece.sightings:
            yield sighting.source, sighting.context


async def test_the_engine_costs_little_for_each_job() -> None:
    """One after another, with the change of the ledger that ends each."""
    number = 500
    async with contextlib.AsyncExitStack() as stack:
        around = Field(stack)
        machine = await around.machine()
        await take(machine, *names(number), lane=Lane.BACKFILL)
        began = time.monotonic()
        machine.start(places=1, timing=Timing())
        await around.until_no_jobs(120)
        each = (time.monotonic() - began) / number
        print(f"{each * 1000:.1f} ms a job")
        assert each <= 0.01

"""Whole processes on several machines: nothing lost, nothing twice, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cluster.kit import Station, draw
from tests.cluster.processes import started, stopped
from tests.home import Running, until
from tests.postgres_kit import GIVEN_URL, PASSWORD, own_server

STANDBY_SECONDS = 5.0
"""What issue 7 allows between a leader's death and the scan of the one that stands by."""
ours_to_stop = pytest.mark.skipif(GIVEN_URL is not None, reason="the given PostgreSQL is not ours to stop")


def ids(station: Station) -> dict[str, str]:
    """Path to file id, as the manifest has it; each path must have had one id only."""
    found: dict[str, set[str]] = {}
    for line in station.home.manifest():
        found.setdefault(line["path"], set()).add(line["file_id"])
    assert all(len(one) == 1 for one in found.values())
    return {path: one.pop() for path, one in found.items()}


def shared(station: Station, inbox: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(inbox), "name": "shared", "purpose": "reference", "settle": "100ms", "shared": True, **more}


async def test_what_one_machine_submits_another_one_uploads(station: Station) -> None:
    station.draw(*(f"{number}.png" for number in range(6)))
    submitted = await station.home.run("backfill", "--submit-only", "--json")
    assert submitted.code == 0, submitted.err
    assert (submitted.json["discovered"], submitted.json["deferred"]) == (6, 6)

    async with started(station, "worker", "--concurrency", "2") as worker:
        await station.home.until_listed({f"{number}.png" for number in range(6)})
        status = (await station.home.run("status", "--json")).json
        (machine,) = status["machines"]["workers"]
        assert (machine["station"], machine["what"]) == ("one", "ingestor worker")
        assert "ingestor worker" in status["machines"]["leads"]["manifest"]
        shown = await station.home.run("status")
        assert "Machines" in shown.out
        assert PASSWORD not in shown.out + shown.err
        assert await stopped(worker) == 0
    assert len(set(ids(station).values())) == 6
    assert (await station.home.run("status", "--json")).json["machines"]["workers"] == []


async def test_a_run_counts_what_other_machines_did_for_it(station: Station) -> None:
    async with started(station, "worker"):
        station.draw(*(f"{number}.png" for number in range(20)))
        (station.home.inbox / "bad.jpg").write_bytes(b"no image")
        ran = await station.home.run("backfill", "--json")
    counted = ran.json
    assert ran.code == 3
    assert counted["discovered"] == 21
    assert counted["uploaded"] + counted["duplicates"] + counted["already_live"] + counted["replayed"] == 20
    assert (counted["quarantined"], counted["deferred"]) == (1, 0)
    assert counted["uploaded"] == 20


async def test_one_daemon_a_station_and_submitting_beside_it(station: Station) -> None:
    station.home.settings["status"] = {"listen": "127.0.0.1:0"}
    station.home.save()
    async with started(station, "watch") as daemon:
        await daemon.until_logged("scan_end")
        page = (await daemon.until_logged("page_ready"))["url"]
        held = await station.home.run("backfill")
        assert held.code == 6
        assert "ingestor watch" in held.last_words
        station.draw("a.png")
        assert (await station.home.run("backfill", "--submit-only")).code == 0
        await station.home.until_listed({"a.png"})
        other = station.beside("two", folders=[{"path": "inbox", "name": "inbox", "purpose": "reference"}])
        refused = await other.home.run("backfill")
        assert refused.code == 2
        assert "station one has it" in refused.err
        async with aiohttp.ClientSession() as session, session.get(page) as answer:
            shown = await answer.text()
        assert "Machines" in shown
        assert "ingestor watch" in shown
        assert PASSWORD not in shown
        assert await stopped(daemon) == 0


async def test_two_watchers_of_a_shared_folder_take_each_image_once_and_one_stands_in_for_the_other(
    station: Station, tmp_path: Path
) -> None:
    inbox = tmp_path / "both"
    inbox.mkdir()
    folders = [shared(station, inbox, renew="while-source-exists")]
    one, two = (station.beside(name, folders=folders, manifest=f"{tmp_path}/manifest.jsonl") for name in ("a", "b"))
    async with started(one, "watch") as first:
        await first.until_logged("scan_end")
        async with started(two, "watch") as second:
            await second.until_logged("start")
            draw(inbox, *(f"a{number}.png" for number in range(8)))
            await until(lambda: _listed(tmp_path) >= 8, 30)
            assert not any(line["event"] in ("scan_end", "leads") for line in second.log)
            first.process.kill()
            await second.until_logged("scan_end", STANDBY_SECONDS)
            draw(inbox, "b.png", seed=1)
            await until(lambda: _listed(tmp_path) >= 9, 30)
            await until(lambda: _led(second) == {"manifest", "renew", "scan shared"}, 15)
            assert await stopped(second) == 0
    assert len(station.sandbox_files()) == 9


def _led(running: Running) -> set[str]:
    return {line["what"] for line in running.log if line["event"] == "leads"}


def _listed(folder: Path) -> int:
    path = folder / "manifest.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@ours_to_stop
async def test_a_daemon_outlives_a_restart_of_the_database(station: Station) -> None:
    async with started(station, "watch") as daemon:
        await daemon.until_logged("scan_end")
        await asyncio.to_thread(own_server().stop)
        station.draw("a.png")
        await asyncio.sleep(1.5)
        await asyncio.to_thread(own_server().start)
        await station.home.until_listed({"a.png"}, 40)
        assert await stopped(daemon) == 0
    assert len(ids(station)) == 1


@ours_to_stop
async def test_a_database_that_is_away_is_told_or_waited_for(station: Station) -> None:
    await asyncio.to_thread(own_server().stop)
    try:
        ran = await station.home.run("backfill")
        assert ran.code == 1
        assert "cannot be reached" in ran.last_words
        assert "Traceback" not in ran.err
        async with started(station, "watch") as daemon:
            await daemon.until_logged("disk_paused")
            await asyncio.to_thread(own_server().start)
            await daemon.until_logged("scan_end", 30)
            assert await stopped(daemon) == 0
    finally:
        with contextlib.suppress(Exception):
            await asyncio.to_thread(own_server().start)


async def test_workers_that_are_killed_lose_nothing_and_send_nothing_twice(
    slow_station: Station,
) -> None:
    station = slow_station
    names = {f"{number}.png" for number in range(40)}
    station.draw(*sorted(names))
    assert (await station.home.run("backfill", "--submit-only")).code == 0
    async with contextlib.AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(started(station, "worker")) for _ in range(3)]
        for number in range(3):
            await asyncio.sleep(1.5)
            workers[number].process.kill()
            workers.append(await stack.enter_async_context(started(station, "worker")))
        await station.home.until_listed(names, 60)
        for worker in workers[3:]:
            assert await stopped(worker) == 0
    assert len(set(ids(station).values())) == len(names)
    assert len(station.sandbox_files()) == len(names)


async def test_a_worker_needs_a_ledger_that_is_shared(station: Station) -> None:
    station.home.settings["ledger"] = "var/ledger.db"
    station.home.save()
    for arguments in (["worker"], ["watch", "--submit-only"], ["backfill", "--submit-only"]):
        ran = await station.home.run(*arguments)
        assert ran.code == 2
        assert "needs a shared ledger" in ran.last_words

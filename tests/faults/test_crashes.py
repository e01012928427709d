"""Killed at every boundary of the flow, and at any moment: the next start goes on, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from ingestor.failpoints import BOUNDARIES, EXIT_CODE, VARIABLE, WHILE_REMOVING
from tests.faults.forked import children_of, has_scanned, kill_workers, life
from tests.faults.kit import check_created_once, check_manifest, picture
from tests.home import Home, until

MOVES = {"after_upload": "move:done", "on_quarantine": "move:bad"}
IN_QUARANTINE = {boundary for boundary in BOUNDARIES if "quarantine" in boundary}


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_killed_at_a_boundary_the_next_run_finishes_the_work(home: Home, boundary: str) -> None:
    home.settings["folders"][0] |= MOVES
    home.save()
    for number in range(3):
        (home.inbox / f"{number}.png").write_bytes(picture(number))
    (home.inbox / "twin-of-0.png").write_bytes(picture(0))
    (home.inbox / "bad.png").write_text("no image")

    killed = await home.run("backfill", **{VARIABLE: boundary})
    assert killed.code == EXIT_CODE, killed.err

    ran = await home.run("backfill", "--json")
    told = ran.json
    assert ran.code == (3 if told["quarantined"] else 0), ran.err
    assert told["deferred"] == 0
    check_created_once(home)
    check_manifest(home)
    assert home.sandbox.stats()["created_total"] == 3
    present = home.present()
    images = ("0.png", "1.png", "2.png", "twin-of-0.png")
    assert {path: present[path]["event"] for path in present} == {
        **dict.fromkeys(images, "uploaded"),
        "bad.png": "quarantined",
    }
    assert [path.name for path in home.inbox.iterdir()] == []
    assert sorted(path.name for path in (home.folder / "done").iterdir()) == sorted(images)
    assert sorted(path.name for path in (home.folder / "bad").iterdir()) == ["bad.error.json", "bad.png"]
    status = (await home.run("status", "--json")).json
    assert status["total"]["waiting"] == 0


@pytest.mark.parametrize("sidecar_too", [False, True])
async def test_killed_while_a_file_is_deleted_the_next_run_has_it_gone(home: Home, sidecar_too: bool) -> None:
    home.settings["folders"][0] |= {"after_upload": "delete"}
    home.save()
    (home.inbox / "one.png").write_bytes(picture(1))
    (home.inbox / "one.png.json").write_text('{"of": "one"}')
    killed = await home.run("backfill", **{VARIABLE: f"{WHILE_REMOVING}:{2 if sidecar_too else 1}"})
    assert killed.code == EXIT_CODE
    assert len(list(home.inbox.iterdir())) == (1 if sidecar_too else 2)

    assert (await home.run("backfill")).code == 0
    assert list(home.inbox.iterdir()) == []
    assert home.sandbox.stats()["created_total"] == 1
    check_manifest(home)


@pytest.mark.parametrize("now", ["delete", "keep"])
async def test_killed_while_another_file_s_name_was_taken_that_file_is_uploaded_too(home: Home, now: str) -> None:
    home.settings["folders"][0] |= {"after_upload": "delete"}
    home.save()
    (home.inbox / "one.png").write_bytes(picture(1))
    assert (await home.run("backfill", **{VARIABLE: WHILE_REMOVING})).code == EXIT_CODE
    (taken,) = home.inbox.iterdir()
    taken.unlink()
    taken.write_bytes(picture(2))  # as if somebody had replaced the file in the last moment

    home.settings["folders"][0] |= {"after_upload": now}
    home.save()
    assert (await home.run("backfill")).code == 0
    assert [path.name for path in home.inbox.iterdir()] == ([] if now == "delete" else ["one.png"])
    assert home.sandbox.stats()["created_total"] == 2
    check_manifest(home)


async def test_killed_while_renewing_the_next_run_has_one_new_id(home: Home) -> None:
    (home.inbox / "one.png").write_bytes(picture(1))
    assert (await home.run("backfill")).code == 0
    first = home.present()["one.png"]["file_id"]
    for boundary in ("after_intent", "after_answer", "before_receipt", "after_receipt"):
        killed = await home.run("renew", "one.png", **{VARIABLE: boundary})
        assert killed.code == EXIT_CODE
    assert (await home.run("renew", "one.png")).code == 0
    last = home.present()["one.png"]
    assert last["event"] == "renewed"
    assert last["file_id"] != first
    generations = [line["generation"] for line in home.manifest()]
    assert generations == sorted(set(generations)), "each generation has one id"
    assert home.sandbox.stats()["created_total"] == len(generations)


async def kill_at_random(home: Home, kills: int, rng: random.Random, *, workers_first: bool) -> int:
    """Drop files into a watched folder and kill the daemon (or first its workers) again and again; files dropped."""
    dropped = 0
    for _ in range(kills):
        with life(home) as process:
            for _ in range(rng.randint(1, 4)):
                (home.inbox / f"{dropped:06}.png").write_bytes(picture(100_000 + dropped))
                dropped += 1
            if rng.random() < 0.7:
                await until(lambda process=process: has_scanned(home, process.pid))
            await asyncio.sleep(rng.uniform(0.0, 0.35))
            if workers_first:
                kill_workers(process.pid)
                await asyncio.sleep(rng.uniform(0.0, 0.1))
    return dropped


async def kill_and_check(home: Home, kills: int, seed: int, *, workers_first: bool = False) -> None:
    """Kill, run once more to the end, and look."""
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    dropped = await kill_at_random(home, kills, random.Random(seed), workers_first=workers_first)
    ran = await home.run("backfill", "--json", seconds=300)
    assert ran.code == 0, ran.err
    assert len(home.present()) == dropped, "none is lost"
    assert {line["event"] for line in home.manifest()} == {"uploaded"}
    assert home.sandbox.stats()["created_total"] == dropped, "none is twice"
    check_created_once(home)
    check_manifest(home)


async def test_kills_at_random_moments_lose_nothing_and_send_nothing_twice(home: Home) -> None:
    await kill_and_check(home, 30, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("workers_first", [False, True])
async def test_a_thousand_kills_lose_nothing_and_send_nothing_twice(home: Home, workers_first: bool) -> None:
    await kill_and_check(home, 300 if workers_first else 700, random.randrange(10**6), workers_first=workers_first)


async def test_killed_workers_take_no_image_with_them(home: Home) -> None:
    await kill_and_check(home, 10, seed=2, workers_first=True)


async def test_sigkill_of_the_whole_process_group_leaves_no_worker_behind(home: Home) -> None:
    async with home.watching() as running:
        (home.inbox / "one.png").write_bytes(picture(7))
        await home.until_listed({"one.png"})
        workers = children_of(running.process.pid)
        assert workers
        running.process.kill()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

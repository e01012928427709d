"""Killed at every boundary of the flow, and at any moment: the next start goes on, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from ingestor.failpoints import BOUNDARIES, EXIT_CODE, VARIABLE
from tests.home import Home, until

MOVES = {"after_upload": "move:done", "on_quarantine": "move:bad"}
IN_QUARANTINE = {boundary for boundary in BOUNDARIES if "quarantine" in boundary}


def image(seed: int) -> bytes:
    """A small picture of its own."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (8, 8), random.Random(seed).randbytes(192)).save(buffer, "PNG")
    return buffer.getvalue()


def check_once(home: Home) -> None:
    """Every content was created once, and the file ids of the manifest are those that the API has."""
    created = home.sandbox.stats()["created"]
    twice = [row for row in created if row["created"] != 1]
    assert not twice, twice


def check_manifest(home: Home) -> None:
    """Lines in order, none twice, none torn (`Home.manifest` fails on those)."""
    numbers = [line["seq"] for line in home.manifest()]
    assert numbers == sorted(set(numbers))
    told = Counter((line["path"], line["sha256"], line["event"]) for line in home.manifest())
    assert all(count == 1 for count in told.values()), told


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_killed_at_a_boundary_the_next_run_finishes_the_work(home: Home, boundary: str) -> None:
    home.settings["folders"][0] |= MOVES
    home.save()
    for number in range(3):
        (home.inbox / f"{number}.png").write_bytes(image(number))
    (home.inbox / "twin-of-0.png").write_bytes(image(0))
    (home.inbox / "bad.png").write_text("no image")

    killed = await home.run("backfill", **{VARIABLE: boundary})
    assert killed.code == EXIT_CODE, killed.err

    ran = await home.run("backfill", "--json")
    told = ran.json
    assert ran.code == (3 if told["quarantined"] else 0), ran.err
    assert told["deferred"] == 0
    check_once(home)
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


async def test_killed_while_renewing_the_next_run_has_one_new_id(home: Home) -> None:
    (home.inbox / "one.png").write_bytes(image(1))
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


async def kill_at_random(home: Home, kills: int, rng: random.Random, first: int, *, workers_alone: bool) -> int:
    """Drop files into a watched folder and kill the daemon (or first its workers) again and again; files dropped."""
    dropped = first
    for _ in range(kills):
        async with home.watching() as running:
            for _ in range(rng.randint(1, 4)):
                (home.inbox / f"{dropped:06}.png").write_bytes(image(100_000 + dropped))
                dropped += 1
            await asyncio.sleep(rng.uniform(0.0, 0.35))
            if workers_alone:
                for pid in children_of(running.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.05)
            running.process.kill()
    return dropped


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


async def kill_and_check(home: Home, kills: int, seed: int, *, first: int = 0, workers_alone: bool = False) -> int:
    """Kill, run once more to the end, and look: how many files there are by now."""
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    dropped = await kill_at_random(home, kills, random.Random(seed), first, workers_alone=workers_alone)
    ran = await home.run("backfill", "--json", seconds=300)
    assert ran.code == 0, ran.err
    assert len(home.present()) == dropped, "none is lost"
    assert {line["event"] for line in home.manifest()} == {"uploaded"}
    assert home.sandbox.stats()["created_total"] == dropped, "none is twice"
    check_once(home)
    check_manifest(home)
    return dropped


async def test_kills_at_random_moments_lose_nothing_and_send_nothing_twice(home: Home) -> None:
    await kill_and_check(home, 30, seed=1)


async def test_killed_workers_take_no_image_with_them(home: Home) -> None:
    await kill_and_check(home, 10, seed=2, workers_alone=True)


@pytest.mark.soak
async def test_a_thousand_kills(home: Home, soak_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until_at, kills, dropped = loop.time() + soak_seconds, 0, 0
    while loop.time() < until_at and kills < 1000:
        dropped = await kill_and_check(home, 20, seed=kills + 3, first=dropped)
        kills += 20
    print(f"kills {kills}, images {dropped}, created {home.sandbox.stats()['created_total']}, lost 0, twice 0, torn 0")


async def test_sigkill_of_the_whole_process_group_leaves_no_worker_behind(home: Home) -> None:
    async with home.watching() as running:
        (home.inbox / "one.png").write_bytes(image(7))
        await home.until_listed({"one.png"})
        workers = children_of(running.process.pid)
        assert workers
        running.process.kill()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

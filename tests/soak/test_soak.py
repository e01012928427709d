"""The daemon for a long time under load, with faults of the API and with kills: nothing is lost, nothing is sent twice,
and nothing grows.

`make soak SOAK=10m` runs it for so long; the suite runs it for a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from ingestor.sandbox import FAULTS, Bucket, Sandbox, SandboxOptions
from tests.faults.forked import children_of, has_scanned, kill_workers, life
from tests.faults.kit import picture
from tests.home import Home, until
from tests.samples import photograph

ROOT = Path(__file__).resolve().parents[2]
SHORT_SECONDS = 16.0
LONGEST_CYCLE_SECONDS = 10.0
"""Of load, until all of it is done and the daemon is looked at."""
FAULT_RATE = 0.15
SLOW_KINDS = frozenset({"hang", "hang_after", "key_conflict", "refused"})
"""Faults that cost a time-out each, or blame the image."""
MOST_BACKLOG = 60
"""Images that are dropped before the daemon has taken those before them."""

GROWTH = {"rss_mb": 12.0, "open_files": 18.0, "threads": 2.0, "tasks": 4.0, "workers": 0.0}
"""What may be more at the end than at the beginning, looked at while nothing is in flight: of open files as many as
there are connections that wait for more work."""


@dataclass
class Figures:
    kills: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    """Name to what it must become."""
    looks: list[dict[str, float]] = field(default_factory=list)
    """At the daemon that lives longest."""
    torn: int = 0

    def change(self, what: str) -> tuple[float, float]:
        """The median of the first third of looks, past the start, and that of the last."""
        looks = [look[what] for look in self.looks[max(1, len(self.looks) // 5) :]]
        third = max(1, len(looks) // 3)
        return median(looks[:third]), median(looks[-third:])


class CountedHome(Home):
    """A home whose `ingestor` counts its tasks."""

    @property
    def tasks_file(self) -> Path:
        return self.folder / "tasks"

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.soak.counted", str(self.tasks_file), *arguments),
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": str(ROOT), **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[CountedHome]:
    kinds = sorted(FAULTS.keys() - SLOW_KINDS)
    options = SandboxOptions(
        data_dir=tmp_path / "api",
        upload_bucket=Bucket(100_000, 6_000_000),
        slow_seconds=0.2,
        seed=1,
        faults={kind: FAULT_RATE / len(kinds) for kind in kinds},
    )
    async with Sandbox(options) as sandbox:
        home = CountedHome(tmp_path / "home", sandbox)
        home.settings["api"] |= {
            "timeout": "5s",
            "concurrency": 16,
            "quota": {"burst": 100_000, "per_minute": 1_000_000},
        }
        home.settings["folders"][0] |= {
            "settle": "0s",
            "rescan": "2s",
            "after_upload": "delete",
            "on_quarantine": "move:bad",
        }
        home.settings["log"] = {"level": "info"}
        home.save()
        yield home


# -- load


def drop(home: Home, figures: Figures, rng: random.Random) -> None:
    """One file: mostly small and good, some to be made fit, some twice, some bad."""
    number = len(figures.dropped)
    name, kind = f"{number:07}.png", rng.random()
    if kind < 0.05:
        content, must_be = b"no image " + str(number).encode(), "quarantined"
    elif kind < 0.08:
        name = f"{number:07}.tiff"
        buffer = io.BytesIO()
        photograph(300, 200, number).save(buffer, "TIFF")
        content, must_be = buffer.getvalue(), "uploaded"
    else:
        same_as = number - 1 if kind < 0.12 and number else number
        content, must_be = picture(same_as), "uploaded"
    part = home.inbox / f"{name}.part"
    part.write_bytes(content)
    part.rename(home.inbox / name)
    figures.dropped[name] = must_be


@contextlib.asynccontextmanager
async def loading(home: Home, figures: Figures, rng: random.Random) -> AsyncIterator[None]:
    """Files are dropped during the block."""
    task = asyncio.create_task(_load(home, figures, rng))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _load(home: Home, figures: Figures, rng: random.Random) -> None:
    """For as long as the daemon keeps up. Until cancelled."""
    while True:
        if len(list(home.inbox.iterdir())) < MOST_BACKLOG:
            for _ in range(rng.randint(1, 10)):
                drop(home, figures, rng)
        await asyncio.sleep(0.1)


# -- looks


def open_files(pid: int) -> int:
    """How many; the list itself only root may see, since the daemon hides it from its workers."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return Path(f"/proc/{pid}/fd").stat().st_size  # their number, since Linux 6.2


def look(home: CountedHome, pid: int) -> dict[str, float]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1000,
        "open_files": open_files(pid),
        "threads": int(status["Threads"]),
        "workers": len(children_of(pid)),
        "tasks": int(home.tasks_file.read_text()),
    }


def torn_lines(home: Home) -> int:
    manifest = home.folder / "var" / "manifest.jsonl"
    torn = 0
    with manifest.open("rb") as lines:
        for line in lines:
            try:
                torn += not (line.endswith(b"\n") and isinstance(json.loads(line), dict))
            except ValueError:
                torn += 1
    return torn


# -- the run


async def one_life(home: CountedHome, figures: Figures, seconds: float, rng: random.Random) -> None:
    """A daemon that is not killed, looked at from time to time."""
    home.tasks_file.write_text("0")
    async with home.watching() as running:
        loop = asyncio.get_running_loop()
        until_at = loop.time() + seconds
        while loop.time() < until_at or len(figures.looks) < 6:
            async with loading(home, figures, rng):
                await asyncio.sleep(min(LONGEST_CYCLE_SECONDS, seconds / 12))
            await until(lambda: not list(home.inbox.iterdir()), 300, lambda: f"nothing moves: {running.lines[-5:]}")
            tasks_at = home.tasks_file.stat().st_mtime_ns
            await until(lambda tasks_at=tasks_at: home.tasks_file.stat().st_mtime_ns > tasks_at)
            figures.looks.append(look(home, running.process.pid))
            del running.lines[:-100]
        assert await running.stop() == 0


async def many_deaths(home: Home, figures: Figures, seconds: float, rng: random.Random) -> None:
    """Daemons that are killed at any moment: alone, or their workers first."""
    loop = asyncio.get_running_loop()
    until_at = loop.time() + seconds
    async with loading(home, figures, rng):
        while loop.time() < until_at:
            with life(home) as process:
                if rng.random() < 0.7:
                    await until(lambda process=process: has_scanned(home, process.pid), 60)
                    figures.torn += torn_lines(home)
                await asyncio.sleep(rng.uniform(0.0, 0.5))
                if rng.random() < 0.3:
                    kill_workers(process.pid)
                    await asyncio.sleep(rng.uniform(0.0, 0.1))
            figures.kills += 1
            for log in home.folder.glob("watch-*.log"):
                log.unlink()


async def soak(home: CountedHome, seconds: float, seed: int) -> Figures:
    figures, rng = Figures(), random.Random(seed)
    await one_life(home, figures, 0.6 * seconds, rng)
    await many_deaths(home, figures, 0.4 * seconds, rng)
    home.sandbox.set_faults(dict.fromkeys(FAULTS, 0.0))
    ran = await home.run("backfill", "--json", seconds=600)
    assert ran.code in (0, 3), ran.err
    assert ran.json["deferred"] == 0
    return figures


def judge(home: Home, figures: Figures) -> str:
    """The figures in words; fails where something was lost, sent twice or torn, or has grown."""
    present = {path: line["event"] for path, line in home.present().items()}
    stats = home.sandbox.stats()
    lost = {name for name, must_be in figures.dropped.items() if present.get(name) != must_be}
    twice = [row for row in stats["created"] if row["created"] != 1]
    figures.torn += torn_lines(home)
    changes = {what: figures.change(what) for what in GROWTH}
    words = [
        f"kills {figures.kills}",
        "faults " + ", ".join(f"{kind} {number}" for kind, number in sorted(stats["faults"].items())),
        f"images {len(figures.dropped)} ({Counter(figures.dropped.values())['quarantined']} of them bad)",
        f"created {stats['created_total']}",
        f"lost {len(lost)}",
        f"twice {len(twice)}",
        f"torn lines {figures.torn}",
        *(f"{what} first {first:.1f}, last {last:.1f}" for what, (first, last) in changes.items()),
    ]
    told = "\n".join(words)
    assert not lost, (sorted(lost)[:10], told)
    assert not twice, (twice[:10], told)
    assert not figures.torn, told
    assert not list(home.inbox.iterdir()), told
    for what, (first, last) in changes.items():
        assert last <= first + GROWTH[what], f"{what} grows\n{told}"
    return told


async def test_under_load_faults_and_kills_nothing_is_lost_sent_twice_or_grows(home: CountedHome) -> None:
    figures = await soak(home, SHORT_SECONDS, seed=1)
    assert figures.kills
    judge(home, figures)


@pytest.mark.soak
async def test_for_a_long_time_nothing_is_lost_sent_twice_or_grows(home: CountedHome, soak_seconds: float) -> None:
    figures = await soak(home, soak_seconds, seed=random.randrange(10**6))
    print("\n" + judge(home, figures))

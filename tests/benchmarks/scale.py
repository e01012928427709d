"""A folder of very many files through the real commands, against the least that looks at each of them: `find`.

python -m tests.benchmarks.scale [--files 1000000] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from ingestor.ledger import SqliteLedger
from ingestor.model import Lane
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import load
from ingestor.stages.discover import DropFolder
from tests.benchmarks import plain_server

PER_DIRECTORY = 5_000
FEW_FILES = 10_000
NOBODY = "http://127.0.0.1:9"
"""An address at which nothing answers: what is found stays in line."""
LONGEST_SECONDS = 900.0
LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="ingestor-bench-", dir=options.folder) as folder,
        plain_server.running() as server,
    ):
        # An API that is away is asked for the time, and waited for: that is no part of looking at files.
        home = Home.of(Path(folder), options.files, base_url=server.url)
        asyncio.run(_know(home))
        print(f"## A folder of {options.files:,} files\n")
        print("Known and live, all of them: nothing is to be done. Medians of runs in turn, each a new process.\n")
        print("| what | seconds | against find | CPU seconds | peak memory | goal |")
        print("|---|---|---|---|---|---|")
        _known(home, options.rounds)
        print()
        few = Home.of(Path(folder) / "few", FEW_FILES)
        _new(few, Home.of(Path(folder) / "many", options.files, tree=home.tree), find_seconds=_find(home.tree).seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to make files; default: the system's temporary folder")
    return parser.parse_args()


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Settings, a tree of files, and where the ledger is."""

    config: Path
    tree: Path
    files: int

    @classmethod
    def of(cls, place: Path, files: int, *, tree: Path | None = None, base_url: str = NOBODY) -> Home:
        place.mkdir(exist_ok=True)
        home = cls(config=place / "ingestor.yaml", tree=tree or place / "tree", files=files)
        document = {
            "api": {"base_url": base_url},
            "folders": [
                # One rescan after the other, so that the second one is seen soon.
                {"path": str(home.tree), "name": "bench", "purpose": "reference", "settle": "0s", "rescan": "1s"}
            ],
            "status": {"listen": None},
            # Passes after the first that find nothing are no news otherwise.
            "log": {"level": "debug"},
        }
        home.config.write_text(yaml.safe_dump(document))
        if tree is None:
            _grow(home.tree, files)
        return home

    @property
    def ledger(self) -> Path:
        return Path(load(self.config, {}).ledger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @classmethod
    def median(cls, costs: list[Cost]) -> Cost:
        return cls(
            seconds=statistics.median(cost.seconds for cost in costs),
            cpu_seconds=statistics.median(cost.cpu_seconds for cost in costs),
            peak_bytes=max(cost.peak_bytes for cost in costs),
        )


# -- known files -----------------------------------------------------------------------------------


def _known(home: Home, rounds: int) -> None:
    from tests.benchmarks.peers import Rclone  # late: it takes Pillow along

    rclone = Rclone()
    copy = home.config.with_name("copy")
    subprocess.run(["cp", "-a", str(home.tree), str(copy)], check=True)
    costs: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        starts, rescans, stops = _watched(home)
        for what, cost in (
            ("`find -printf`", _find(home.tree)),
            ("`ingestor backfill`", _backfill(home)),
            ("`ingestor watch`, until it has looked at all", starts),
            ("its next pass", rescans),
            ("SIGTERM in the midst of a pass, until it has ended", stops),
            (f"`{rclone.name}` to a copy", _rclone(rclone, home.tree, copy)),
        ):
            costs.setdefault(what, []).append(cost)
    goals = {"`ingestor backfill`": "≤ 2.5; ≤ 150 MB", "SIGTERM in the midst of a pass, until it has ended": "≤ 1 s"}
    find = Cost.median(costs["`find -printf`"])
    for what, of in costs.items():
        goal = goals.get(what, "")
        _row(what, Cost.median(of), None if goal == "≤ 1 s" else find.seconds, goal)


def _row(what: str, cost: Cost, find_seconds: float | None, goal: str) -> None:
    cpu = f"{cost.cpu_seconds:.2f}" if cost.cpu_seconds else ""
    peak = f"{cost.peak_bytes / 1e6:.0f} MB" if cost.peak_bytes else ""
    ratio = f"{cost.seconds / find_seconds:.2f}" if find_seconds else ""
    print(f"| {what} | {cost.seconds:.2f} | {ratio} | {cpu} | {peak} | {goal} |", flush=True)


def _find(tree: Path) -> Cost:
    return _run(["find", str(tree), "-type", "f", "-printf", r"%p %D %i %s %T@ %C@\n"])


def _rclone(rclone: Any, tree: Path, copy: Path) -> Cost:
    cost = rclone.copy(tree, copy)
    return Cost(seconds=cost.seconds, cpu_seconds=0.0, peak_bytes=cost.peak_bytes)


def _backfill(home: Home) -> Cost:
    return _run([sys.executable, "-m", "ingestor", "backfill", "--config", str(home.config), "--json"])


def _run(command: list[str]) -> Cost:
    began = time.perf_counter()
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
        peak = 0
        while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, sum(map(_peak_bytes, [process.pid, *_children(process.pid)])))
            time.sleep(LOOK_SECONDS if time.perf_counter() - began > 1 else 0.002)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(done[1])
        if process.returncode:
            complaints.seek(0)
            raise RuntimeError(f"{command[:4]} ended with {process.returncode}: {complaints.read()[-2000:].decode()}")
    return Cost(seconds=seconds, cpu_seconds=done[2].ru_utime + done[2].ru_stime, peak_bytes=peak)


def _peak_bytes(pid: int) -> int:
    # Not `ru_maxrss`: that begins with what the process had that started this one.
    with suppress(OSError, IndexError):
        return 1024 * int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])
    return 0


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def _watched(home: Home) -> tuple[Cost, Cost, Cost]:
    """A daemon's start until it has looked at all files, its next pass, and its end in the midst of the one after."""
    with _daemon(home) as daemon:
        daemon.wait_for("scan_end")
        start = daemon.cost()
        told = daemon.wait_for("scan_end")
        next_pass = Cost(seconds=told["seconds"], cpu_seconds=0.0, peak_bytes=daemon.peak_bytes)
        # The third begins a second after the second's end, and takes as long.
        time.sleep(1.0 + told["seconds"] / 3)
        return start, next_pass, daemon.stopped()


class _Daemon:
    def __init__(self, home: Home) -> None:
        self._log = home.config.with_name("log")
        self._told = 0
        self._began = time.perf_counter()
        with self._log.open("w") as log:
            command = [sys.executable, "-m", "ingestor", "watch", "--config", str(home.config)]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next such event in its log."""
        while time.perf_counter() - self._began < LONGEST_SECONDS:
            ended = self._process.poll() is not None
            with self._log.open() as log:
                log.seek(self._told)
                while (line := log.readline()).endswith("\n"):
                    self._told = log.tell()
                    told: dict[str, Any] = json.loads(line)
                    if told.get("event") == event:
                        return told
            if ended:
                raise RuntimeError(f"watch ended with {self._process.returncode} before {event}")
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"no {event} after {LONGEST_SECONDS:g} s")

    @property
    def peak_bytes(self) -> int:
        return _peak_bytes(self._process.pid)

    def cost(self) -> Cost:
        """From its start until now."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        return Cost(seconds=time.perf_counter() - self._began, cpu_seconds=cpu_seconds, peak_bytes=self.peak_bytes)

    def stopped(self) -> Cost:
        """From SIGTERM until it is gone."""
        began = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=LONGEST_SECONDS)
        if code:
            raise RuntimeError(f"watch ended with {code}")
        return Cost(seconds=time.perf_counter() - began, cpu_seconds=0.0, peak_bytes=0)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def _daemon(home: Home) -> Iterator[_Daemon]:
    daemon = _Daemon(home)
    try:
        yield daemon
    finally:
        daemon.end()


# -- new files -------------------------------------------------------------------------------------


def _new(few: Home, many: Home, *, find_seconds: float) -> None:
    """The first pass over files that nobody knows: all are put in line, and wait for an API that does not answer."""
    print("New, all of them, and an API that does not answer: the first pass of `ingestor watch` puts them in line.\n")
    print("| what | seconds | against find | CPU seconds | peak memory | goal |")
    print("|---|---|---|---|---|---|")
    peaks = []
    for home in (few, many):
        with _daemon(home) as daemon:
            daemon.wait_for("scan_end")
            cost = daemon.cost()
            peaks.append(cost.peak_bytes)
            goal = "" if home is few else f"≤ {1.3 * peaks[0] / 1e6:.0f} MB"
            _row(f"{home.files:,} files", cost, find_seconds if home is many else None, goal)
            stopped = daemon.stopped()
    _row("SIGTERM then, until it has ended", stopped, None, "≤ 1 s")


# -- the tree --------------------------------------------------------------------------------------


def _grow(tree: Path, files: int) -> None:
    for start in range(0, files, PER_DIRECTORY):
        directory = tree / f"{start // PER_DIRECTORY:04d}"
        directory.mkdir(parents=True)
        for number in range(start, min(files, start + PER_DIRECTORY)):
            file = os.open(directory / f"image-{number:07d}.jpg", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(file, b"x")
            os.close(file)


async def _know(home: Home) -> None:
    """A ledger that holds every file of the tree as live: written past the flow, which would take days."""
    path = home.ledger
    path.parent.mkdir(parents=True, exist_ok=True)
    ledger = SqliteLedger(path, SystemClock())
    await ledger.open()
    folder = DropFolder(load(home.config, {}).folders[0])
    async for piece in folder.pieces():
        compared = await ledger.compare(folder.name, piece.directory, piece.marks, whole=piece.whole)
        if compared.strangers:
            await ledger.take(piece.named(compared.strangers), Lane.BACKFILL, None)
    await ledger.close()
    connection = sqlite3.connect(path)
    until = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1e6)
    connection.execute(
        "UPDATE sources SET state = 'done', live_until = ?, content_id = printf('%064x', inode), "
        "listed_content_id = printf('%064x', inode), listed_generation = 0",
        (until,),
    )
    connection.execute(
        "INSERT INTO uploads "
        "(content_id, digest, purpose, metadata, state, generation, file_id, expires_at, changed_at) "
        "SELECT content_id, content_id, 'reference', '{}', 'live', 0, 'file_' || inode, ?, 0 FROM sources",
        (until,),
    )
    connection.commit()
    connection.close()


if __name__ == "__main__":
    main()

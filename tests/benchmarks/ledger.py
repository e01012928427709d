"""Ledger, manifest and the pass over known files, each against the least that could do it. Prints Markdown.

python -m tests.benchmarks.ledger [--files 200000] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ingestor.ledger import SqliteLedger
from ingestor.model import FileIdentity, HistoryEntry, Lane, Purpose, Sighting, SourceFile
from ingestor.settings import FolderSettings
from ingestor.stages.discover import DropFolder
from ingestor.stages.manifest import Manifest, encode, manifest_line

PER_DIRECTORY = 5_000
GROUP = 50
COMMITS = 600
LINES = 600


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def main() -> None:
    options = _options()
    if options.scan:
        _scan_here(Path(options.scan))
        return
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-", dir=options.folder) as folder:
        base = Path(folder)
        print("## Ledger, manifest and scan\n")
        print("| ledger and manifest | ours | plain | ratio |")
        print("|---|---|---|---|")
        _rate("commits, one by one", _changes(base, 1, options.rounds), _plain_commits(base, 1, options.rounds), "/s")
        _rate(
            f"rows, in groups of {GROUP}",
            _changes(base, GROUP, options.rounds),
            _plain_commits(base, GROUP, options.rounds),
            "/s",
        )
        _rate(
            "manifest lines, one by one", _lines(base, 1, options.rounds), _plain_lines(base, 1, options.rounds), "/s"
        )
        _rate(
            f"manifest lines, in groups of {GROUP}",
            _lines(base, GROUP, options.rounds),
            _plain_lines(base, GROUP, options.rounds),
            "/s",
        )
        print()
        _pass_over_known_files(base, options.files, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000, help="files in the tree of known files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to make files; default: the system's temporary folder")
    parser.add_argument("--scan", help=argparse.SUPPRESS)
    return parser.parse_args()


def _rate(what: str, ours: float, plain: float, unit: str) -> None:
    print(f"| {what} | {ours:,.0f}{unit} | {plain:,.0f}{unit} | {ours / plain:.2f} |", flush=True)


def _median_rate(number: int, rounds: int, run: Callable[[], float]) -> float:
    return number / statistics.median(run() for _ in range(rounds))


# -- commits -----------------------------------------------------------------------------------------


def _changes(base: Path, at_once: int, rounds: int) -> float:
    """Rows a second that `take` makes, so many changes waiting at once."""

    async def run() -> float:
        ledger = SqliteLedger(base / f"ours-{at_once}-{time.monotonic_ns()}.db", SystemClock())
        await ledger.open()
        sightings = [_sighting(number) for number in range(COMMITS * (1 if at_once == 1 else 10))]
        began = time.perf_counter()
        for start in range(0, len(sightings), at_once):
            some = sightings[start : start + at_once]
            await asyncio.gather(*(ledger.take([sighting], Lane.FRESH, None) for sighting in some))
        seconds = time.perf_counter() - began
        await ledger.close()
        return len(sightings) / seconds

    return statistics.median(asyncio.run(run()) for _ in range(rounds))


def _plain_commits(base: Path, group: int, rounds: int) -> float:
    """Rows a second that sqlite3 makes in a table of one column more than none, in transactions of `group` rows."""

    def run() -> float:
        connection = sqlite3.connect(base / f"plain-{group}-{time.monotonic_ns()}.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
        number = COMMITS * (1 if group == 1 else 10)
        began = time.perf_counter()
        for start in range(0, number, group):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO rows VALUES (?, ?)", [(f"{start + index}.jpg", "x" * 300) for index in range(group)]
            )
            connection.execute("COMMIT")
        seconds = time.perf_counter() - began
        connection.close()
        return number / seconds

    return statistics.median(run() for _ in range(rounds))


def _sighting(number: int) -> Sighting:
    identity = FileIdentity(device=1, inode=number, size_bytes=1000, mtime_ns=number, ctime_ns=number)
    source = SourceFile(folder="bench", root=Path("/in"), path=f"a/{number}.jpg", identity=identity)
    return Sighting(source=source, context="0123456789abcdef")


# -- manifest ----------------------------------------------------------------------------------------


class _ListOnly:
    """As much of a ledger as a manifest asks."""

    def __init__(self) -> None:
        self.entries: list[HistoryEntry] = []

    def add(self) -> None:
        detail = {
            "source": "/in/a/1.jpg",
            "sha256": "0" * 64,
            "idempotency_key": "ing1-" + "0" * 64,
            "file_id": "file_" + "0" * 26,
            "metadata": {"campaign": "launch-2026"},
        }
        self.entries.append(
            HistoryEntry(
                seq=len(self.entries) + 1,
                at=datetime.now(UTC),
                folder="bench",
                path="a/1.jpg",
                event="uploaded",
                listed=True,
                detail=detail,
            )
        )

    async def lines_after(self, seq: int, limit: int) -> list[HistoryEntry]:
        return self.entries[seq : seq + limit]

    async def line_numbers(self, seq: int, limit: int) -> list[int]:
        return [entry.seq for entry in self.entries[seq : seq + limit]]

    async def start_numbering_after(self, seq: int) -> None:
        return None


def _lines(base: Path, group: int, rounds: int) -> float:
    async def run() -> float:
        ledger = _ListOnly()
        manifest = Manifest(base / f"ours-{time.monotonic_ns()}.jsonl", ledger)  # type: ignore[arg-type]
        await manifest.open()
        number = LINES * (1 if group == 1 else 10)
        began = time.perf_counter()
        for start in range(0, number, group):
            for _ in range(start, start + group):
                ledger.add()
            await manifest.flush()
        return number / (time.perf_counter() - began)

    return statistics.median(asyncio.run(run()) for _ in range(rounds))


def _plain_lines(base: Path, group: int, rounds: int) -> float:
    ledger = _ListOnly()
    ledger.add()
    line = encode(manifest_line(ledger.entries[0]))

    def run() -> float:
        file = os.open(base / f"plain-{time.monotonic_ns()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        number = LINES * (1 if group == 1 else 10)
        began = time.perf_counter()
        for _ in range(0, number, group):
            os.write(file, line * group)
            os.fdatasync(file)
        seconds = time.perf_counter() - began
        os.close(file)
        return number / seconds

    return statistics.median(run() for _ in range(rounds))


# -- a pass over known files -------------------------------------------------------------------------


def _folder(tree: Path) -> DropFolder:
    return DropFolder(FolderSettings(path=tree, name="bench", purpose=Purpose.REFERENCE))


def _pass_over_known_files(base: Path, files: int, rounds: int) -> None:
    tree = base / "tree"
    _grow(tree, files)
    asyncio.run(_know(tree, base / "known.db"))
    found: list[_Cost] = []
    ours: list[_Cost] = []
    memory = 0
    for _ in range(rounds):
        found.append(_cost_of_find(tree))
        told = json.loads(
            subprocess.check_output([sys.executable, "-m", "tests.benchmarks.ledger", "--scan", str(base)])
        )
        assert told["live"] == files, told
        ours.append(_Cost(told["seconds"], told["cpu_seconds"]))
        memory = max(memory, told["peak_bytes"])
    print(f"| a pass over {files:,} known files | seconds | against find | CPU seconds | against find | peak memory |")
    print("|---|---|---|---|---|---|")
    plain = _Cost(*(statistics.median(column) for column in zip(*found, strict=True)))
    our = _Cost(*(statistics.median(column) for column in zip(*ours, strict=True)))
    print(f"| `find -printf` | {plain.wall:.2f} | 1.00 | {plain.cpu:.2f} | 1.00 | |")
    wall, cpu = our.wall / plain.wall, our.cpu / plain.cpu
    print(f"| listing and ledger | {our.wall:.2f} | {wall:.2f} | {our.cpu:.2f} | {cpu:.2f} | {memory / 1e6:.0f} MB |")
    subprocess.run(["cp", "-a", str(tree), str(base / "copy")], check=True)
    from tests.benchmarks.peers import (
        Rclone,  # late: it takes Pillow along, which would be counted as the scan's memory
    )

    rclone = Rclone()
    costs = [rclone.copy(tree, base / "copy") for _ in range(rounds)]
    seconds = statistics.median(cost.seconds for cost in costs)
    peak = max(cost.peak_bytes for cost in costs)
    print(f"| `{rclone.name}` to a copy | {seconds:.2f} | {seconds / plain.wall:.2f} | | | {peak / 1e6:.0f} MB |")


class _Cost(NamedTuple):
    """Seconds of the clock and of the processors: the latter are what a busy machine spoils least."""

    wall: float
    cpu: float


def _grow(tree: Path, files: int) -> None:
    for start in range(0, files, PER_DIRECTORY):
        directory = tree / f"{start // PER_DIRECTORY:04d}"
        directory.mkdir(parents=True)
        for number in range(start, min(files, start + PER_DIRECTORY)):
            os.close(os.open(directory / f"image-{number:07d}.jpg", os.O_WRONLY | os.O_CREAT, 0o600))


async def _know(tree: Path, path: Path) -> None:
    """A ledger that holds every file of the tree as live: written past the flow, which would take hours."""
    ledger = SqliteLedger(path, SystemClock())
    await ledger.open()
    folder = _folder(tree)
    await _walk(folder, ledger, lambda sightings: ledger.take(sightings, Lane.BACKFILL, None))
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


def _cost_of_find(tree: Path) -> _Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        command = ["find", str(tree), "-type", "f", "-printf", r"%p %D %i %s %T@ %C@\n"]
        subprocess.run(command, stdout=nowhere, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _Cost(time.perf_counter() - began, cpu)


async def _walk(folder: DropFolder, ledger: SqliteLedger, strange) -> int:
    """Every file of a folder against the ledger, as a scan does it; how many were known."""
    known = 0
    async for piece in folder.pieces():
        if not piece.marks.by_name:
            continue
        compared = await ledger.compare(folder.name, piece.directory, piece.marks, whole=piece.whole)
        known += len(piece.marks.by_name) - len(compared.strangers)
        if compared.strangers:
            await strange(piece.named(compared.strangers))
    return known


def _scan_here(base: Path) -> None:
    async def run() -> None:
        ledger = SqliteLedger(base / "known.db", SystemClock())
        await ledger.open()
        began, cpu = time.perf_counter(), time.process_time()
        live = await _walk(_folder(base / "tree"), ledger, lambda sightings: asyncio.sleep(0))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        await ledger.close()
        # Not `ru_maxrss`: that begins with what the process had that started this one.
        status = Path("/proc/self/status").read_text()
        peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
        print(json.dumps({"live": live, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak}))

    asyncio.run(run())


if __name__ == "__main__":
    main()

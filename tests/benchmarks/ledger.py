"""Ledger and manifest, each against the least that could do it. Prints Markdown.

python -m tests.benchmarks.ledger [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ingestor.ledger import SqliteLedger
from ingestor.model import FileIdentity, HistoryEntry, Lane, Sighting, SourceFile
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
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-", dir=options.folder) as folder:
        base = Path(folder)
        print("## Ledger and manifest\n")
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to make files; default: the system's temporary folder")
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


if __name__ == "__main__":
    main()

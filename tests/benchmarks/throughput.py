"""What the whole flow costs over a bare loop that reads and posts the same files."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from ingestor.app import assemble
from ingestor.observe.recent import Recent
from ingestor.runtime.backfill import Backfill, Limits, Selection
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.opening import hold_ledger
from ingestor.runtime.parts import Parts
from ingestor.settings import load
from tests.benchmarks import plain_server
from tests.fakes import RecordingObserver
from tests.samples import photograph

AT_ONCE = 8
ROUNDS = 3
DROPS = 40
SETTLE_SECONDS = 0.2


@dataclass(frozen=True)
class Run:
    """One pass over the files."""

    seconds: float
    cpu_seconds: float


def jpegs(folder: Path, count: int, size_bytes: int) -> None:
    """Valid JPEGs of about this size, each of its own content: one picture, and a comment that differs."""
    buffer = io.BytesIO()
    side = 3000 if size_bytes > 1_000_000 else 900
    photograph(side, side * 3 // 4, 1).save(buffer, "JPEG", quality=90)
    picture = buffer.getvalue()
    filling = b"\0" * max(0, size_bytes - len(picture))
    for number in range(count):
        comments = b""
        for start in range(0, len(filling) + 1, 60_000):
            text = b"%08d" % number + filling[start : start + 60_000]
            comments += b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        (folder / f"{number:04}.jpg").write_bytes(picture[:2] + comments + picture[2:])


async def bare_loop(files: list[Path], base_url: str) -> Run:
    """Read and post, nothing else."""
    began, cpu = time.perf_counter(), time.process_time()
    places = asyncio.Semaphore(AT_ONCE)

    async def one(file: Path, session: aiohttp.ClientSession) -> None:
        async with places:
            form = aiohttp.FormData()
            content = await asyncio.to_thread(file.read_bytes)
            form.add_field("file", content, filename=file.name, content_type="image/jpeg")
            form.add_field("purpose", "reference")
            async with session.post(f"{base_url}/v1/files", data=form) as answer:
                await answer.read()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(file, session) for file in files))
    return Run(time.perf_counter() - began, time.process_time() - cpu)


@contextlib.asynccontextmanager
async def ingestor_for(inbox: Path, home: Path, base_url: str, integrity: str = "strict") -> AsyncIterator[Parts]:
    home.mkdir()
    config = home / "ingestor.yaml"
    folder = {"path": str(inbox), "purpose": "reference", "settle": f"{int(SETTLE_SECONDS * 1000)}ms"}
    document = {
        "api": {"base_url": base_url, "quota": {"burst": 1_000_000, "per_minute": 1_000_000}, "concurrency": AT_ONCE},
        "folders": [folder],
        "normalise": {"integrity": integrity},
    }
    config.write_text(yaml.safe_dump(document))
    settings = load(config, {})
    async with (
        hold_ledger(settings, "benchmark") as ledger,
        assemble(
            settings, ledger=ledger, folders=settings.folders, observer=RecordingObserver(), patient=False
        ) as parts,
    ):
        yield parts


async def whole_flow(inbox: Path, home: Path, base_url: str, integrity: str) -> Run:
    async with ingestor_for(inbox, home, base_url, integrity) as parts:
        selections = [Selection(folder=folder) for folder in parts.drop_folders()]
        backfill = Backfill(parts, selections, Limits())
        began, cpu = time.perf_counter(), time.process_time()
        report = await backfill.run()
        run = Run(time.perf_counter() - began, time.process_time() - cpu)
    expected = len(list(inbox.iterdir()))
    assert report.tally.uploaded == expected, report
    return run


async def checks_alone(files: list[Path], home: Path, base_url: str) -> Run:
    """Nothing but the strict check of the same files, in the workers: what it leaves is the most there can be."""
    async with ingestor_for(files[0].parent, home, base_url) as parts:
        images = parts.tools.images
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(images.normalise(file, parts.tools.spool) for file in files))
        return Run(time.perf_counter() - began, time.process_time() - cpu)


async def compare(count: int, size_bytes: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, plain_server.running() as server:
        root = Path(folder)
        inbox = root / "inbox"
        inbox.mkdir()
        jpegs(inbox, count, size_bytes)
        await asyncio.sleep(SETTLE_SECONDS)
        files = sorted(inbox.iterdir())
        runs: dict[str, list[Run]] = {}
        for number in range(ROUNDS):
            bare = await bare_loop(files, server.url)
            headers = await whole_flow(inbox, root / f"header{number}", server.url, "header")
            strict = await whole_flow(inbox, root / f"strict{number}", server.url, "strict")
            checks = await checks_alone(files, root / f"checks{number}", server.url)
            for what, run in (("bare", bare), ("`header`", headers), ("`strict`", strict), ("checks alone", checks)):
                runs.setdefault(what, []).append(run)
    bare_run = _median(runs.pop("bare"))
    return [
        _row(f"{count} x {size_bytes / 1e6:g} MB, {what}", count, bare_run, _median(of)) for what, of in runs.items()
    ]


def _median(runs: list[Run]) -> Run:
    return Run(statistics.median(run.seconds for run in runs), statistics.median(run.cpu_seconds for run in runs))


def _row(what: str, count: int, bare: Run, ours: Run) -> str:
    more = 1000 * (ours.cpu_seconds - bare.cpu_seconds) / count
    return (
        f"| {what} | {count / bare.seconds:.0f} /s | {count / ours.seconds:.0f} /s "
        f"| {bare.seconds / ours.seconds:.2f} | {more:.2f} ms |"
    )


async def latency() -> str:
    """From the end of `settle` to the first byte at the server."""
    os.sync()  # what the parts before have left behind is not waited for in this one
    with tempfile.TemporaryDirectory() as folder, plain_server.running() as server:
        root = Path(folder)
        staging, inbox = root / "staging", root / "inbox"
        staging.mkdir()
        inbox.mkdir()
        jpegs(staging, DROPS, 200_000)
        async with ingestor_for(inbox, root / "home", server.url) as parts:
            daemon = Daemon(parts, Recent(parts.clock))
            running = asyncio.create_task(daemon.run())
            await asyncio.sleep(1.0)
            settled: list[float] = []
            for file in sorted(staging.iterdir()):
                target = inbox / file.name
                target.write_bytes(file.read_bytes())
                settled.append(target.stat().st_ctime + SETTLE_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS + 0.2)
            await asyncio.sleep(0.5)
            daemon.stop()
            await running
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/began") as answer:
            began = sorted((await answer.json(content_type=None))[:-1])
    waits = sorted(at - from_ for from_, at in zip(settled, began, strict=True))
    p50, p95 = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
    return f"| drop to first byte, after `settle` | p50 {1000 * p50:.0f} ms | p95 {1000 * p95:.0f} ms |"


def main() -> None:
    print("## The whole flow against a bare loop\n")
    print(
        "Read and post the same files, 8 at once, to a server that checks nothing; medians of runs in turn, each with"
    )
    print("the start of the workers. `header` and `strict` are what `normalise.integrity` asks for.\n")
    print("| JPEGs, integrity | bare loop | ingestor | ratio | CPU of the process above the loop's, an image |")
    print("|---|---|---|---|---|")
    for count, size_bytes in ((1000, 2_000_000), (4000, 200_000)):
        print("\n".join(asyncio.run(compare(count, size_bytes))), flush=True)
    print("\n## From drop to upload\n\n| what | median | 95 of 100 |\n|---|---|---|")
    print(asyncio.run(latency()))


if __name__ == "__main__":
    main()

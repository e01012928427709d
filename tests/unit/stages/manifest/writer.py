"""A process that uploads to nowhere and writes the manifest: FOLDER MODE, where it runs until it is killed.

MODE is `append`, `compact`, or `append-NUMBER-NAME`, which ends by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from ingestor.ledger import SqliteLedger
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting


async def main(folder: Path, mode: str) -> None:
    clock = FakeClock()
    ledger = SqliteLedger(folder / "ledger.db", clock)
    await ledger.open()
    manifest = Manifest(folder / "manifest.jsonl", ledger)
    await manifest.open()
    kind, _, rest = mode.partition("-")
    number, _, name = rest.partition("-")
    begin = len(await ledger.entries()) if not rest else 0
    walk = Walk(ledger, clock)
    print("writing", flush=True)
    for index in itertools.count(begin) if not number else range(int(number)):
        one, what = sighting(f"{name}{index}.jpg"), content(index, name=name)
        await walk.uploaded(one, what)
        if kind == "compact":
            await walk.renewed(one, what)
        await manifest.flush()
        if kind == "compact" and index % 5 == 0:
            await manifest.compact()
    await ledger.close()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

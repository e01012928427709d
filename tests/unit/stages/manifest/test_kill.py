"""Killed at any moment, in the middle of whatever: the file is never torn for whoever starts next."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingestor.ledger import SqliteLedger
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock
from tests.ledger_kit import empty_ledger_in

KILLS = 4
WRITER = Path(__file__).with_name("writer.py")
ROOT = Path(__file__).parents[4]


def start(folder: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(folder), mode],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


async def whole_again(folder: Path) -> list[tuple[str, str]]:
    """Open the manifest as a start does; event and path of each line, which must be exactly the ledger's."""
    ledger = SqliteLedger(folder / "ledger.db", FakeClock())
    await ledger.open()
    await Manifest(folder / "manifest.jsonl", ledger).open()
    found = [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().split(b"\n")[:-1]]
    assert (folder / "manifest.jsonl").read_bytes().endswith(b"}\n") or not found
    held = {entry.seq: entry for entry in await ledger.lines_after(0, 1_000_000)}
    numbers = [line["seq"] for line in found]
    assert numbers == sorted(set(numbers))
    assert set(held) <= set(numbers)
    for line in found:
        if line["seq"] in held:
            assert (line["path"], line["event"]) == (held[line["seq"]].path, held[line["seq"]].event)
    await ledger.close()
    return [(line["event"], line["path"]) for line in found]


@pytest.mark.parametrize("mode", ["append", "compact"])
async def test_a_writer_killed_at_random_leaves_a_manifest_that_is_whole_after_the_next_start(
    tmp_path: Path, mode: str
) -> None:
    empty_ledger_in(tmp_path)
    chance = random.Random(7)
    lines = 0
    for _ in range(KILLS):
        process = start(tmp_path, mode)
        time.sleep(chance.uniform(0.01, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = await whole_again(tmp_path)
        last = {path: event for event, path in found}
        assert len(last) >= lines
        lines = len(last)
    assert lines > 0


async def test_two_processes_that_append_write_each_line_once(tmp_path: Path) -> None:
    empty_ledger_in(tmp_path)
    processes = [start(tmp_path, f"append-40-{number}") for number in range(2)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    before = (tmp_path / "manifest.jsonl").read_bytes()
    found = await whole_again(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_bytes() == before
    assert len(found) == 80
    assert len(set(found)) == 80

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ingestor.images import heap

KEPT = """
import os, sys
from pathlib import Path
from ingestor.images import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

freed = [bytearray(100_000) for _ in range(400)]
last = bytearray(100_000)
for piece in freed:
    piece[:] = b"x" * len(piece)
del piece, freed
before = resident()
heap.give_back(pixels=100_000_000)
print(before - resident())
"""


# Of musl and of macOS there is nothing to test; glibc, on which CI runs, has it.
@pytest.mark.skipif(heap._trim is None, reason="this C library has no malloc_trim")
def test_what_was_freed_goes_back_to_the_system():
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, env=environment, timeout=60)
    assert int(done.stdout) > 30_000_000, done.stderr


def test_a_c_library_that_cannot_give_back_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap, "_trim", None)
    heap.give_back(pixels=100_000_000)

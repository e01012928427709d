"""How a command's process ends."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from ingestor.cli.common import run

class Ring:
    def __init__(self):
        self.me = self

    def __del__(self):
        print("looked through")

async def work():
    Ring()

run(work())
print("done")
"""


def test_on_its_way_out_nothing_is_looked_through_for_what_nobody_needs() -> None:
    """That took the daemon longer than all that it has to end: a third of a second, and more on a busy machine."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert ended.stdout == "done\n"

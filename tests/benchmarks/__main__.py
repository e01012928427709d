"""`make bench`: all benchmarks in turn, each against a peer or a limit that is measured in the same run.

What they print goes to tests/benchmarks/report.md as well, with a plot. `python -m tests.benchmarks NAME...` runs some
of them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import platform
import sqlite3
import sys
import time
from importlib import metadata

from tests.benchmarks import report

BENCHMARKS = ("throughput", "ledger", "scale", "quota", "images", "folder")


class _Both(io.TextIOBase):
    """To the terminal and into memory."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return self.text.write(text)


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    sys.argv = sys.argv[:1]
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    os.environ.setdefault("AUROUS_API_KEY", "al_live_benchmark")
    both = _Both()
    with contextlib.redirect_stdout(both):
        libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("aiohttp", "sqlalchemy", "pillow"))
        day = time.strftime("%Y-%m-%d", time.gmtime())
        print(f"# Benchmarks\n\n{day}, {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()},")
        print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {libraries}.")
        print("Load average at the start: {:.1f}, {:.1f}, {:.1f}.".format(*os.getloadavg()))
        print("Machines differ: the ratios, measured in one run, are what counts.\n")
        for name in wanted:
            importlib.import_module(f"tests.benchmarks.{name}").main()
            print()
    if wanted == list(BENCHMARKS):
        report.write(both.text.getvalue())
        sys.stderr.write(f"written to {report.PAGE}\n")


if __name__ == "__main__":
    main()

"""`ingestor watch` in processes that begin with everything imported: a thousand of them can be killed in minutes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.home import Home
from tests.warm import CONTEXT


@contextlib.contextmanager
def life(home: Home) -> Iterator[ForkServerProcess]:
    """A daemon that has just been started; killed, if it still runs when the block ends."""
    process = CONTEXT.Process(target=_watch, args=(str(home.config), home.environment), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def _watch(config: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(Path(config).parent)
    os.dup2(os.open(f"watch-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT, 0o600), 2)
    from ingestor.cli.exits import guarded
    from ingestor.cli.watch import command

    guarded(lambda: command(Path(config)))


def has_scanned(home: Home, pid: int) -> bool:
    """Whether a daemon is past its first scan."""
    log = home.folder / f"watch-{pid}.log"
    return log.exists() and '"scan_end"' in log.read_text()


def kill_workers(pid: int) -> None:
    for child in children_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, such as its image workers."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in listed.split()]

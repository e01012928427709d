"""`ingestor watch` in processes that begin with everything imported: a thousand of them can be killed in minutes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ingestor import failpoints
from ingestor.failpoints import VARIABLE
from tests.home import Home, Ran

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("ingestor.app", "ingestor.cli", "ingestor.cli.backfill", "ingestor.cli.screen", "ingestor.cli.watch"),
        *("ingestor.files_api.line", "ingestor.observe.logs", "ingestor.page", "ingestor.runtime.daemon"),
        *("ingestor.stages.manifest", "tenacity", "tests.faults.forked"),
    ]
)


@contextlib.contextmanager
def life(home: Home) -> Iterator[ForkServerProcess]:
    """A daemon that has just been started; killed, if it still runs when the block ends."""
    process = _CONTEXT.Process(target=_watch, args=(str(home.config), home.environment), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


async def run(home: Home, *arguments: str, failpoint: str = "") -> Ran:
    """`ingestor ARGUMENTS -c SETTINGS`, to its end; it dies at `failpoint`, where there is one."""
    command = [*arguments, "-c", str(home.config)]
    environment = {**home.environment, **({VARIABLE: failpoint} if failpoint else {})}
    process = _CONTEXT.Process(target=_run, args=(command, environment, str(home.folder)), daemon=True)
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode is not None, "it does not end"
    out, err = (home.folder / "run.out").read_text(), (home.folder / "run.err").read_text()
    return Ran(process.exitcode, out, err)


def _run(arguments: list[str], environment: Mapping[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for name, descriptor in (("run.out", 1), ("run.err", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    importlib.reload(failpoints)  # it has looked at the environment when it was imported
    sys.argv[1:] = arguments
    from ingestor.cli import main

    main()


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

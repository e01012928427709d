"""`ingestor` as processes that begin with everything imported: on two cores a suite waits for imports most of the time.

Each is a process of its own, with its own descriptors, signals and end, forked from a server that has imported the
program and done nothing else.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from ingestor import failpoints

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("alembic.command", "alembic.script", "ingestor.app", "ingestor.cli.program", "ingestor.cli.backfill"),
        *("ingestor.cli.checks", "ingestor.cli.explaining", "ingestor.cli.plan_text", "ingestor.cli.planned"),
        *("ingestor.cli.screen", "ingestor.runtime.selecting", "ingestor.cli.standing", "ingestor.cli.standing_text"),
        *(
            "ingestor.engines.cluster",
            "ingestor.files_api.line",
            "ingestor.ledger.copying",
            "ingestor.ledger.postgres.ledger",
        ),
        *("ingestor.observe.logs", "ingestor.page", "ingestor.runtime.cluster", "ingestor.runtime.daemon"),
        *("ingestor.runtime.worker", "ingestor.stages.manifest", "procrastinate", "psycopg_pool"),
        *("sqlalchemy.dialects.postgresql.psycopg", "tests.warm"),
    ]
)
_END = 65536


class WarmProcess:
    """What tests use of `asyncio.subprocess.Process`."""

    def __init__(self, process: ForkServerProcess, stdin: int, out: asyncio.StreamReader, err: asyncio.StreamReader):
        assert process.pid is not None
        self.pid: int = process.pid
        self.returncode: int | None = None
        self.stdout = out
        self.stderr = err
        self._process = process
        self._stdin: int | None = stdin
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self.returncode = self._process.exitcode
        self._process.close()
        self._close_stdin()
        self._ended.set()

    def _close_stdin(self) -> None:
        stdin, self._stdin = self._stdin, None
        if stdin is not None:
            os.close(stdin)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(9)

    async def communicate(self, stdin: bytes) -> tuple[bytes, bytes]:
        reading = asyncio.gather(self.stdout.read(), self.stderr.read())
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(stdin), _END):
                assert self._stdin is not None
                await asyncio.to_thread(os.write, self._stdin, stdin[start : start + _END])
        self._close_stdin()
        out, err = await reading
        await self.wait()
        return out, err


async def start(arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> WarmProcess:
    """`ingestor ARGUMENTS` in `folder`."""
    (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
    # Descriptors are passed on as what multiprocessing knows to pass on.
    theirs = [Connection(stdin, writable=False), Connection(stdout, readable=False), Connection(stderr, readable=False)]
    process = CONTEXT.Process(target=_run, args=(list(arguments), dict(environment), folder, *theirs), daemon=True)
    await asyncio.to_thread(process.start)  # the first one waits for the server's imports
    for end in theirs:
        end.close()
    return WarmProcess(process, to_stdin, await _reader(from_stdout), await _reader(from_stderr))


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader


def _run(arguments: list[str], environment: Mapping[str, str], folder: str, *streams: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    importlib.reload(failpoints)  # it has looked at the environment when it was imported
    from ingestor import __main__
    from ingestor.cli import main

    sys.argv = [__main__.__file__, *arguments]
    try:
        main()
    finally:
        atexit._run_exitfuncs()

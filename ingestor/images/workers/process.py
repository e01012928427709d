"""One worker process, as the daemon sees it: started, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import ingestor
from ingestor.disk.programs import ENVIRONMENT
from ingestor.images.workers import wire
from ingestor.images.workers.confine import hide_from_workers
from ingestor.ports import NormaliseRules

START_SECONDS = 30.0
"""A worker that is not ready by then is taken for dead: imports take 0.2 s, on a loaded machine a few."""

_ENVIRONMENT = {
    **ENVIRONMENT,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Whole pictures go back to the system the moment they are freed: a third less memory at the peak, nearly none when
    # idle. Buffers are kept for the next use, and pictures come in huge pages: else a fifth of all time goes into
    # handing out pages.
    "MALLOC_MMAP_THRESHOLD_": str(3 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024),
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

_LAUNCH = "import sys; sys.path[:] = {path!r}; from {entry} import main; main()"


class WorkerDied(Exception):
    """The process ended, was killed, or answered nonsense."""


class WorkerHung(WorkerDied):
    """It gave no answer in time, and was not at work: stopped, waiting, or its answer was not listened to."""


class SourceFailed(WorkerDied):
    """It was reading a file that became shorter, or could not be read any further: SIGBUS, mmap(2)."""


class WorkerNotStarted(Exception):
    """A process could not be started or did not get ready: the machine's fault, never an image's."""


class WorkerProcess:
    """A worker that is ready for images, one at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        answers: asyncio.StreamReader,
        tasks: asyncio.StreamWriter,
        complaints: int,
    ) -> None:
        self._process = process
        self._answers = answers
        self._tasks = tasks
        self._complaints = complaints
        self.refused: tuple[str, ...] = ()
        """What it could not give up: see `confine`."""
        self.images = 0
        """How many it has been asked for."""
        self._worked_before = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def has_hung_up(self) -> bool:
        """Whether its end was noticed: costs nothing, where asking the system is one more wait for the interpreter."""
        return self._answers.at_eof()

    @property
    def worked_seconds(self) -> float:
        """How long it has had a processor since it was asked: never grows while it is stopped, or waits."""
        return _processor_seconds(self.pid) - self._worked_before

    @classmethod
    async def start(
        cls, rules: NormaliseRules, memory_bytes: int, entry: str, spool: Path | None = None
    ) -> WorkerProcess:
        """A worker that has said it is ready; it writes in `spool` alone. Raises `WorkerNotStarted`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        # Whatever libraries print goes nowhere near our own stderr, yet the last words of a dead worker are kept.
        complaints = os.memfd_create("complaints") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
        try:
            with theirs:
                process = _launch(theirs.fileno(), complaints, rules, memory_bytes, entry, spool)
        except OSError as error:
            ours.close()
            os.close(complaints)
            raise WorkerNotStarted(f"no worker process can be started: {error}") from error
        # A stream stays registered with the loop: reading from the bare socket costs six system calls an answer.
        worker = cls(process, *await asyncio.open_connection(sock=ours), complaints)
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await worker._receive()
            worker.refused = tuple(str(what) for what in ready["refused"])
        except (WorkerDied, TimeoutError, KeyError, TypeError) as error:
            words = worker.last_words()
            await worker.end()
            raise WorkerNotStarted(f"a worker process did not start: {words or str(error) or 'no answer'}") from error
        except BaseException:
            await worker.end()
            raise
        return worker

    async def ask(self, task: wire.Message) -> wire.Message:
        """The answer to a task. Raises `WorkerDied`; when cancelled, the process must be ended by the caller."""
        self.images += 1
        self._worked_before = _processor_seconds(self.pid)
        # One that has died shows it where the answer is awaited.
        self._tasks.write(wire.pack(task))
        return await self._receive()

    async def _receive(self) -> wire.Message:
        try:
            header = await self._answers.readexactly(wire.LENGTH.size)
            return wire.unpack(await self._answers.readexactly(wire.body_length(header)))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise await self._how_it_ended() from error
        except ValueError as error:
            raise WorkerDied(f"it answered nonsense ({error})") from error

    async def _how_it_ended(self) -> WorkerDied:
        code = await self._reap(2.0)
        if code is None:
            return WorkerDied("it closed its channel")
        if code < 0:
            with contextlib.suppress(ValueError):
                kind = SourceFailed if -code == signal.SIGBUS else WorkerDied
                return kind(f"killed by {signal.Signals(-code).name}")
        return WorkerDied(f"exit code {code}")

    def last_words(self) -> str:
        """The last line that it wrote to its stderr; empty if none."""
        try:
            size = os.fstat(self._complaints).st_size
            text = os.pread(self._complaints, 2048, max(0, size - 2048)).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = text.strip().splitlines()
        return lines[-1][:300] if lines else ""

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()

    async def end(self) -> None:
        """Kill it and wait until it is gone. Never raises; may be called again, but not while an answer is awaited."""
        self.kill()
        self._tasks.close()
        with contextlib.suppress(OSError):
            os.close(self._complaints)
        self._complaints = -1
        await self._reap(5.0)

    async def _reap(self, seconds: float) -> int | None:
        """The exit code; None while it lives still (a process in a hanging disk call outlives even SIGKILL)."""
        pause = 0.0005
        while (code := self._process.poll()) is None and seconds > 0:
            await asyncio.sleep(pause)
            seconds -= pause
            pause = min(0.02, pause * 2)
        return code


def _processor_seconds(pid: int) -> float:
    """All that a process has had so far; 0 where the system does not tell.

    By the clock that clock_getcpuclockid(3) names: one system call, where reading `/proc` takes three and rounds.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except (OSError, OverflowError):
        return 0.0


def _launch(
    channel: int, complaints: int, rules: NormaliseRules, memory_bytes: int, entry: str, spool: Path | None
) -> subprocess.Popen[bytes]:
    """Start the interpreter with a clean environment.

    Not from a helper thread: the kernel ties "dies with its parent" to the thread that started the process.
    """
    path = [entry_ for entry_ in sys.path if entry_]
    root = str(Path(ingestor.__file__).resolve().parents[1])
    settings = {"rules": asdict(rules), "memory_bytes": memory_bytes, "spool": spool and wire.path_to_text(spool)}
    launch = _LAUNCH.format(path=[root, *path], entry=entry)
    hide_from_workers()
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", launch, str(channel), str(os.getpid()), json.dumps(settings)],
        pass_fds=[channel],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )

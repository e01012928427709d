"""`ImagePool`: images made fit in worker processes, each of which takes only its own image with it when it dies.

Processes of our own rather than pebble's, after trying both: pebble gives its workers our environment (key
included), has them import the caller's `__main__`, unpickles what they answer, and breaks for good when an idle
worker is killed. Here a slot is one process and one socket; a lost one is replaced, and nothing else notices.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import time
from pathlib import Path

from ingestor.errors import ImageRejected, ImageWorkerLost, SourceNotReady
from ingestor.images.workers import answers
from ingestor.images.workers.gate import Gate
from ingestor.images.workers.process import SourceFailed, WorkerDied, WorkerHung, WorkerNotStarted, WorkerProcess
from ingestor.images.workers.wire import Message, path_to_text
from ingestor.model import Payload
from ingestor.policy.formats import FILE_SUFFIX
from ingestor.policy.sizing import worker_memory_bytes
from ingestor.ports import NormaliseRules

IMAGES_PER_WORKER = 1000
"""Then it is replaced, so that whatever a library leaks has an end. A start costs 0.25 s."""

AT_WORK = 0.95
"""Of its time a worker has had a processor: then the image is what took so long, and no second try is needed."""

SPOOL_PREFIX = "ingest-"


class ImagePool:
    """The `ImageWorker` of the program. Processes start when first needed; `close()` leaves none behind.

    `workers=0` means one for each core. `memory_bytes` is each one's address space, by default enough for
    `rules.max_pixels`. `spool` is the only folder in which they can write; without it they are not kept from others.
    `entry` names the module whose `main()` runs in them.
    """

    def __init__(
        self,
        rules: NormaliseRules,
        *,
        workers: int = 0,
        image_timeout_seconds: float = 60.0,
        memory_bytes: int | None = None,
        spool: Path | None = None,
        entry: str = "ingestor.images.workers.worker",
    ) -> None:
        self.rules = rules
        self.max_pixels = rules.max_pixels
        self.workers = workers or _cores()
        self.image_timeout_seconds = image_timeout_seconds
        self.memory_bytes = memory_bytes or worker_memory_bytes(rules.max_pixels)
        self._spool = spool
        self._entry = entry
        self._gate = Gate(self.workers)
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._closed = False
        self._name, self._numbers = secrets.token_hex(12), itertools.count()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The processes there are now."""
        return tuple(sorted(worker.pid for worker in {*self._idle, *self._busy} if worker.is_alive))

    @property
    def confinement(self) -> tuple[str, ...]:
        """What workers could not give up on this machine, in words; empty where the confinement is complete."""
        return tuple(sorted({what for worker in {*self._idle, *self._busy} for what in worker.refused}))

    async def warm_up(self) -> None:
        """Start all workers now, and not with the first images. Raises `ImageWorkerLost`."""
        async with self._gate.alone():
            missing = self.workers - len(self._idle)
            self._idle += await asyncio.gather(*(self._start() for _ in range(missing)))

    async def normalise(self, source: Path, spool: Path) -> Payload:
        stem = spool / f"{SPOOL_PREFIX}{self._name}-{next(self._numbers)}"
        try:
            task = {"do": "normalise", "source": path_to_text(source), "spool_stem": path_to_text(stem)}
            return await self._twice(task, source, stem)
        except BaseException:
            _remove_spool_files(stem)
            raise

    async def inspect(self, source: Path) -> Payload:
        return await self._twice({"do": "inspect", "source": path_to_text(source)}, source, Path())

    async def close(self) -> None:
        self._closed = True
        idle, self._idle = self._idle, []
        for worker in self._busy:
            # Killed, not ended: whoever waits for its answer has to hear of it, and then ends it.
            worker.kill()
        await asyncio.gather(*(worker.end() for worker in idle))
        async with self._gate.alone():
            return

    async def _twice(self, task: Message, source: Path, stem: Path) -> Payload:
        """The payload; if a worker dies of the image or hangs, a second try with nothing else running decides.

        A hang may be the machine's: the program or the worker was stopped (Ctrl-Z, `docker pause`, a frozen virtual
        machine), or a read from the network stalled.
        """
        try:
            async with self._gate.shared():
                return await self._once(task, source, stem, fresh=False)
        except WorkerDied:
            _remove_spool_files(stem)
        async with self._gate.alone():
            try:
                return await self._once(task, source, stem, fresh=True)
            except WorkerHung as hang:
                raise self._took_too_long(source, "twice, the second time with nothing else running") from hang
            except SourceFailed as failure:
                raise SourceNotReady(
                    "busy", f"{source.name}: cannot be read just now; its disk fails, or it becomes shorter"
                ) from failure
            except WorkerDied as death:
                raise ImageRejected(
                    "crashed",
                    f"{source.name}: a worker died of it twice ({death}), the second time with nothing else "
                    "running; the file is likely to be damaged: export it anew",
                ) from death

    async def _once(self, task: Message, source: Path, stem: Path, *, fresh: bool) -> Payload:
        worker = await self._start() if fresh else await self._idle_or_new()
        self._busy.add(worker)
        sound = False
        try:
            async with asyncio.timeout(self.image_timeout_seconds):
                answer = await worker.ask(task)
            # After "memory" the process is sound but its heap is not: a fresh one starts with all of its memory. After
            # "disk" a fresh one may write in the folder that has by now the spool's name.
            is_usable = answer.get("reason") != "memory" and answer.get("end") != "disk"
            sound = is_usable and worker.images < IMAGES_PER_WORKER
            return answers.to_payload(answer, source, stem)
        except TimeoutError as error:
            if worker.worked_seconds >= AT_WORK * self.image_timeout_seconds:
                raise self._took_too_long(source, "of work") from error
            raise WorkerHung(f"no answer after {self.image_timeout_seconds:g} s") from error
        except (KeyError, TypeError, ValueError) as error:
            sound = False
            raise WorkerDied(f"it answered nonsense ({error!r})") from error
        except WorkerDied as death:
            if self._closed:
                raise ImageWorkerLost(f"{source.name}: the image workers were closed", solitary=fresh) from death
            raise
        finally:
            await self._put_back(worker, sound=sound)

    def _took_too_long(self, source: Path, how: str) -> ImageRejected:
        return ImageRejected(
            "timeout",
            f"{source.name}: not done after {self.image_timeout_seconds:g} s {how}; make the image smaller, or raise "
            "normalise.image_timeout",
        )

    async def _idle_or_new(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if not worker.has_hung_up:
                return worker
            await worker.end()
        return await self._start()

    async def _put_back(self, worker: WorkerProcess, *, sound: bool) -> None:
        self._busy.discard(worker)
        if sound and not self._closed and len(self._idle) < self.workers:
            self._idle.append(worker)
        else:
            # Shielded: a caller that is cancelled a second time must not leave a process behind.
            await asyncio.shield(asyncio.ensure_future(worker.end()))

    async def _start(self) -> WorkerProcess:
        if self._closed:
            raise ImageWorkerLost("the image workers are closed", solitary=False)
        try:
            worker = await WorkerProcess.start(self.rules, self.memory_bytes, self._entry, self._spool)
        except WorkerNotStarted as error:
            raise ImageWorkerLost(str(error), solitary=False) from error
        if self._closed:
            await worker.end()
            raise ImageWorkerLost("the image workers are closed", solitary=False)
        return worker


def clear_spool(spool: Path, *, older_than_seconds: float = 3600.0) -> int:
    """Remove what a killed daemon left in its spool; returns how many files. Younger ones may be in use."""
    removed = 0
    for file in spool.glob(f"{SPOOL_PREFIX}*"):
        try:
            if time.time() - file.lstat().st_mtime >= older_than_seconds:
                file.unlink()
                removed += 1
        except OSError:
            continue
    return removed


def _remove_spool_files(stem: Path) -> None:
    for suffix in FILE_SUFFIX.values():
        stem.with_suffix(suffix).unlink(missing_ok=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

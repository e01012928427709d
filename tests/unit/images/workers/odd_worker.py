"""A worker like the real one, but for what it does to images whose names ask for it."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ingestor.images.workers import wire, worker


def main() -> None:
    real = worker.answer

    def answer(task: wire.Message, rules: object) -> wire.Message:
        name = wire.path_from_text(task["source"]).name
        wish = _WISHES.get(name.split(".")[0])
        return wish(task) if wish else real(task, rules)  # type: ignore[arg-type]

    worker.answer = answer  # type: ignore[assignment]
    worker.main()


def _segfault(task: wire.Message) -> wire.Message:
    ctypes.string_at(0)
    return task


def _abort(task: wire.Message) -> wire.Message:
    os.abort()


def _leave(task: wire.Message) -> wire.Message:
    sys.stderr.write("a library's last words\n")
    sys.stderr.flush()
    os._exit(3)


def _hang(task: wire.Message) -> wire.Message:
    time.sleep(3600)
    return task


def _hoard(task: wire.Message) -> wire.Message:
    try:
        hoard = []
        while True:
            hoard.append(bytearray(50_000_000))
    except MemoryError:
        del hoard
        return {"end": "rejected", "reason": "memory", "message": "too much"}


def _once(task: wire.Message) -> wire.Message:
    mark = _mark(task)
    if not mark.exists():
        mark.touch()
        os.abort()
    return {"end": "not_ready", "reason": "busy", "message": "lived the second time"}


def _stop(task: wire.Message) -> wire.Message:
    mark = _mark(task)
    if not mark.exists():
        mark.touch()
        signal.raise_signal(signal.SIGSTOP)
    return {"end": "not_ready", "reason": "busy", "message": "went on the second time"}


def _shrink(task: wire.Message) -> wire.Message:
    with _mark(task).open("w+b") as file:
        file.write(bytes(mmap.PAGESIZE))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as mapped:
            file.truncate(0)
            return {"end": "not_ready", "reason": "busy", "message": str(mapped[0])}


def _mark(task: wire.Message) -> Path:
    """A file in the spool, the only folder in which a worker can leave one."""
    return wire.path_from_text(task["spool_stem"]).with_name("tried")


def _burn(task: wire.Message) -> wire.Message:
    while True:
        pass


def _nonsense(task: wire.Message) -> wire.Message:
    return {"end": "payload", "file": "/etc/passwd", "is_source": False}


def _confess(task: wire.Message) -> wire.Message:
    """What this process could still do, as a message."""
    told = {"environment": sorted(os.environ), "descriptors": len(os.listdir("/proc/self/fd"))}
    for what, tried in _TRIED.items():
        try:
            tried(wire.path_from_text(task["source"]))
            told[what] = "possible"
        except OSError as error:
            told[what] = error.strerror or "refused"
    return {"end": "not_ready", "reason": "busy", "message": repr(told)}


def _connect(source: Path) -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1).close()


def _run_a_program(source: Path) -> None:
    subprocess.run(["/bin/true"], check=True)


def _fork(source: Path) -> None:
    if not os.fork():
        os._exit(0)


def _read_the_secrets_of_the_daemon(source: Path) -> None:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


_TRIED = {
    "network": _connect,
    "programs": _run_a_program,
    "processes": _fork,
    "secrets": _read_the_secrets_of_the_daemon,
    "files": Path.unlink,
}


_WISHES = {
    "segfault": _segfault,
    "abort": _abort,
    "leave": _leave,
    "hang": _hang,
    "hoard": _hoard,
    "once": _once,
    "stop": _stop,
    "shrink": _shrink,
    "burn": _burn,
    "nonsense": _nonsense,
    "confess": _confess,
}

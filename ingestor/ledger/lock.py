"""The right to ingest with a ledger: one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path

from ingestor.disk import disk_fault
from ingestor.errors import LedgerHeld

_TRIES = 5
_BETWEEN_TRIES_SECONDS = 0.02
"""`holder_of` looks by holding the lock for a moment itself."""


class LedgerLock:
    """One process at a time. Readers and operators' commands do without."""

    def __init__(self, ledger: Path, what: str) -> None:
        self._path = _lock_path(ledger)
        self._what = what
        self._file: int | None = None

    def acquire(self) -> None:
        """Raises `LedgerHeld`, which names the holder, and `DiskFault`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._lock(file)
                os.ftruncate(file, 0)
                os.write(file, f"{self._what}, process {os.getpid()} on {socket.gethostname()}\n".encode())
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            raise disk_fault(self._path, error) from error
        self._file = file

    def _lock(self, file: int) -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_BETWEEN_TRIES_SECONDS)
        raise LedgerHeld(
            f"another ingestor holds this ledger: {_name_in(file)} ({self._path}); stop it, or name another ledger"
        )

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def held(self) -> bool:
        return self._file is not None


def holder_of(ledger: Path) -> str | None:
    """Who holds a ledger now, in words; None if nobody does. Raises `DiskFault` where that cannot be told."""
    path = _lock_path(ledger)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _name_in(file)
    finally:
        os.close(file)
    return None


def _lock_path(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".lock")


def _name_in(file: int) -> str:
    return os.pread(file, 1000, 0).decode("utf-8", "replace").strip() or "unknown"

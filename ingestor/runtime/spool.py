"""A folder for images that were made fit, for each process where several share one: none clears another's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"


@contextlib.contextmanager
def own_spool(spool: Path) -> Iterator[Path]:
    """A new folder in `spool`, removed at the end; those of processes that are gone are removed too."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(spool)
    own = spool / secrets.token_hex(8)
    own.mkdir(mode=0o700)
    lock = os.open(own / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(lock)


def _clear(spool: Path) -> None:
    for folder in spool.iterdir():
        if folder.is_dir() and _is_forsaken(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_forsaken(folder: Path) -> bool:
    """Whether nobody holds its lock; one that has none yet is being made."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)

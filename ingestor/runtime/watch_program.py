"""File events of one folder, by watchfiles: what is asked of it, and the same as a program of its own.

watchfiles looks at every file below a folder before it watches it, and holds the interpreter meanwhile: seconds, with a
million files. So large folders are watched by `python -I watch_program.py`, which imports nothing of ours. It writes
frames, each after its length: once `READY`; for each batch of events `PATHS` and these; or `ERROR` and what it was.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Iterable

from watchfiles import Change, watch

STEP_MS = 1
DEBOUNCE_MS = 50
"""A rename or close is seen after 2 ms so (LIMITS.md)."""

LENGTH = struct.Struct("<I")
READY, PATHS, ERROR = b"R", b"P", b"E"
BETWEEN = "\0"
"""Paths: no path has it."""

_TURN_MS = 1000
"""After the first such turn, or the first event, all is known to be watched."""


def paths_of(batch: Iterable[tuple[Change, str]], root: str | os.PathLike[str]) -> set[str]:
    """What may be there, relative to the root."""
    return {os.path.relpath(path, root) for kind, path in batch if kind is not Change.deleted} - {"."}


def main() -> None:
    """`watch_program.py ROOT RECURSIVE`, until nobody holds its input any more."""
    root, recursive = sys.argv[1], sys.argv[2] == "1"
    threading.Thread(target=_end_with_who_asked, daemon=True).start()
    try:
        is_ready = False
        for batch in watch(
            root,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=_TURN_MS,
            yield_on_timeout=True,
            recursive=recursive,
            ignore_permission_denied=False,
            force_polling=False,
        ):
            if not is_ready:
                is_ready = True
                _write(READY)
            if paths := paths_of(batch, root):
                _write(PATHS + os.fsencode(BETWEEN.join(paths)))
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None) or 0
        _write(ERROR + f"{type(error).__name__}{BETWEEN}{number}{BETWEEN}{error}".encode("utf-8", "backslashreplace"))


def _end_with_who_asked() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _write(frame: bytes) -> None:
    sys.stdout.buffer.write(LENGTH.pack(len(frame)) + frame)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

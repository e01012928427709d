"""File events of one folder as relative paths: a hint, never the truth (DESIGN.md, decision 10)."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from ingestor.policy.file_systems import events_may_lie, file_system_type
from ingestor.runtime.watch_program import DEBOUNCE_MS, STEP_MS, paths_of

_IN_DELETE_SELF = 0x400

WATCHES_SYSCTL = "fs.inotify.max_user_watches"
INSTANCES_SYSCTL = "fs.inotify.max_user_instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchMode:
    """How a folder is watched, and why; `degraded`: events were wanted and cannot be had."""

    mode: str
    """`native` or `poll`."""
    why: str
    degraded: bool = False


class EventsUnavailable(Exception):
    """The system gives no (more) events for this folder; the text says why, and which setting of it helps."""


def choose_mode(root: Path, wanted: str) -> WatchMode:
    """`wanted` is the setting `watch`."""
    if wanted != "auto":
        return WatchMode(mode=wanted, why="as the setting `watch` says")
    kind = _file_system_of(root)
    if kind is not None and events_may_lie(kind):
        return WatchMode(mode="poll", why=f"{root} is on {kind}, where changes made elsewhere give no events")
    return WatchMode(mode="native", why="a local file system")


def _file_system_of(root: Path) -> str | None:
    try:
        device = root.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return file_system_type(mounts, f"{os.major(device)}:{os.minor(device)}")


async def changes(root: Path, *, recursive: bool, stop: asyncio.Event) -> AsyncGenerator[set[str]]:
    """Sets of changed paths, relative to `root`. Raises `EventsUnavailable`; ends when `stop` is set."""
    try:
        events = awatch(
            root,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=stop,
            recursive=recursive,
            # With True, a directory that cannot be watched leaves others unwatched as well, and nobody says so: one
            # that may not be read, or all of them when the system's limit is reached.
            ignore_permission_denied=False,
            force_polling=False,
        )
        async with aclosing(events):
            async for batch in events:
                yield paths_of(batch, root)
    except FileNotFoundError as error:
        raise EventsUnavailable(f"{root} is not there") from error
    except (OSError, RuntimeError) as error:
        raise EventsUnavailable(why_no_events(error)) from error


def why_no_events(error: OSError | RuntimeError) -> str:
    """The limit that was met, and what raises it."""
    text, code = str(error), getattr(error, "errno", None)
    if code == errno.ENOSPC or "os error 28" in text or "file watch limit" in text:
        return f"the limit of inotify watches is reached; raise it: sysctl {WATCHES_SYSCTL}=1048576"
    if code == errno.EMFILE or "os error 24" in text or "Too many open files" in text:
        return f"the limit of inotify instances or open files is reached; raise it: sysctl {INSTANCES_SYSCTL}=1024"
    if isinstance(error, PermissionError):
        return f"a directory may not be read: {text}"
    return f"no events: {text}"


def check_room() -> None:
    """Whether one more directory could be watched: of those that appear beyond the limit nobody tells. inotify(7).

    Raises `EventsUnavailable`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        raise EventsUnavailable(why_no_events(OSError(ctypes.get_errno(), "")))
    try:
        if libc.inotify_add_watch(descriptor, b"/", _IN_DELETE_SELF) < 0:
            raise EventsUnavailable(why_no_events(OSError(ctypes.get_errno(), "")))
    finally:
        os.close(descriptor)

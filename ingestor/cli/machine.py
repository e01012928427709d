"""What the machine says of places and limits; None where it does not say."""

from __future__ import annotations

import os
from pathlib import Path

from ingestor.policy.file_systems import file_system_type

INOTIFY = Path("/proc/sys/fs/inotify")


def file_system_of(path: Path) -> str | None:
    """The type of the file system that a path is on, or would be."""
    try:
        device = existing(path).stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return file_system_type(mounts, f"{os.major(device)}:{os.minor(device)}")


def existing(path: Path) -> Path:
    """The path, or the nearest above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_bytes(path: Path) -> int | None:
    """What this user may still write there."""
    try:
        status = os.statvfs(existing(path))
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def inotify_limit(name: str) -> int | None:
    """`max_user_watches` or `max_user_instances`."""
    try:
        return int((INOTIFY / name).read_text())
    except (OSError, ValueError):
        return None

"""What the file system says, in the flow's words."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ingestor.errors import DiskFault, SourceNotReady
from ingestor.model import FileIdentity, SourceFile

_NOT_READY = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EAGAIN: "busy",
    errno.ELOOP: "changed",
}
_FAULTS = {
    errno.ENOSPC: ("disk_full", "make room there; work goes on by itself"),
    errno.EDQUOT: ("disk_full", "make room there, or raise the quota; work goes on by itself"),
    errno.EROFS: ("disk_read_only", "make its disk writable; work goes on by itself"),
    errno.EACCES: ("disk_denied", "let this user write there; work goes on by itself"),
    errno.EPERM: ("disk_denied", "let this user write there; work goes on by itself"),
    errno.ENOTDIR: ("disk_in_the_way", "a part of this path is no folder; move it away"),
    errno.ELOOP: ("disk_in_the_way", "a part of this path is a symlink; put a folder in its place"),
    errno.EISDIR: ("disk_in_the_way", "this is a folder; move it away"),
    errno.EIO: ("disk", "the disk is failing; look at the system's log"),
}


def not_ready(path: Path, error: OSError) -> SourceNotReady:
    """An error met on a source, as what it means for it: later again, never forgotten."""
    reason = _NOT_READY.get(error.errno or 0, "unreadable")
    return SourceNotReady(reason, f"{path}: {error.strerror or error}")


def disk_fault(path: Path, error: OSError) -> DiskFault:
    """An error met on a file of ours, with its path and the cure."""
    reason, cure = _FAULTS.get(error.errno or 0, ("disk", ""))
    said = f"{path}: {error.strerror or error}"
    return DiskFault(reason, f"{said}; {cure}" if cure else said)


def check_unchanged(source: SourceFile) -> None:
    """Raises `SourceNotReady` unless the file under this name is still the one that was found."""
    try:
        check_identity(source.absolute, source.identity, os.lstat(source.absolute))
    except OSError as error:
        raise not_ready(source.absolute, error) from error


def check_identity(path: Path, identity: FileIdentity, status: os.stat_result) -> None:
    """Raises `SourceNotReady` unless `status` is of the regular file that was found."""
    if not stat.S_ISREG(status.st_mode) or FileIdentity.of(status) != identity:
        raise SourceNotReady("changed", f"{path}: changed since it was found")


def is_same_after_rename(identity: FileIdentity, status: os.stat_result) -> bool:
    """Whether this is the file of `identity`, which may have been renamed since: that alone changes its ctime."""
    seen = FileIdentity.of(status)
    return stat.S_ISREG(status.st_mode) and (seen.device, seen.inode, seen.size_bytes, seen.mtime_ns) == (
        identity.device,
        identity.inode,
        identity.size_bytes,
        identity.mtime_ns,
    )


def open_regular(path: str, flags: int) -> int:
    """An opener that follows no symlink, and does not wait for a writer should a FIFO have taken the file's place."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

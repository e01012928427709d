"""Move and remove a file that is still the one that was meant, and never another that took its name meanwhile.

Looking and then acting leaves a gap. So a file is renamed first, which is atomic, and looked at under its new name; one
that turns out to be another file is given its name back.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
from contextlib import suppress
from pathlib import Path

from ingestor.disk.faults import check_identity, is_same_after_rename, not_ready, open_regular
from ingestor.disk.names import numbered, rename_new, sync_directory
from ingestor.errors import SourceNotReady
from ingestor.failpoints import WHILE_REMOVING, failpoint
from ingestor.model import FileIdentity

_COPY_BYTES = 1 << 20


def relocate(path: Path, identity: FileIdentity, name: str, directory: int) -> None:
    """Move a file to `name` in the open `directory`, also from another file system; durable when it returns.

    Raises `SourceNotReady` when the file is gone or another one by now, `FileExistsError` when `name` is taken, and
    `OSError` for what the target's disk says.
    """
    try:
        check_identity(path, identity, os.lstat(path))
    except OSError as error:
        raise not_ready(path, error) from error
    try:
        rename_new(path, name, target_dir=directory)
    except OSError as error:
        if error.errno == errno.ENOENT and not os.path.lexists(path):
            raise not_ready(path, error) from error
        if error.errno != errno.EXDEV:
            raise
        _copy(path, identity, name, directory)
        remove(path, identity)
        return
    if not is_same_after_rename(identity, os.stat(name, dir_fd=directory, follow_symlinks=False)):
        give_back(name, directory, path)
        raise SourceNotReady("changed", f"{path}: replaced by another file in the last moment")
    os.fsync(directory)
    sync_directory(path.parent)


def _copy(path: Path, identity: FileIdentity, name: str, directory: int) -> None:
    """The bytes, mode and mtime under a temporary name, on disk, and only then under `name`."""
    scratch = _hidden_name(path, "part")
    with suppress(FileNotFoundError):
        os.unlink(scratch, dir_fd=directory)  # left by a crash: this name is this file's alone
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    target = os.open(scratch, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(target, "wb") as to:
            _copy_whole(path, identity, to.fileno())
        rename_new(scratch, name, source_dir=directory, target_dir=directory)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(scratch, dir_fd=directory)
        raise
    os.fsync(directory)


def _copy_whole(path: Path, identity: FileIdentity, target: int) -> None:
    try:
        source = open_regular(os.fspath(path), os.O_RDONLY)
    except OSError as error:
        raise not_ready(path, error) from error
    with os.fdopen(source, "rb") as of:
        status = os.fstat(source)
        check_identity(path, identity, status)
        with os.fdopen(target, "wb", closefd=False) as to:
            shutil.copyfileobj(of, to, _COPY_BYTES)
        check_identity(path, identity, os.fstat(source))
    os.fchmod(target, status.st_mode & 0o777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fsync(target)


def remove(path: Path, identity: FileIdentity) -> None:
    """Unlink a file, if it is still this one; no error when nothing is there. Durable when it returns.

    Raises `SourceNotReady` when another file has its name, and `OSError`.
    """
    clear_interrupted(path, identity)
    try:
        check_identity(path, identity, os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    hidden = _hidden_name(path, "gone")
    with suppress(FileNotFoundError):
        os.rename(path, path.with_name(hidden))
        failpoint(WHILE_REMOVING)
        clear_interrupted(path, identity)
        if os.path.lexists(path):
            raise SourceNotReady("changed", f"{path}: replaced by another file in the last moment")
        sync_directory(path.parent)


def clear_interrupted(path: Path, identity: FileIdentity | None) -> None:
    """Finish a removal that has taken the file's name already; another file than `identity` gets its name back.

    None: whatever it is, it was to be removed. Raises `OSError`.
    """
    hidden = path.with_name(_hidden_name(path, "gone"))
    try:
        status = os.lstat(hidden)
    except (FileNotFoundError, NotADirectoryError):
        return
    if identity is None or is_same_after_rename(identity, status):
        os.unlink(hidden)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_back(hidden.name, directory, path)
    finally:
        os.close(directory)


def give_back(name: str, directory: int, path: Path) -> None:
    """Rename to `path`; should yet another file be there by now, beside it."""
    home = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number in itertools.count(1):
            with suppress(FileExistsError):
                rename_new(name, numbered(path.name, number), source_dir=directory, target_dir=home)
                return
    finally:
        os.close(home)


def _hidden_name(path: Path, what: str) -> str:
    """A name that is this path's alone, and that no listing takes: it begins with a dot."""
    return f".ingestor-{hashlib.sha256(os.fsencode(path)).hexdigest()[:20]}.{what}"

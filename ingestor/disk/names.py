"""Names in directories: made below a root, never leading out of it, never taken from somebody who has them."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

NAME_BYTES = 255
"""The longest file name of the usual file systems."""

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_LIBC = ctypes.CDLL(None, use_errno=True)
_NO_TEXT = re.compile(r"[\ud800-\udfff]")


def printable(text: str) -> str:
    """A file name, or words with one in them, as text that can be printed, parsed and sent.

    Bytes that are not UTF-8 become `\\xNN`.
    """
    return _NO_TEXT.sub(_as_escaped, text)


def _as_escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if 0xD800 <= code < 0xDC80 or code > 0xDCFF else f"\\x{code & 0xFF:02x}"


@contextmanager
def open_below(root: Path, directory: str) -> Iterator[int]:
    """A directory below `root`, made where it is missing, as a descriptor. No symlink leads out of `root`.

    `root` itself is not made: a drop folder that is not mounted stays missing. Raises `OSError`: ELOOP or ENOTDIR
    where a symlink or a file is in the way, EINVAL for a path with `..`.
    """
    parts = PurePosixPath(directory).parts
    if any(part in ("..", "/", "//") for part in parts):
        raise OSError(errno.EINVAL, f"{directory!r} leads out of its folder")
    present = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=present)
                os.fsync(present)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=present)
            os.close(present)
            present = inner
        yield present
    finally:
        os.close(present)


def sync_directory(path: Path) -> None:
    """The names in a directory are on disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def rename_new(source: str | Path, target: str | Path, *, source_dir: int | None = None, target_dir: int) -> None:
    """Rename, atomically, to a name that nobody has. Raises `OSError`: EEXIST where somebody has it."""
    code = _renameat2(source, target, source_dir, target_dir)
    if code in _NO_SUCH_CALL:
        _rename_over_our_own(source, target, source_dir, target_dir)
    elif code:
        raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))


def _renameat2(source: str | Path, target: str | Path, source_dir: int | None, target_dir: int) -> int:
    """The errno; 0 when done. The C library's call, for Python has none that leaves an existing file alone."""
    call = getattr(_LIBC, "renameat2", None)
    if call is None:
        return errno.ENOSYS
    first = _AT_FDCWD if source_dir is None else source_dir
    result = call(first, os.fsencode(source), target_dir, os.fsencode(target), ctypes.c_uint(_RENAME_NOREPLACE))
    return ctypes.get_errno() if result else 0


def _rename_over_our_own(source: str | Path, target: str | Path, source_dir: int | None, target_dir: int) -> None:
    """For file systems without RENAME_NOREPLACE: the name is taken by an empty file of ours, then replaced."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target_dir))
    try:
        os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
    except OSError:
        os.unlink(target, dir_fd=target_dir)
        raise


def numbered(name: str, number: int, *, room: int = 0) -> str:
    """`a.jpg`, `a (2).jpg`, `a (3).jpg`, ...: shortened where the name with `room` more bytes would be too long."""
    stem, suffix = os.path.splitext(name)
    end = suffix if number == 1 else f" ({number}){suffix}"
    if number == 1 and len(os.fsencode(name)) + room <= NAME_BYTES:
        return name
    while stem and len(os.fsencode(stem + end)) + room > NAME_BYTES:
        stem = stem[:-1]
    return stem + end

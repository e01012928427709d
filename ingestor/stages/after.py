"""Put a source away when it is done with: keep, move or delete it, and take back what was quarantined.

Every step may be repeated: a crash between any two is healed by the next call, which finds what is done already.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import posixpath
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingestor.disk import (
    check_unchanged,
    clear_interrupted,
    disk_fault,
    numbered,
    open_below,
    relocate,
    remove,
    rename_new,
    sync_directory,
)
from ingestor.errors import SourceNotReady
from ingestor.model import SIDECAR_SUFFIX, FileIdentity, Json, SourceFile
from ingestor.settings import AfterAction, AfterKind

DELETED = "deleted"
ERROR_SUFFIX = ".error.json"
ERROR_VERSION = 1
_MOST_ERROR_BYTES = 64_000
_COMPARED_BYTES = 1 << 20


async def put_away(source: SourceFile, action: AfterAction, *, error: Mapping[str, Json] | None = None) -> str | None:
    """Where the file went: its absolute path, `DELETED`, or None when it stays.

    With `error` (`reason`, `message`, `at`, `request_id`), `NAME.error.json` is written beside the moved file. A
    sidecar goes the way of its image. Raises `SourceNotReady` when the file is not the one that was hashed any more,
    `DiskFault` when the target cannot be written.
    """
    if action.kind is AfterKind.KEEP:
        return None
    if action.kind is AfterKind.DELETE or action.dir is None:
        await asyncio.to_thread(_delete, source)
        return DELETED
    return str(await asyncio.to_thread(_move, source, action.dir, error))


async def restore(put_away: Path, source: SourceFile) -> None:
    """Move a quarantined file back to where it was found, with its sidecar, and remove its `NAME.error.json`.

    Raises `SourceNotReady` when another file is there by now (`changed`) or the file is at neither place
    (`vanished`), and `DiskFault`.
    """
    await asyncio.to_thread(_restore, put_away, source)


# -- delete ----------------------------------------------------------------------------------------


def _delete(source: SourceFile) -> None:
    sidecar = _sidecar_of(source.absolute)
    try:
        remove(source.absolute, source.identity)
        if not os.path.lexists(source.absolute):
            clear_interrupted(_sidecar_path(source.absolute), None)
            if sidecar is not None:
                remove(*sidecar)
    except OSError as error:
        raise disk_fault(source.absolute, error) from error


def _sidecar_path(image: Path) -> Path:
    return image.with_name(image.name + SIDECAR_SUFFIX)


def _sidecar_of(image: Path) -> tuple[Path, FileIdentity] | None:
    """The regular file beside an image that adds to its metadata."""
    sidecar = _sidecar_path(image)
    try:
        status = os.lstat(sidecar)
    except OSError:
        return None
    return (sidecar, FileIdentity.of(status)) if stat.S_ISREG(status.st_mode) else None


# -- move ------------------------------------------------------------------------------------------


def _move(source: SourceFile, root: Path, error: Mapping[str, Json] | None) -> Path:
    place = root / posixpath.dirname(source.path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with open_below(root, posixpath.dirname(source.path)) as directory:
            name = _move_image(source, directory)
            _move_sidecar(source.absolute, name, directory)
            if error is not None:
                _write_error(source, name, error, directory)
            os.fsync(directory)
    except OSError as fault:
        raise disk_fault(place, fault) from fault
    return place / name


def _move_image(source: SourceFile, directory: int) -> str:
    """The name that the file has now: its own, or `NAME (2).EXT` where that was taken."""
    clear_interrupted(source.absolute, source.identity)
    is_there = os.path.lexists(source.absolute)
    if is_there:
        check_unchanged(source)
    for number in itertools.count(1):
        name = numbered(posixpath.basename(source.path), number, room=len(SIDECAR_SUFFIX) if number > 1 else 0)
        held = _status(name, directory)
        if held is None and not is_there:
            raise SourceNotReady("vanished", f"{source.absolute}: is not there any more")
        if held is None and not _sidecar_would_collide(source, name, directory):
            with suppress(FileExistsError):
                relocate(source.absolute, source.identity, name, directory)
                return name
        elif held is not None and _looks_like(source.identity, held):
            # An earlier call has put it here. Where both are there, it was stopped between copying and removing.
            if not is_there:
                return name
            if _has_same_bytes(source.absolute, name, directory):
                remove(source.absolute, source.identity)
                return name
    raise AssertionError("unreachable: there is always another number")


def _status(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _looks_like(identity: FileIdentity, status: os.stat_result) -> bool:
    is_regular = stat.S_ISREG(status.st_mode)
    return is_regular and (status.st_size, status.st_mtime_ns) == (identity.size_bytes, identity.mtime_ns)


def _has_same_bytes(path: Path, name: str, directory: int) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with (
        os.fdopen(os.open(path, flags), "rb") as one,
        os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as other,
    ):
        while piece := one.read(_COMPARED_BYTES):
            if other.read(len(piece)) != piece:
                return False
        return not other.read(1)


def _sidecar_would_collide(source: SourceFile, name: str, directory: int) -> bool:
    return _sidecar_of(source.absolute) is not None and _status(name + SIDECAR_SUFFIX, directory) is not None


def _move_sidecar(image: Path, name: str, directory: int) -> None:
    clear_interrupted(_sidecar_path(image), None)  # its copy is whole: else it would have its name
    sidecar = _sidecar_of(image)
    if sidecar is None:
        return
    for number in itertools.count(1):
        with suppress(FileExistsError):
            relocate(*sidecar, numbered(name + SIDECAR_SUFFIX, number), directory)
            return


# -- the error file --------------------------------------------------------------------------------


def _write_error(source: SourceFile, name: str, error: Mapping[str, Json], directory: int) -> None:
    """`STEM.error.json`; `STEM.EXT.error.json` where another image of that stem has it."""
    about: dict[str, Any] = {"v": ERROR_VERSION, "path": source.path, "file": name, **error}
    # The same name for the same file each time: what a killed run has left is written over, and stays nobody's litter.
    scratch = f".ingestor-{hashlib.sha256(os.fsencode(source.path)).hexdigest()[:16]}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(scratch, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(file, "wb") as to:
            to.write(_json_bytes(about))
            to.flush()
            os.fsync(file)
        _name_error_file(scratch, name, directory)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(scratch, dir_fd=directory)
        raise


def _name_error_file(scratch: str, name: str, directory: int) -> None:
    for candidate in _error_names(name):
        if _error_file_is_about(candidate, name, directory):
            os.rename(scratch, candidate, src_dir_fd=directory, dst_dir_fd=directory)
            return
        with suppress(FileExistsError):
            rename_new(scratch, candidate, source_dir=directory, target_dir=directory)
            return


def _error_names(name: str) -> itertools.chain[str]:
    room = len(ERROR_SUFFIX)
    stem = numbered(os.path.splitext(name)[0], 1, room=room)
    whole = (numbered(name, number, room=room) for number in itertools.count(1))
    return itertools.chain([stem + ERROR_SUFFIX], (text + ERROR_SUFFIX for text in whole))


def _error_file_is_about(candidate: str, name: str, directory: int) -> bool:
    """Whether an error file is there, is ours, and tells of the file `name`."""
    try:
        file = os.open(candidate, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    with os.fdopen(file, "rb") as of:
        try:
            about = json.loads(of.read(_MOST_ERROR_BYTES))
        except (OSError, ValueError, RecursionError):
            return False
    return isinstance(about, dict) and about.get("file") == name


def _json_bytes(value: Mapping[str, Json]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # a path whose bytes are not UTF-8
        return (json.dumps(value, indent=2) + "\n").encode()


# -- back again ------------------------------------------------------------------------------------


def _restore(put_away: Path, source: SourceFile) -> None:
    try:
        if os.path.lexists(put_away):
            _bring_back(put_away, source)
        elif not os.path.lexists(source.absolute):
            raise SourceNotReady("vanished", f"{put_away}: is not there any more, nor is {source.absolute}")
        _drop_error_file(put_away)
    except OSError as error:
        raise disk_fault(source.absolute, error) from error


def _bring_back(put_away: Path, source: SourceFile) -> None:
    sidecar = _sidecar_of(put_away)
    name = posixpath.basename(source.path)
    with open_below(source.root, posixpath.dirname(source.path)) as directory:
        try:
            # Whatever is there now: an operator may have mended it.
            relocate(put_away, FileIdentity.of(os.lstat(put_away)), name, directory)
        except FileExistsError:
            raise SourceNotReady(
                "changed", f"{source.absolute}: another file is there by now; move it away, or leave {put_away} there"
            ) from None
        if sidecar is not None:
            with suppress(FileExistsError):
                relocate(*sidecar, name + SIDECAR_SUFFIX, directory)


def _drop_error_file(put_away: Path) -> None:
    if not put_away.parent.is_dir():
        return
    with open_below(put_away.parent, "") as directory:
        for candidate in itertools.islice(_error_names(put_away.name), 3):
            if _error_file_is_about(candidate, put_away.name, directory):
                os.unlink(candidate, dir_fd=directory)
    sync_directory(put_away.parent)

"""One drop folder, listed directory by directory, each in pieces, so that memory does not grow with the folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import posixpath
import stat
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path

from ingestor.model import SIDECAR_SUFFIX, FileIdentity, Mark, Marks, Sighting, Skipped, SourceFile
from ingestor.policy.idempotency import canonical_json
from ingestor.settings import FolderSettings
from ingestor.stages.discover.piece import PIECE, LazySightings, Piece
from ingestor.stages.discover.rules import SUSPICIOUS, NameRules

_mark = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""A file's `Mark`, from its status."""


@dataclass(slots=True)
class _Found:
    """What a part of a directory holds."""

    by_name: dict[str, Mark] = field(default_factory=dict)
    sidecars: list[str] = field(default_factory=list)
    subdirectories: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


class DropFolder:
    """A drop folder's settings as the rules of its listing."""

    def __init__(self, settings: FolderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.root = settings.path
        self._literal_root = str(settings.path)
        self._rules = NameRules(settings)
        self._base_context = _short_hash([settings.purpose, settings.metadata])

    def verdict(self, path: str) -> str | None:
        """Why a file of this name is passed over; None if it is wanted. `path` relative to the root."""
        return self._rules.verdict(path)

    def enters(self, directory: str) -> bool:
        """Whether a subdirectory is looked into, those above it aside."""
        return self._rules.enters(directory)

    def context(self, sidecar: os.stat_result | None) -> str:
        """Changes when what goes with the bytes may have changed: purpose, metadata, sidecar."""
        if sidecar is None:
            return self._base_context
        return f"{self._base_context}:{sidecar.st_mtime_ns}:{sidecar.st_size}"

    # -- one path

    def sighting(self, path: str) -> Sighting | Skipped | None:
        """One path, looked at by itself; None if nothing is there. Raises `OSError` as the file system does."""
        reason = self._rules.verdict(path)
        if reason is not None:
            return Skipped(path=path, reason=reason)
        absolute = f"{self._literal_root}/{path}"
        try:
            if self._leads_through_a_link(posixpath.dirname(path)):
                return Skipped(path=path, reason="symlink")
            status = os.lstat(absolute)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return Skipped(path=path, reason=_odd_kind(status.st_mode))
        source = SourceFile(folder=self.name, root=self.root, path=path, identity=FileIdentity.of(status))
        return Sighting(source=source, context=self.context(_status(absolute + SIDECAR_SUFFIX)))

    def _leads_through_a_link(self, directory: str) -> bool:
        """Whether a directory below the root is reached through a symlink. What lies behind one is not ours to take."""
        while directory:
            if stat.S_ISLNK(os.lstat(f"{self._literal_root}/{directory}").st_mode):
                return True
            directory = posixpath.dirname(directory)
        return False

    # -- directories

    async def pieces(self, directory: str = "") -> AsyncGenerator[Piece]:
        """A directory and all below it, as `walk`, each piece listed in a thread when it is asked for.

        Not ahead of it: two threads that both want the interpreter take a quarter longer than one after the other.
        """
        walk = self.walk(directory)
        while (piece := await asyncio.to_thread(next, walk, None)) is not None:
            yield piece

    def walk(self, directory: str = "") -> Iterator[Piece]:
        """A directory and all below it, in pieces, those of a directory before those inside it."""
        stack = [directory]
        while stack:
            for piece in self.listing(stack.pop()):
                stack.extend(reversed(piece.subdirectories))
                yield piece

    def listing(self, directory: str) -> Iterator[Piece]:
        """One directory in pieces; its subdirectories are named, not entered.

        A directory that cannot be read, or is reached through a symlink, is one `Skipped` with a reason of its own.
        """
        absolute = f"{self._literal_root}/{directory}" if directory else self._literal_root
        try:
            if self._leads_through_a_link(directory):
                yield _nothing(directory, Skipped(path=directory, reason="symlink"))
                return
            with _opened(absolute, follow=not directory) as opened, os.scandir(opened) as entries:
                ahead, whole = next(entries, None), True
                while ahead is not None or whole:
                    found = self._look(directory, chain([ahead] if ahead else [], islice(entries, PIECE - 1)))
                    ahead = next(entries, None)
                    whole = whole and ahead is None
                    yield self._piece(directory, found, whole=whole)
                    if whole:
                        return
        except OSError as error:
            message = f"{absolute}: {error.strerror}; its images are taken as soon as it can be read"
            yield _nothing(directory, Skipped(path=directory or ".", reason="unreadable_directory", message=message))

    def _look(self, directory: str, entries: Iterable[os.DirEntry[str]]) -> _Found:
        """Look at each entry once, and keep none: what they remember of a look is many times what is wanted of it."""
        prefix = f"{directory}/" if directory else ""
        found = _Found()
        by_name, suffixes = found.by_name, self._rules.plain_suffixes
        # A million files pass here: what would read better as a call of its own costs a tenth of a second each.
        for entry in entries:
            name = entry.name
            try:
                plain = name.endswith(suffixes) and name[0] not in SUSPICIOUS
                if plain and entry.is_file(follow_symlinks=False):
                    by_name[name] = _mark(entry.stat(follow_symlinks=False))
                else:
                    self._look_twice(prefix + name, entry, found)
            except OSError as error:
                found.skipped += _unreadable(prefix + name, error)
        return found

    def _look_twice(self, path: str, entry: os.DirEntry[str], found: _Found) -> None:
        """A directory, or a file whose name or kind is not plain. Raises `OSError`."""
        if entry.is_dir(follow_symlinks=False):
            if self.settings.recursive and self._rules.enters(path):
                found.subdirectories.append(path)
            return
        if entry.name.endswith(SIDECAR_SUFFIX):
            found.sidecars.append(entry.name)
        reason = self._rules.verdict_here(path, entry.name)
        if reason is None:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found.by_name[entry.name] = _mark(status)
                return
            reason = _odd_kind(status.st_mode)
        found.skipped.append(Skipped(path=path, reason=reason))

    def _piece(self, directory: str, found: _Found, *, whole: bool) -> Piece:
        contexts = self._contexts(directory, found, whole=whole)
        marks = Marks(by_name=found.by_name, context=self._base_context, contexts=contexts)
        return Piece(
            directory=directory,
            sightings=LazySightings(self.name, self.root, directory, marks),
            marks=marks,
            skipped=tuple(found.skipped),
            subdirectories=tuple(sorted(found.subdirectories)),
            whole=whole,
        )

    def _contexts(self, directory: str, found: _Found, *, whole: bool) -> dict[str, str]:
        """The context of each file that has a sidecar; in a part of a directory it may be in another part."""
        having: Iterable[str] = found.by_name
        if whole:
            images = (name.removesuffix(SIDECAR_SUFFIX) for name in found.sidecars)
            having = [image for image in images if image in found.by_name]
        where = f"{self._literal_root}/{directory}/" if directory else f"{self._literal_root}/"
        seen = ((name, _status(where + name + SIDECAR_SUFFIX)) for name in having)
        return {name: self.context(sidecar) for name, sidecar in seen if sidecar is not None}


@contextlib.contextmanager
def _opened(directory: str, *, follow: bool) -> Iterator[int]:
    """A directory by its descriptor: its files are looked at from there, not by a path from the root down each time.

    What has become a symlink meanwhile is only followed where that is wanted. Raises `OSError`.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _nothing(directory: str, skipped: Skipped) -> Piece:
    return Piece(directory=directory, sightings=(), skipped=(skipped,), subdirectories=(), whole=False)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _unreadable(path: str, error: OSError) -> list[Skipped]:
    """Nothing for a file that is gone between the listing and the look: the next scan sees what is."""
    if isinstance(error, FileNotFoundError):
        return []
    return [Skipped(path=path, reason="unreadable", message=f"{path}: {error.strerror}")]


def _odd_kind(mode: int) -> str:
    """Why something that is no regular file is never opened."""
    return "symlink" if stat.S_ISLNK(mode) else "not_a_file"


def _short_hash(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def root_identity(root: Path) -> tuple[int, int] | None:
    """Device and inode of a drop folder's root; None while it is not there, or is not a directory."""
    try:
        status = root.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def device_at(root: Path, directory: str) -> int | None:
    """The disk on which a directory of a drop folder is, or was: that of the nearest one there is; None without root.

    Where a disk is not mounted, this is the one below its mount point.
    """
    if root_identity(root) is None:
        return None
    while directory:
        with contextlib.suppress(OSError):
            return os.lstat(root / directory).st_dev
        directory = posixpath.dirname(directory)
    return root.stat().st_dev

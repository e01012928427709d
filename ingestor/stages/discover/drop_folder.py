"""One drop folder, listed directory by directory, each in pieces, so that memory does not grow with the folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import posixpath
import stat
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ingestor.model import SIDECAR_SUFFIX, FileIdentity, Mark, Marks, Sighting, Skipped, SourceFile
from ingestor.policy.idempotency import canonical_json
from ingestor.settings import FolderSettings
from ingestor.stages.discover.beside import Lists
from ingestor.stages.discover.lister import Listed, mark_of
from ingestor.stages.discover.piece import PIECE, LazySightings, Piece
from ingestor.stages.discover.rules import SUSPICIOUS, NameRules


@dataclass(slots=True)
class _Found:
    """What a part of a directory holds."""

    by_name: dict[str, Mark] = field(default_factory=dict)
    sidecars: list[str] = field(default_factory=list)
    subdirectories: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


_LINKS_OF_A_LEAF = 2
"""Its name and its dot: each directory inside would be one more. File systems that do not count have other numbers."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """A directory that has been asked for."""

    pieces: Iterator[tuple[Piece, bool]]
    """And of each whether it is the last."""
    is_leaf: bool = False
    """Surely without directories inside."""

    @classmethod
    def of(cls, piece: Piece) -> _Listing:
        return cls(iter([(piece, True)]))


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
        """A directory and all below it, as `walk`, each piece taken in a thread when it is asked for.

        No thread works ahead: two that both want the interpreter take a quarter longer than one after the other. In a
        large tree a program beside this one does (`Lists`).
        """
        walk = self.walk(directory)
        while (piece := await asyncio.to_thread(next, walk, None)) is not None:
            yield piece

    def walk(self, directory: str = "") -> Generator[Piece]:
        """A directory and all below it, in pieces, those of a directory before those inside it.

        A directory that cannot be read, or is reached through a symlink, is one `Skipped` with a reason of its own.
        """
        stack: list[str] = []
        with contextlib.closing(Lists(self._rules.plain_suffixes, SUSPICIOUS, PIECE)) as lists:
            listing: _Listing | None = self._listing(lists, directory)
            while listing is not None:
                # The next one is asked for as soon as it is known, to be listed while this one's pieces are looked at.
                following = self._next(lists, stack) if listing.is_leaf else None
                for piece, is_last in listing.pieces:
                    stack.extend(reversed(piece.subdirectories))
                    if is_last and following is None:
                        following = self._next(lists, stack)
                    yield piece
                listing = following

    def _next(self, lists: Lists, stack: list[str]) -> _Listing | None:
        return self._listing(lists, stack.pop()) if stack else None

    def _listing(self, lists: Lists, directory: str) -> _Listing:
        """One directory; its subdirectories are named, not entered."""
        absolute = f"{self._literal_root}/{directory}" if directory else self._literal_root
        try:
            if self._leads_through_a_link(directory):
                return _Listing.of(_nothing(directory, Skipped(path=directory, reason="symlink")))
            is_leaf = os.stat(absolute).st_nlink == _LINKS_OF_A_LEAF
        except OSError as error:
            return _Listing.of(_unreadable_directory(directory, absolute, error))
        parts = lists.ask(absolute, follow=not directory)
        return _Listing(self._pieces(directory, absolute, parts), is_leaf)

    def _pieces(self, directory: str, absolute: str, parts: Iterator[Listed]) -> Iterator[tuple[Piece, bool]]:
        is_first = True
        try:
            for part in parts:
                found = self._looked(directory, part)
                yield self._piece(directory, found, whole=is_first and part.is_last), part.is_last
                is_first = False
        except OSError as error:
            yield _unreadable_directory(directory, absolute, error), True

    def _looked(self, directory: str, part: Listed) -> _Found:
        prefix = f"{directory}/" if directory else ""
        found = _Found(by_name=part.plain)
        for name, is_directory in part.others:
            try:
                self._look_twice(prefix + name, name, found, is_directory=is_directory)
            except OSError as error:
                found.skipped += _unreadable(prefix + name, error)
        return found

    def _look_twice(self, path: str, name: str, found: _Found, *, is_directory: bool) -> None:
        """A directory, or a file whose name or kind is not plain. Raises `OSError`."""
        if is_directory:
            if self.settings.recursive and self._rules.enters(path):
                found.subdirectories.append(path)
            return
        if name.endswith(SIDECAR_SUFFIX):
            found.sidecars.append(name)
        reason = self._rules.verdict_here(path, name)
        if reason is None:
            status = os.lstat(f"{self._literal_root}/{path}")
            if stat.S_ISREG(status.st_mode):
                found.by_name[name] = mark_of(status)
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


def _nothing(directory: str, skipped: Skipped) -> Piece:
    return Piece(directory=directory, sightings=(), skipped=(skipped,), subdirectories=(), whole=False)


def _unreadable_directory(directory: str, absolute: str, error: OSError) -> Piece:
    message = f"{absolute}: {error.strerror}; its images are taken as soon as it can be read"
    return _nothing(directory, Skipped(path=directory or ".", reason="unreadable_directory", message=message))


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

"""List a drop folder: what is to be taken, what is passed over, and why. The scan is the truth, events are hints.

A directory is listed in pieces, and directories one after another, so that memory does not grow with the folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingestor.model import SIDECAR_SUFFIX, FileIdentity, Sighting, Skipped, SourceFile
from ingestor.policy.formats import SUFFIXES
from ingestor.policy.idempotency import canonical_json
from ingestor.settings import FolderSettings

PIECE = 5_000
"""Files of one piece of a listing: enough for one question to the ledger, little enough to hold."""

# What programs leave while they write, and what systems leave lying about. LESSONS: these were taken as images.
DEFAULT_IGNORES = (
    ".*",
    "~$*",
    "*~",
    "*.filepart",
    "*.part",
    "*.partial",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "*.opdownload",
    "*.swp",
    "Thumbs.db",
    "desktop.ini",
    "@eaDir/",
    "#recycle/",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "lost+found/",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of one directory's listing, in name order."""

    directory: str
    sightings: tuple[Sighting, ...]
    skipped: tuple[Skipped, ...]
    subdirectories: tuple[str, ...]
    whole: bool
    """The directory has no other piece."""


class DropFolder:
    """A drop folder's settings as the rules of its listing."""

    def __init__(self, settings: FolderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.root = settings.path
        self._ignored = GitIgnoreSpec.from_lines([*DEFAULT_IGNORES, *self._own_targets()])
        self._excluded = GitIgnoreSpec.from_lines(settings.exclude)
        self._included = GitIgnoreSpec.from_lines(settings.include) if settings.include else None
        self._base_context = _short_hash([settings.purpose, settings.metadata])

    def _own_targets(self) -> Iterator[str]:
        """Folders inside this one that after-actions move files to: never looked into."""
        for action in (self.settings.after_upload, self.settings.on_quarantine):
            target = action.dir
            if target is not None and target.is_relative_to(self.root) and target != self.root:
                yield "/" + _escape_pattern(target.relative_to(self.root).as_posix()) + "/"

    @cached_property
    def _literal_root(self) -> str:
        return str(self.root)

    def verdict(self, path: str) -> str | None:
        """Why a file of this name is passed over; None if it is wanted. `path` relative to the root."""
        if self._ignored.match_file(path):
            return "ignored"
        if self._excluded.match_file(path):
            return "excluded"
        if self._included is not None:
            return None if self._included.match_file(path) else "not_included"
        return None if path[path.rfind(".") :].lower() in SUFFIXES else "not_an_image_name"

    def enters(self, directory: str) -> bool:
        """Whether a subdirectory is looked into."""
        return not (self._ignored.match_file(directory + "/") or self._excluded.match_file(directory + "/"))

    def context(self, sidecar: os.stat_result | None) -> str:
        """Changes when what goes with the bytes may have changed: purpose, metadata, sidecar."""
        if sidecar is None:
            return self._base_context
        return f"{self._base_context}:{sidecar.st_mtime_ns}:{sidecar.st_size}"

    def sighting(self, path: str) -> Sighting | Skipped | None:
        """One path, looked at by itself; None if nothing is there. Raises `OSError` as the file system does."""
        reason = self.verdict(path)
        if reason is not None:
            return Skipped(path=path, reason=reason)
        absolute = f"{self._literal_root}/{path}"
        try:
            status = os.lstat(absolute)
        except (FileNotFoundError, NotADirectoryError):
            return None
        odd = _odd_kind(status.st_mode)
        if odd is not None:
            return Skipped(path=path, reason=odd)
        try:
            sidecar: os.stat_result | None = os.lstat(absolute + SIDECAR_SUFFIX)
        except OSError:
            sidecar = None
        return self._sighting(path, status, sidecar)

    def _sighting(self, path: str, status: os.stat_result, sidecar: os.stat_result | None) -> Sighting:
        source = SourceFile(folder=self.name, root=self.root, path=path, identity=FileIdentity.of(status))
        return Sighting(source=source, context=self.context(sidecar))

    def listing(self, directory: str) -> Iterator[Piece]:
        """One directory in pieces; its subdirectories are named, not entered.

        A directory that cannot be read is one `Skipped` with the reason `unreadable_directory`.
        """
        absolute = f"{self._literal_root}/{directory}" if directory else self._literal_root
        try:
            with os.scandir(absolute) as entries:
                first = sorted(islice(entries, PIECE), key=_name)
                second = sorted(islice(entries, PIECE), key=_name)
                yield self._piece(directory, first, whole=not second)
                while second:
                    yield self._piece(directory, second, whole=False)
                    second = sorted(islice(entries, PIECE), key=_name)
        except OSError as error:
            yield Piece(
                directory=directory,
                sightings=(),
                skipped=(
                    Skipped(
                        path=directory or ".",
                        reason="unreadable_directory",
                        message=f"{absolute}: {error.strerror}; its images are taken as soon as it can be read",
                    ),
                ),
                subdirectories=(),
                whole=False,
            )

    def _piece(self, directory: str, entries: list[os.DirEntry[str]], *, whole: bool) -> Piece:
        prefix = f"{directory}/" if directory else ""
        sightings: list[Sighting] = []
        skipped: list[Skipped] = []
        subdirectories: list[str] = []
        names = {entry.name for entry in entries} if whole else None
        for entry in entries:
            path = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self.settings.recursive and self.enters(path):
                        subdirectories.append(path)
                    continue
                seen = self._entry(path, entry, names)
            except FileNotFoundError:
                continue  # gone between the listing and the look: the next scan sees what is
            except OSError as error:
                seen = Skipped(path=path, reason="unreadable", message=f"{path}: {error.strerror}")
            if isinstance(seen, Skipped):
                skipped.append(seen)
            else:
                sightings.append(seen)
        return Piece(
            directory=directory,
            sightings=tuple(sightings),
            skipped=tuple(skipped),
            subdirectories=tuple(subdirectories),
            whole=whole,
        )

    def _entry(self, path: str, entry: os.DirEntry[str], names: set[str] | None) -> Sighting | Skipped:
        reason = self.verdict(path)
        if reason is not None:
            return Skipped(path=path, reason=reason)
        if entry.is_symlink():
            return Skipped(path=path, reason="symlink")
        status = entry.stat(follow_symlinks=False)
        odd = _odd_kind(status.st_mode)
        if odd is not None:
            return Skipped(path=path, reason=odd)
        sidecar = None
        if names is None or entry.name + SIDECAR_SUFFIX in names:
            try:
                sidecar = os.lstat(entry.path + SIDECAR_SUFFIX)
            except OSError:
                sidecar = None
        return self._sighting(path, status, sidecar)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _odd_kind(mode: int) -> str | None:
    """Why something that is no regular file is never opened."""
    if stat.S_ISREG(mode):
        return None
    return "symlink" if stat.S_ISLNK(mode) else "not_a_file"


def _short_hash(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _escape_pattern(path: str) -> str:
    return "".join("\\" + character if character in "*?[]!#\\" else character for character in path)


def root_identity(root: Path) -> tuple[int, int] | None:
    """Device and inode of a drop folder's root; None while it is not there, or is not a directory."""
    try:
        status = root.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None

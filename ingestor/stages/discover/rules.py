"""Which names a drop folder takes, by its settings alone."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingestor.policy.formats import SUFFIXES
from ingestor.settings import FolderSettings

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
"""By the last part of a name, whatever its case. With a `/` at the end: directories only."""


def _any_of(patterns: Iterator[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns), re.IGNORECASE)


_IGNORED_FILE = _any_of(pattern for pattern in DEFAULT_IGNORES if not pattern.endswith("/"))
_IGNORED_DIRECTORY = _any_of(pattern.rstrip("/") for pattern in DEFAULT_IGNORES)


SUSPICIOUS = ".~"
"""A name with an image's suffix is ignored only if it begins with one of these."""
_COMMON = (".jpg", ".png", ".jpeg", ".webp", ".JPG")
_SPELLINGS = (*_COMMON, *sorted({*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES)} - {*_COMMON}))


class NameRules:
    """The verdicts on names below one drop folder. Paths are relative to its root, with `/`."""

    def __init__(self, settings: FolderSettings) -> None:
        self._recursive = settings.recursive
        self._excluded = GitIgnoreSpec.from_lines(settings.exclude) if settings.exclude else None
        self._included = GitIgnoreSpec.from_lines(settings.include) if settings.include else None
        self._own_targets = frozenset(_own_targets(settings))
        has_patterns = self._excluded is not None or self._included is not None
        self.plain_suffixes = () if has_patterns else _SPELLINGS
        """A name with one of these that does not begin with one of `SUSPICIOUS`, is wanted without more ado."""

    def verdict(self, path: str) -> str | None:
        """Why a file of this name is passed over; None if it is wanted."""
        directory = posixpath.dirname(path)
        if directory and not self._recursive:
            return "not_recursive"
        while directory:
            if not self.enters(directory):
                return "ignored"
            directory = posixpath.dirname(directory)
        return self.verdict_here(path, posixpath.basename(path))

    def verdict_here(self, path: str, name: str) -> str | None:
        """The same for a file in a directory that is looked into."""
        if _IGNORED_FILE.match(name):
            return "ignored"
        if self._included is None and name[name.rfind(".") :].lower() not in SUFFIXES:
            return "not_an_image_name"
        if self._excluded is not None and self._excluded.match_file(path):
            return "excluded"
        if self._included is not None and not self._included.match_file(path):
            return "not_included"
        return None

    def enters(self, directory: str) -> bool:
        """Whether a subdirectory is looked into, those above it aside."""
        if _IGNORED_DIRECTORY.match(posixpath.basename(directory)) or directory in self._own_targets:
            return False
        return self._excluded is None or not self._excluded.match_file(directory + "/")


def _own_targets(settings: FolderSettings) -> Iterator[str]:
    """Directories below the root that after-actions move files to: never looked into."""
    root = _real(settings.path)
    for action in (settings.after_upload, settings.on_quarantine):
        if action.dir is not None:
            target = _real(action.dir)
            if target != root and target.is_relative_to(root):
                yield target.relative_to(root).as_posix()


def _real(path: Path) -> Path:
    return Path(posixpath.realpath(path))

"""Why a file that the ledger does not know has not been taken, and whether it will be."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from ingestor.disk import printable
from ingestor.model import SIDECAR_SUFFIX, Sighting, Skipped
from ingestor.observe.wording import in_words
from ingestor.policy.settling import Observation, seconds_to_wait
from ingestor.settings import FolderSettings
from ingestor.stages.discover import DEFAULT_IGNORES, DropFolder

SUFFIX_HINT = "its name does not end like that of an image; `include` of the folder takes other names"
TAKEN = "it will be taken: by a running `ingestor watch` within moments, else by the next `ingestor backfill`"


def untaken(folders: Sequence[FolderSettings], wanted: str) -> list[dict[str, Any]]:
    """For each drop folder that has this path in it: folder, path, reason (null: it will be taken), text."""
    absolute = Path(os.path.abspath(wanted))
    found = []
    for folder in folders:
        if folder.path in absolute.parents and os.path.lexists(absolute):
            path = str(absolute.relative_to(folder.path))
            reason, text = why_not(DropFolder(folder), path)
            found.append({"folder": folder.name, "path": printable(path), "reason": reason, "text": text})
    return found


def why_not(folder: DropFolder, path: str) -> tuple[str | None, str]:
    """A word and a sentence for why a path is not taken; no word where it will be."""
    inner = _directories_of(path)
    if inner and not folder.settings.recursive:
        return "not_recursive", "the folder is set to `recursive: false`, and this is in a folder inside of it"
    for directory in inner:
        if not folder.enters(directory):
            return "ignored_folder", f"the folder {directory} is not looked into: {_pattern_words(folder, directory)}"
    if (folder.root / path).is_dir() and not (folder.root / path).is_symlink():
        return _of_directory(folder, path)
    try:
        seen = folder.sighting(path)
    except OSError as error:
        return "unreadable", f"it cannot be looked at ({error.strerror}); it is tried again with each scan"
    if seen is None:
        return "vanished", "it is not there any more"
    return _of_skipped(folder, seen) if isinstance(seen, Skipped) else _of_sighting(folder, seen)


def _directories_of(path: str) -> list[str]:
    """`a/b/c.jpg` to `a`, `a/b`."""
    found = []
    while path := posixpath.dirname(path):
        found.append(path)
    return found[::-1]


def _of_directory(folder: DropFolder, path: str) -> tuple[str | None, str]:
    if not folder.settings.recursive:
        return "not_recursive", "it is a folder, and the drop folder is set to `recursive: false`"
    if not folder.enters(path):
        return "ignored_folder", f"it is a folder that is not looked into: {_pattern_words(folder, path)}"
    return "folder", "it is a folder, and what is in it is looked at; ask about one of its files"


def _of_skipped(folder: DropFolder, skipped: Skipped) -> tuple[str, str]:
    path = skipped.path
    match skipped.reason:
        case "ignored" | "excluded":
            return skipped.reason, f"it is passed over: {_pattern_words(folder, path)}"
        case "not_included":
            patterns = ", ".join(folder.settings.include)
            return skipped.reason, f"no pattern of the folder's `include` matches it: {patterns}"
        case "not_an_image_name":
            return _of_other_name(folder, path)
        case "symlink":
            return skipped.reason, "it is a symbolic link, which could lead anywhere: links are not followed"
        case "not_a_file":
            return skipped.reason, "it is no regular file (a socket, a pipe or a device), and is never opened"
        case _:
            return skipped.reason, skipped.message or skipped.reason.replace("_", " ")


def _of_other_name(folder: DropFolder, path: str) -> tuple[str, str]:
    image = path.removesuffix(SIDECAR_SUFFIX)
    if image != path and os.path.lexists(folder.root / image):
        return "sidecar", f"it adds to the metadata of {image}; ask about that one"
    return "not_an_image_name", SUFFIX_HINT


def _of_sighting(folder: DropFolder, sighting: Sighting) -> tuple[str | None, str]:
    identity = sighting.source.identity
    quiet = folder.settings.settle
    seen = Observation(identity=identity, since=time.monotonic())
    seconds = seconds_to_wait(seen, monotonic=time.monotonic(), wall=time.time(), quiet_seconds=quiet)
    if seconds is None:
        return "empty", "it has no bytes yet; it is taken when it has, and has not changed for a while"
    if not os.access(sighting.source.absolute, os.R_OK):
        return "unreadable", "this user may not read it; change its permissions, and it is taken"
    if seconds > 0:
        text = f"it changed less than {in_words(quiet)} ago, and may still be written"
        return "settling", f"{text}; it is taken when it has been quiet for that long"
    return None, f"it is not known yet, and nothing speaks against it; {TAKEN}"


def _pattern_words(folder: DropFolder, path: str) -> str:
    """The pattern that a path or one of its parents matches."""
    for where, patterns in (("by default", DEFAULT_IGNORES), ("in `exclude`", folder.settings.exclude)):
        pattern = _matching(patterns, path)
        if pattern is not None:
            return f"the pattern {pattern} ({where}) matches"
    return "images are put away to it"


def _matching(patterns: Sequence[str], path: str) -> str | None:
    if not patterns:
        return None
    spec = GitIgnoreSpec.from_lines(patterns)
    for spelling in (path, f"{path}/"):
        found = spec.check_file(spelling)
        if found.include and found.index is not None:
            return patterns[found.index]
    return None

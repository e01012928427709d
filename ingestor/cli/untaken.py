"""Why a file that the ledger does not know was not taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ingestor.model import Skipped
from ingestor.runtime.tally import printable
from ingestor.settings import Settings
from ingestor.stages.discover import DropFolder

WHY = {
    "ignored": "its name is one that programs use while they write, or that systems leave behind",
    "excluded": "a pattern of the folder's `exclude` matches it",
    "not_included": "no pattern of the folder's `include` matches it",
    "not_an_image_name": "its name does not end like that of an image",
    "symlink": "it is a symbolic link, and those are not followed",
    "not_a_file": "it is no regular file",
}


def untaken(settings: Settings, wanted: str) -> list[dict[str, Any]]:
    """For each drop folder that the path is in: why it would not be taken, or that it will be."""
    absolute = Path(os.path.abspath(wanted))
    found = []
    for folder in settings.folders:
        if folder.path in absolute.parents and os.path.lexists(absolute):
            path = str(absolute.relative_to(folder.path))
            reason, text = _why(DropFolder(folder), path)
            found.append({"folder": folder.name, "path": printable(path), "reason": reason, "text": text})
    return found


def _why(folder: DropFolder, path: str) -> tuple[str | None, str]:
    parents = [str(parent) for parent in Path(path).parents if str(parent) != "."]
    if parents and not folder.settings.recursive:
        return "not_recursive", "the folder is set to `recursive: false`, and this is in a folder inside it"
    for parent in parents:
        if not folder.enters(parent):
            return "ignored", f"the folder {parent} is not looked into"
    try:
        seen = folder.sighting(path)
    except OSError as error:
        return "unreadable", f"it cannot be looked at: {error.strerror}"
    if isinstance(seen, Skipped):
        return seen.reason, WHY.get(seen.reason, seen.reason)
    if seen is not None and seen.source.identity.size_bytes == 0:
        return "empty", "it has no bytes yet"
    return (
        None,
        "it is not known yet, and will be taken: by a running `ingestor watch`, or the next `ingestor backfill`",
    )

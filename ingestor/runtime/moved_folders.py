"""A drop folder that was renamed, or mounted elsewhere, and whose new place is in the settings under its old name.

Its files are as they were, so that no scan takes them anew. Without this the ledger would look for each where it was: a
renewal would find its file gone, and `explain` would say so of a file that is there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from ingestor.model import FileIdentity, LedgerEntry
from ingestor.ports import Ledger, Observer
from ingestor.settings import FolderSettings

SAMPLE = 200
"""Files of a folder that are looked for at its new place: one that is there as it was tells that the folder moved."""


async def follow_moved_folders(folders: Iterable[FolderSettings], *, ledger: Ledger, observer: Observer) -> None:
    """Before anything is begun: from now on files are told of, and looked for, where their folders are."""
    for folder in folders:
        entries = await ledger.entries(folder=folder.name, limit=SAMPLE)
        moved = [entry for entry in entries if entry.root != folder.path]
        is_there: bool = await asyncio.to_thread(_any_is_there, folder, moved)
        if is_there:
            files = await ledger.move_root(folder.name, folder.path)
            observer.notice("folder_moved", folder=folder.name, path=str(folder.path), files=files)


def _any_is_there(folder: FolderSettings, entries: Iterable[LedgerEntry]) -> bool:
    """An empty mount point, or another folder under the same name, says nothing of the files that are held."""
    for entry in entries:
        try:
            if FileIdentity.of(os.lstat(folder.path / entry.path)) == entry.identity:
                return True
        except OSError:
            continue
    return False

"""Folders that were given on command lines, as the ledger remembers them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ingestor.errors import SettingsError
from ingestor.ports import Ledger
from ingestor.settings import FolderSettings, Settings, adhoc_folder

ADHOC_FACT = "adhoc_folders"
"""Names to root, purpose and metadata of folders that were given on command lines: a name is that of one root only."""


async def adhoc_folders(settings: Settings, ledger: Ledger) -> list[FolderSettings]:
    """The folders of earlier command lines that are still there, with the settings that they were last given."""
    taken = {folder.name for folder in settings.folders}
    folders = []
    for name, one in (await ledger.fact(ADHOC_FACT) or {}).items():
        with contextlib.suppress(SettingsError):
            folder = adhoc_folder(Path(one["root"]), one["purpose"], one["metadata"])
            if name not in taken:
                folders.append(folder.model_copy(update={"name": name}))
    return folders

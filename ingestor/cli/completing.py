"""What a shell is offered behind a command: folder names from the settings, paths and file ids from the ledger.

It only reads, offers so many at most, and says nothing where anything is wrong: a shell has no place for errors.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ingestor.settings import Settings

MOST = 100
FILE_ID = "file_"


def folder_names(context: typer.Context, incomplete: str) -> list[str]:
    """Of the folders in the settings."""
    with contextlib.suppress(Exception):
        return [folder.name for folder in _settings(context).folders if folder.name.startswith(incomplete)]
    return []


def paths_or_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Paths that the ledger knows, as they stand in their folder or with its name before; ids where one is begun."""
    return _known(context, incomplete)


def quarantined_paths(context: typer.Context, incomplete: str) -> list[str]:
    """Those that `retry` can put back in line."""
    return _known(context, incomplete, "quarantined")


def _known(context: typer.Context, incomplete: str, state: str | None = None) -> list[str]:
    with contextlib.suppress(Exception):
        import asyncio

        return asyncio.run(_asked(_settings(context), incomplete, state))
    return []


async def _asked(settings: Settings, incomplete: str, state: str | None) -> list[str]:
    from ingestor.ledger.browsing import Sought
    from ingestor.ledger.place import browser_at
    from ingestor.runtime.system_clock import SystemClock

    ledger = browser_at(settings, SystemClock())
    await ledger.open()
    try:
        ids = await ledger.ids_beginning(incomplete, MOST) if incomplete.startswith(FILE_ID) and not state else ()
        leaf = await ledger.browse(Sought(begins=incomplete, state=state), limit=MOST)
    finally:
        await ledger.close()
    places = [(seen.entry.folder, seen.entry.path) for seen in leaf.seen]
    inside = [path for _, path in places if path.startswith(incomplete)]
    return list(dict.fromkeys([*ids, *inside] or [f"{folder}/{path}" for folder, path in places]))


def _settings(context: typer.Context) -> Settings:
    from ingestor.cli.common import settings_of

    return settings_of(context.params.get("config"), folders_are_read=False)

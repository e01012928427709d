"""From what a user writes, a path or a file id, to entries of the ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.model import LedgerEntry
    from ingestor.ports import Ledger
    from ingestor.settings import Settings


async def entries_named(settings: Settings, ledger: Ledger, wanted: str) -> list[LedgerEntry]:
    """The entries of a path or a file id. Raises `UsageError` where the ledger knows neither."""
    found = list(await ledger.find(wanted, await places_of(settings, ledger, wanted)))
    if not found:
        former = await ledger.find_former(wanted) if wanted.startswith("file_") else ()
        for folder, path in former:
            found.extend(await ledger.find("", [(folder, path)]))
    if not found:
        raise UsageError(f"{wanted}: the ledger knows no such path or file id; `ingestor explain` says more")
    return found


async def was_of_other_bytes(ledger: Ledger, entry: LedgerEntry, wanted: str) -> bool:
    """Whether `wanted` is an id that the path of `entry` had when there were other bytes in it."""
    if wanted == entry.file_id or not wanted.startswith("file_"):
        return False
    story = await ledger.story(entry.folder, entry.path)
    digests = {one.detail.get("sha256") for one in story if one.detail.get("file_id") == wanted}
    return bool(digests - {None, entry.digest})


async def places_of(settings: Settings, ledger: Ledger, wanted: str) -> list[tuple[str, str]]:
    """Each (folder, path) that a written path may stand for: from here, or within a folder."""
    from ingestor.runtime.adhoc import ADHOC_FACT

    roots = {folder.name: folder.path for folder in settings.folders}
    adhoc = await ledger.fact(ADHOC_FACT) or {}
    roots |= {name: Path(one["root"]) for name, one in adhoc.items() if name not in roots}
    absolute = Path(os.path.abspath(wanted))
    places = [(name, str(absolute.relative_to(root))) for name, root in roots.items() if root in absolute.parents]
    if not os.path.isabs(wanted):
        inside = os.path.normpath(wanted)
        places += [(name, inside) for name in roots if (name, inside) not in places]
        folder, _, rest = inside.partition("/")
        if folder in roots and rest:
            places.append((folder, rest))
    return places

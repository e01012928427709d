"""What happened to a file: the object that `ingestor explain --json` prints.

wanted, at      what was asked for, and when
images          for each path that may be meant: where it stands, its id, its story (at, event, text, detail),
                others with the same content, and `next`: what happens next, or what makes it happen
elsewhere       where the ledger knows none: for each drop folder with this path in it folder, path, reason (null:
                it will be taken) and text
unknown         why there is nothing to tell, or null
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestor.cli.naming import places_of
from ingestor.cli.reading import holder, ledger_if_any
from ingestor.cli.untaken import untaken
from ingestor.disk import printable
from ingestor.ledger import LedgerReader
from ingestor.model import FileIdentity, HistoryEntry, LedgerEntry, State
from ingestor.observe.instants import rfc3339
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.runtime.adhoc import adhoc_folders
from ingestor.runtime.now import RUNTIME_FACT
from ingestor.runtime.story import Surroundings, next_step, sentence_of
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import FolderSettings, Settings

MOST_TWINS = 20


async def explain(settings: Settings, wanted: str) -> dict[str, Any]:
    """Every image that `wanted` may mean, with its story; else why there is none. Raises `LedgerUnreadable`."""
    folders = list(settings.folders)
    images: list[dict[str, Any]] = []
    async with ledger_if_any(settings) as ledger:
        now = SystemClock().now()
        if ledger is not None:
            folders += await adhoc_folders(settings, ledger)
            images = await _images(settings, ledger, wanted, {folder.name: folder for folder in folders}, now)
    elsewhere = [] if images else untaken(folders, wanted)
    return {
        "wanted": printable(wanted),
        "at": rfc3339(now),
        "images": images,
        "elsewhere": elsewhere,
        "unknown": None if images or elsewhere else _unknown(settings, wanted),
    }


async def _images(
    settings: Settings, ledger: LedgerReader, wanted: str, folders: Mapping[str, FolderSettings], now: datetime
) -> list[dict[str, Any]]:
    entries = await _entries(settings, ledger, wanted)
    who = holder(settings)
    told = await ledger.fact(RUNTIME_FACT)
    waits_for = told.get("waiting_for") if who and isinstance(told, Mapping) else None
    images = []
    for entry in entries:
        around = Surroundings(now=now, folder=folders.get(entry.folder), holder=who, waits_for=waits_for)
        twins = await ledger.paths_of(entry.content_id, MOST_TWINS + 1) if entry.content_id is not None else ()
        others = [f"{folder}/{path}" for folder, path in twins if (folder, path) != (entry.folder, entry.path)]
        images.append(_image(entry, await ledger.story(entry.folder, entry.path), others[:MOST_TWINS], around))
    return images


async def _entries(settings: Settings, ledger: LedgerReader, wanted: str) -> Sequence[LedgerEntry]:
    """Those that have this path or file id; else those that once had the id, or whose files were put away there."""
    places = await places_of(settings, ledger, wanted)
    real = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(wanted))), os.path.basename(wanted))
    places += [place for place in await places_of(settings, ledger, real) if place not in places]
    found = list(await ledger.find(wanted, places))
    if not found and wanted.startswith("file_") and wanted.isascii():
        for folder, path in await ledger.find_former(wanted):
            found.extend(await ledger.find("", [(folder, path)]))
    return found or await ledger.find_put_away([os.path.abspath(wanted), real])


def _image(
    entry: LedgerEntry, story: Sequence[HistoryEntry], others: Sequence[str], around: Surroundings
) -> dict[str, Any]:
    state = _state(entry, around.now)
    waits = entry.state == "waiting"
    return {
        "folder": entry.folder,
        "path": printable(entry.path),
        "source": printable(str(entry.root / entry.path)),
        "source_is": _source_is(entry),
        "put_away": None if entry.put_away is None else printable(entry.put_away),
        "state": state,
        "reason": entry.reason,
        "message": entry.message,
        "request_id": entry.request_id,
        "attempts": entry.attempt,
        "next_attempt_at": rfc3339(entry.ready_at) if waits else None,
        "found_at": rfc3339(entry.found_at),
        "changed_at": rfc3339(entry.changed_at),
        "sha256": entry.digest,
        "size_bytes": entry.identity.size_bytes,
        "purpose": entry.purpose,
        "metadata": entry.metadata,
        "file_id": entry.file_id,
        "idempotency_key": entry.key,
        "generation": entry.generation if entry.file_id else None,
        "created_at": rfc3339(entry.created_at),
        "expires_at": rfc3339(entry.expires_at),
        "sent": _sent(entry),
        "same_content": [printable(other) for other in others],
        "story": [_told(event) for event in story],
        "next": next_step(entry, state, around),
    }


def _state(entry: LedgerEntry, now: datetime) -> str:
    """As things stand now, whether or not anybody has marked it yet."""
    if entry.state in HAS_LIVE_ID and (entry.expires_at is None or entry.expires_at <= now):
        return State.EXPIRED.value
    return str(entry.state)


def _source_is(entry: LedgerEntry) -> str:
    """`unchanged`, `changed` or `gone`, as against what the ledger holds of it."""
    try:
        identity = FileIdentity.of(os.lstat(entry.root / entry.path))
    except OSError:
        return "gone"
    return "unchanged" if identity == entry.identity else "changed"


def _sent(entry: LedgerEntry) -> Mapping[str, Any] | None:
    if entry.file_id is None:
        return None
    return {
        "mime_type": entry.mime_type,
        "size_bytes": entry.size_bytes,
        "width_px": entry.width_px,
        "height_px": entry.height_px,
        "normalised": list(entry.normalised),
    }


def _told(event: HistoryEntry) -> dict[str, Any]:
    return {"at": rfc3339(event.at), "event": event.event, "text": sentence_of(event), "detail": event.detail}


def _unknown(settings: Settings, wanted: str) -> str:
    if wanted.startswith("file_") and not os.path.lexists(wanted):
        return f"{wanted}: no image of this ledger has, or ever had, this file id"
    shown = printable(str(Path(os.path.abspath(wanted))))
    if not os.path.lexists(wanted):
        return f"{shown}: there is no such file, and the ledger has never seen one"
    where = ", ".join(printable(str(folder.path)) for folder in settings.folders) or "none are set"
    return f"{shown}: is in no drop folder ({where}); `ingestor backfill {shown}` uploads it all the same"

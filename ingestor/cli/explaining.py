"""What happened to a file: the object that `ingestor explain --json` prints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestor.app import read_ledger
from ingestor.cli.instants import rfc3339
from ingestor.cli.naming import places_of
from ingestor.cli.story import next_step, sentence_of
from ingestor.cli.untaken import untaken
from ingestor.ledger import LedgerReader, holder_of
from ingestor.model import HistoryEntry, LedgerEntry, State
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.runtime.tally import printable
from ingestor.settings import FolderSettings, Settings


async def explain(settings: Settings, wanted: str) -> dict[str, Any]:
    """Every image that `wanted` may mean, with its story; else why there is none."""
    now = datetime.now(UTC)
    async with AsyncExitStack() as stack:
        ledger = None
        if settings.ledger.exists():
            ledger = await stack.enter_async_context(read_ledger(settings))
        entries = await _entries(settings, ledger, wanted) if ledger is not None else []
        stories = [await ledger.story(entry.folder, entry.path) for entry in entries] if ledger is not None else []
    folders = {folder.name: folder for folder in settings.folders}
    running = holder_of(settings.ledger) if ledger is not None else None
    elsewhere = [] if entries else untaken(settings, wanted)
    return {
        "wanted": printable(wanted),
        "at": rfc3339(now),
        "images": [
            _image(entry, story, now, folders.get(entry.folder), running)
            for entry, story in zip(entries, stories, strict=True)
        ],
        "elsewhere": elsewhere,
        "unknown": None if entries or elsewhere else _unknown(settings, wanted),
    }


async def _entries(settings: Settings, ledger: LedgerReader, wanted: str) -> Sequence[LedgerEntry]:
    found = list(await ledger.find(wanted, await places_of(settings, ledger, wanted)))
    if not found and wanted.startswith("file_"):
        for folder, path in await ledger.find_former(wanted):
            found.extend(await ledger.find("", [(folder, path)]))
    if not found and not wanted.startswith("file_"):
        found.extend(await ledger.find_put_away([os.path.abspath(wanted)]))
    return found


def _image(
    entry: LedgerEntry,
    story: Sequence[HistoryEntry],
    now: datetime,
    folder: FolderSettings | None,
    running: str | None,
) -> dict[str, Any]:
    state = _state(entry, now)
    return {
        "folder": entry.folder,
        "path": printable(entry.path),
        "source": printable(str(entry.root / entry.path)),
        "state": state,
        "reason": entry.reason,
        "message": entry.message,
        "request_id": entry.request_id,
        "attempts": entry.attempt,
        "next_attempt_at": rfc3339(entry.ready_at) if state in ("waiting", "sending") else None,
        "found_at": rfc3339(entry.found_at),
        "changed_at": rfc3339(entry.changed_at),
        "put_away": None if entry.put_away is None else printable(entry.put_away),
        "is_there": os.path.lexists(entry.root / entry.path),
        "sha256": entry.digest,
        "size_bytes": entry.identity.size_bytes,
        "purpose": entry.purpose,
        "metadata": entry.metadata,
        "file_id": entry.file_id,
        "idempotency_key": entry.key,
        "generation": entry.generation,
        "created_at": rfc3339(entry.created_at),
        "expires_at": rfc3339(entry.expires_at),
        "sent": _sent(entry),
        "story": [_told(event) for event in story],
        "next": next_step(entry, state, now, folder, running),
    }


def _state(entry: LedgerEntry, now: datetime) -> str:
    """As things stand now, whether or not anybody has marked it yet."""
    if entry.state in HAS_LIVE_ID and (entry.expires_at is None or entry.expires_at <= now):
        return State.EXPIRED.value
    return str(entry.state)


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
    return {
        "at": rfc3339(event.at),
        "event": event.event,
        "text": sentence_of(event),
        "detail": event.detail,
    }


def _unknown(settings: Settings, wanted: str) -> str:
    if wanted.startswith("file_"):
        return f"{wanted}: no image of this ledger has, or ever had, this file id"
    if not os.path.lexists(wanted):
        return f"{printable(wanted)}: there is no such file, and the ledger has never seen one"
    where = ", ".join(str(folder.path) for folder in settings.folders) or "none are set"
    absolute = printable(str(Path(os.path.abspath(wanted))))
    return f"{absolute}: is in no drop folder ({where}); `ingestor backfill {absolute}` uploads it all the same"

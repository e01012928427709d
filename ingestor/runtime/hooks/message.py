"""What a hook is told: one thing that happened, as the manifest has it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ingestor.errors import IngestorError
from ingestor.model import HistoryEntry
from ingestor.stages.manifest import encode, manifest_line

EVENTS = {
    "uploaded": ("uploaded", "renewed"),
    "quarantined": ("quarantined",),
    "expiring": ("expiring",),
    "expired": ("expired", "purged"),
}
"""The settings' `on` to the events of the story."""


class HookFailed(IngestorError):
    """A hook did not take what it was told; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    event: str
    event_id: str
    """The same at each attempt, so that whoever is told twice can know."""
    body: bytes
    """A JSON object on one line, UTF-8, without a newline."""


def message_of(entry: HistoryEntry) -> Message:
    what = json.dumps([entry.folder, entry.path, entry.event, entry.seq, entry.at.isoformat()])
    return Message(
        event=entry.event,
        event_id=f"evt_{hashlib.sha256(what.encode()).hexdigest()[:32]}",
        body=encode(manifest_line(entry)).rstrip(b"\n"),
    )

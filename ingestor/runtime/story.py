"""What happened to a file, and what happens next, as plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ingestor.model import HistoryEntry, LedgerEntry
from ingestor.observe.instants import local, parsed, when
from ingestor.observe.wording import size
from ingestor.settings import FolderSettings

DONE_TO_IT = {
    "turned": "turned upright",
    "first_frame": "only its first frame taken",
    "colour": "its colours converted",
    "resized": "made smaller",
    "webp": "written anew as WebP",
}

Detail = Mapping[str, Any]


def sentence_of(event: HistoryEntry) -> str:
    """One thing that happened, without its time."""
    tell = _SENTENCES.get(event.event)
    return event.event.replace("_", " ") if tell is None else tell(event.detail)


def _uploaded(detail: Detail) -> str:
    how = "uploaded before; the API gave the same id again" if detail.get("replayed") else "uploaded"
    return f"{how} as {detail.get('file_id')}: {_what(detail)}, good until {_instant(detail.get('expires_at'))}"


def _renewed(detail: Detail) -> str:
    return f"uploaded again, now {detail.get('file_id')}: good until {_instant(detail.get('expires_at'))}"


def _what(detail: Detail) -> str:
    steps = [DONE_TO_IT.get(step, step) for step in detail.get("normalised") or ()]
    picture = f"{detail.get('mime_type')}, {detail.get('width_px')}x{detail.get('height_px')}"
    bytes_ = detail.get("size_bytes")
    sized = f"{picture}, {size(bytes_)}" if isinstance(bytes_, int) else picture
    return f"{sized}, {', '.join(steps) if steps else 'byte for byte as found'}"


def _expired(detail: Detail) -> str:
    return f"{detail.get('file_id')} expired: the API has deleted it"


def _purged(detail: Detail) -> str:
    why = f" ({detail['reason']})" if detail.get("reason") else ""
    return f"{detail.get('file_id')} is gone at the API{why}"


def _quarantined(detail: Detail) -> str:
    return f"quarantined, {detail.get('reason')}: {detail.get('message')}{_request(detail)}"


def _later(detail: Detail) -> str:
    return f"could not be done yet, {detail.get('reason')}: {detail.get('message')}{_request(detail)}"


def _retry(detail: Detail) -> str:
    return f"attempt {detail.get('attempt')} failed, {detail.get('reason')}: {detail.get('message')}{_request(detail)}"


def _request(detail: Detail) -> str:
    return f" (request {detail['request_id']})" if detail.get("request_id") else ""


def _instant(value: Any) -> str:
    instant = parsed(value)
    return "an unknown time" if instant is None else local(instant)


_SENTENCES: Mapping[str, Callable[[Detail], str]] = {
    "uploaded": _uploaded,
    "renewed": _renewed,
    "expired": _expired,
    "purged": _purged,
    "quarantined": _quarantined,
    "snoozed": _later,
    "retry": _retry,
    "vanished": lambda detail: "the file was not there any more",
    "put_away": lambda detail: f"put away: {detail.get('to')}",
    "put_back": lambda detail: "put back in line (`ingestor retry`)",
}


def next_step(entry: LedgerEntry, state: str, now: datetime, folder: FolderSettings | None, running: str | None) -> str:
    """What happens next by itself, or what makes it happen."""
    if state in ("waiting", "sending", "renewing") and entry.state == state:
        return _next_of_waiting(entry, now, running)
    match state:
        case "live" | "renewing":
            assert entry.expires_at is not None
            renews = folder is not None and folder.renew != "never"
            after = "it is renewed before" if renews else "then the API deletes it; `ingestor renew` uploads it again"
            return f"its id is good until {when(entry.expires_at, now)}; {after}"
        case "expired":
            return "nothing, until `ingestor backfill` meets the file again and uploads it under a new id"
        case "purged":
            return "nothing, unless the file changes: whoever purged it did not want it any more"
        case "quarantined":
            return "nothing, until the file changes, or `ingestor retry` puts it back in line"
        case _:
            return "nothing, until a file is there again"


def _next_of_waiting(entry: LedgerEntry, now: datetime, running: str | None) -> str:
    if running is None:
        return "it is in line, but nothing is running: start `ingestor watch` or `ingestor backfill`"
    if entry.ready_at > now:
        return f"attempt {entry.attempt + 1} at {when(entry.ready_at, now)}"
    return "it is in line: its turn comes as soon as the quota and those before it allow"

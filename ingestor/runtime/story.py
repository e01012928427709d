"""What happened to a file, and what happens next, as plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestor.model import HistoryEntry, LedgerEntry
from ingestor.observe.instants import local, parsed, when
from ingestor.observe.wording import size
from ingestor.policy.endings import VANISHED
from ingestor.settings import FolderSettings

DONE_TO_IT = {
    "turned": "turned upright",
    "first_frame": "only its first frame taken",
    "colour": "its colours converted",
    "recoded": "written anew as a JPEG that everybody reads",
    "resized": "made smaller",
    "webp": "written anew as WebP",
    "stripped": "its metadata taken out",
    "trimmed": "what was appended taken off",
    "mended": "small damage beside its picture mended",
}
"""The words of `normalised`."""

Detail = Mapping[str, Any]


def sentence_of(event: HistoryEntry) -> str:
    """One thing that happened, without its time."""
    tell = _SENTENCES.get(event.event)
    return event.event.replace("_", " ") if tell is None else tell(event.detail)


def _uploaded(detail: Detail) -> str:
    how = "found to be uploaded before: the API gave the same id again," if detail.get("replayed") else "uploaded as"
    return f"{how} {detail.get('file_id')}: {_what(detail)}, good until {_instant(detail.get('expires_at'))}"


def _renewed(detail: Detail) -> str:
    return f"uploaded again, now {detail.get('file_id')}: good until {_instant(detail.get('expires_at'))}"


def _what(detail: Detail) -> str:
    steps = [DONE_TO_IT.get(step, str(step)) for step in detail.get("normalised") or ()]
    picture = f"{detail.get('mime_type')}, {detail.get('width_px')}x{detail.get('height_px')}"
    bytes_ = detail.get("size_bytes")
    sized = f"{picture}, {size(bytes_)}" if isinstance(bytes_, int) else picture
    return f"{sized}, {', '.join(steps) if steps else 'byte for byte as found'}"


def _expired(detail: Detail) -> str:
    return f"{detail.get('file_id')} expired: the API has deleted it"


def _purged(detail: Detail) -> str:
    why = f" ({detail['reason']})" if detail.get("reason") else ""
    return f"{detail.get('file_id')} is gone at the API{why}"


def _former_purged(detail: Detail) -> str:
    return f"{detail.get('file_id')}, which it had before, is gone at the API ({detail.get('reason')})"


def _quarantined(detail: Detail) -> str:
    return f"quarantined, {_why(detail)}"


def _snoozed(detail: Detail) -> str:
    return f"could not be done yet, {_why(detail)}"


def _retry(detail: Detail) -> str:
    return f"attempt {detail.get('attempt')} failed, {_why(detail)}"


def _why(detail: Detail) -> str:
    request = f" (request {detail['request_id']})" if detail.get("request_id") else ""
    return f"{detail.get('reason')}: {detail.get('message')}{request}"


def _instant(value: Any) -> str:
    instant = parsed(value)
    return "an unknown time" if instant is None else local(instant)


_SENTENCES: Mapping[str, Callable[[Detail], str]] = {
    "uploaded": _uploaded,
    "renewed": _renewed,
    "expired": _expired,
    "purged": _purged,
    "former_purged": _former_purged,
    "quarantined": _quarantined,
    "snoozed": _snoozed,
    "retry": _retry,
    "vanished": lambda detail: "the file was not there any more",
    "put_away": lambda detail: f"put away: {detail.get('to')}",
    "expiring": lambda detail: f"{detail.get('file_id')} ends soon: the hooks are told",
    "warned": lambda detail: f"with a warning: {'; '.join(map(str, detail.get('warnings') or ()))}",
    "put_back": lambda detail: "put back in line by `ingestor retry`",
}


# -- what happens next -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else decides about what happens next."""

    now: datetime
    folder: FolderSettings | None
    """None: it is not in the settings any more."""
    holder: str | None
    """Who works with the ledger now."""
    waits_for: str | None
    """What holds that one up."""


def next_step(entry: LedgerEntry, state: str, around: Surroundings) -> str:
    """What happens next by itself, or what makes it happen."""
    match state:
        case "waiting":
            return _of_waiting(entry, around)
        case "live" | "renewing":
            return _of_live(entry, around)
        case "sending":
            return "it is being uploaded"
        case "expired":
            return "nothing by itself: `ingestor backfill` uploads it again, under a new id"
        case "purged":
            return "nothing, until the file changes: an id that was deleted is not wanted any more"
        case "quarantined":
            return "nothing, until the file changes, or `ingestor retry` puts it back in line"
        case _:
            return "nothing, until a file is there again"


def _of_waiting(entry: LedgerEntry, around: Surroundings) -> str:
    if around.holder is None:
        return "it is in line, but nothing is running: `ingestor watch` or `ingestor backfill` goes on with it"
    if around.folder is None:
        return "it is in line, but its folder is not in the settings any more"
    if entry.ready_at > around.now:
        return f"attempt {entry.attempt + 1} at {when(entry.ready_at, around.now)}"
    if around.waits_for is not None:
        return f"it is in line; everything waits for {around.waits_for}"
    return "it is in line: its turn comes after those before it, as fast as the quota allows"


def _of_live(entry: LedgerEntry, around: Surroundings) -> str:
    assert entry.expires_at is not None
    renews = around.folder is not None and around.folder.renew != "never"
    if entry.reason == VANISHED or entry.put_away is not None:
        after = "then the API deletes it: its file is not there any more"
    elif renews:
        after = "it is uploaded again before that"
    else:
        after = "then the API deletes it; `ingestor renew` prevents that"
    return f"its id is good until {when(entry.expires_at, around.now)}; {after}"

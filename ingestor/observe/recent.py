"""What happened lately, in memory: for `status` and the page.

A restart forgets all of it but the minutes of the chart, which the daemon keeps in the ledger; the ledger itself
forgets nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ingestor.model import DoneAs, Json
from ingestor.observe.cleaning import clean, clean_facts, rfc3339
from ingestor.observe.minutes import Minutes
from ingestor.observe.snapshot import Snapshot
from ingestor.ports import Clock

MOST_ENDS = 200
MOST_FOLDERS = 1_000
_UPLOADS = frozenset({DoneAs.UPLOADED.value, DoneAs.RENEWED.value})
_SERIES = ("uploads", "quarantined", "rate_limited", "quota_left")
_END_FACTS = (
    *("folder", "path", "outcome", "reason", "message", "digest", "key", "file_id", "request_id", "attempt"),
    *("seconds", "delay_seconds", "bytes_read", "bytes_sent", "normalised"),
)


class Recent:
    """An observer that remembers the last of everything. `snapshot` is JSON, cleaned like the logs."""

    def __init__(self, clock: Clock, *, most_ends: int = MOST_ENDS) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._changes = 0
        self._started_at = clock.now()
        self._folders: dict[str, dict[str, Json]] = {}
        self._ends: deque[dict[str, Json]] = deque(maxlen=most_ends)
        self._minutes = Minutes()
        self._pauses: dict[str, dict[str, Json]] = {}
        self._outcomes: dict[str, int] = {}
        self._quota: dict[str, Json] = {"left": None, "capacity": None, "per_minute": None}
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "image_end": self._image_end,
            "found": self._found,
            "file_event": self._file_event,
            "scan_end": self._scan_end,
            "watch_mode": self._watch_mode,
            "folder_gone": lambda facts: self._present(facts, present=False),
            "folder_back": lambda facts: self._present(facts, present=True),
            "quota_held": lambda _: self._minutes.add("rate_limited", self._clock.now()),
            "api_paused": lambda facts: self._pause("api", facts),
            "api_resumed": lambda _: self._resume("api"),
            "disk_paused": lambda facts: self._pause("disk", facts),
            "disk_resumed": lambda _: self._resume("disk"),
        }

    def notice(self, event: str, **facts: Any) -> None:
        handler = self._handlers.get(event)
        if handler is not None:
            with self._lock:
                handler(facts)
                self._changes += 1

    @property
    def changes(self) -> int:
        """Grows with everything that is remembered: whoever shows it need not look more often."""
        return self._changes

    def set_snapshot(self, now: Snapshot) -> None:
        """What the runtime read of the quota: the minute's number for the chart."""
        with self._lock:
            quota: dict[str, Json] = {
                "left": now.quota_left,
                "capacity": now.quota_capacity,
                "per_minute": now.quota_per_minute,
            }
            self._changes += quota != self._quota
            self._quota = quota
            if now.quota_left is not None:
                self._minutes.put("quota_left", self._clock.now(), now.quota_left)

    def snapshot(self) -> dict[str, Json]:
        """All of it as one JSON object; a copy that later events do not change."""
        with self._lock:
            now = self._clock.now()
            return {
                "at": rfc3339(now),
                "started_at": rfc3339(self._started_at),
                "folders": {name: dict(facts) for name, facts in self._folders.items()},
                "outcomes": dict(self._outcomes),
                "quota": dict(self._quota),
                "paused": {what: dict(facts) for what, facts in self._pauses.items()},
                "minutes": {
                    **{name: self._minutes.series(name, now) for name in _SERIES},
                    "first_at": rfc3339(self._minutes.first_at(now)),
                },
                "ends": [dict(end) for end in reversed(self._ends)],
            }

    # -- over a restart

    def kept_minutes(self) -> Json:
        """The minutes of the chart, for whoever keeps them."""
        with self._lock:
            return self._minutes.kept()

    def recall_minutes(self, kept: Json) -> None:
        """Go on from what was kept; what makes no sense is left alone: it is a chart and no more."""
        with self._lock, contextlib.suppress(AttributeError, TypeError, ValueError):
            self._minutes.recall(kept or {}, self._clock.now())
            self._changes += 1

    # -- events

    def _image_end(self, facts: Mapping[str, Any]) -> None:
        now, outcome = self._clock.now(), str(clean(facts.get("outcome")))
        end = {name: facts[name] for name in _END_FACTS if facts.get(name) is not None}
        self._ends.append({"at": rfc3339(now), **clean_facts(end)})
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        if outcome in _UPLOADS:
            self._minutes.add("uploads", now)
        elif outcome == "quarantined":
            self._minutes.add("quarantined", now)

    def _found(self, facts: Mapping[str, Any]) -> None:
        self._folder(facts)["found"] += int(facts.get("number") or 0)

    def _file_event(self, facts: Mapping[str, Any]) -> None:
        self._folder(facts)["last_event_at"] = rfc3339(self._clock.now())

    def _watch_mode(self, facts: Mapping[str, Any]) -> None:
        self._folder(facts, "mode", "why", "degraded")

    def _scan_end(self, facts: Mapping[str, Any]) -> None:
        folder = self._folder(facts)
        folder["rescued"] += int(facts.get("rescued") or 0)
        folder["last_scan_at"] = rfc3339(self._clock.now())
        folder["last_scan_files"] = clean(facts.get("files"))
        folder["last_scan_seconds"] = clean(facts.get("seconds"))
        folder["present"] = True

    def _present(self, facts: Mapping[str, Any], *, present: bool) -> None:
        self._folder(facts, "path")["present"] = present

    def _folder(self, facts: Mapping[str, Any], *names: str) -> dict[str, Json]:
        """What is kept of the folder that an event is about, with these facts of the event taken over."""
        name = str(clean(facts.get("folder")))
        if name not in self._folders and len(self._folders) >= MOST_FOLDERS:
            return _fresh_folder()
        folder = self._folders.setdefault(name, _fresh_folder())
        folder.update({fact: clean(facts.get(fact)) for fact in names})
        return folder

    def _pause(self, what: str, facts: Mapping[str, Any]) -> None:
        reason, message = clean(facts.get("reason")), clean(facts.get("message"))
        self._pauses[what] = {"since": rfc3339(self._clock.now()), "reason": reason, "message": message}

    def _resume(self, what: str) -> None:
        self._pauses.pop(what, None)


def _fresh_folder() -> dict[str, Json]:
    return {
        "path": None,
        "mode": None,
        "why": None,
        "degraded": False,
        "present": True,
        "found": 0,
        "rescued": 0,
        "last_event_at": None,
        "last_scan_at": None,
        "last_scan_files": None,
        "last_scan_seconds": None,
    }

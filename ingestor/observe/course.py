"""How a run goes, counted from its events: what the display and the lines now and then tell."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingestor.model import DoneAs
from ingestor.observe.cleaning import clean_text
from ingestor.observe.forecast import Forecast, QuotaView, forecast
from ingestor.policy.endings import VANISHED

WINDOW_SECONDS = 120.0
"""How far back the rate looks: long enough to be steady, short enough to follow the quota."""
MOST_ENDS = 5_000
FINAL = frozenset({*(how.value for how in DoneAs), "quarantined"})
COSTS_A_TOKEN = frozenset({DoneAs.UPLOADED.value, DoneAs.REPLAYED.value, DoneAs.RENEWED.value})
_SHARE_OF_UNSEEN = 20
"""The first images count for little: until more came to an end, every image is expected to cost a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What is being done to one image."""

    stage: str
    folder: str
    path: str
    began_at: float


class Course:
    """Fed with events and what time it is (monotonic seconds)."""

    def __init__(self, started_at: float, total: int | None = None) -> None:
        self._started_at = started_at
        self.total = total
        self.found = 0
        self.outcomes: Counter[str] = Counter()
        self.bytes_read = 0
        self.bytes_sent = 0
        self.quota: QuotaView | None = None
        self.pauses: dict[str, str] = {}
        """What everything waits for: `api` or `disk`, and why."""
        self.is_draining = False
        """Nothing new begins, what is in flight finishes."""
        self._working: dict[tuple[str, str], Working] = {}
        self._ends: deque[tuple[float, bool]] = deque(maxlen=MOST_ENDS)
        self._last_end_at = started_at

    @property
    def done(self) -> int:
        return sum(self.outcomes.values())

    @property
    def expected(self) -> int | None:
        """How many there will be; None as long as nobody knows."""
        return None if self.total is None else max(self.total, self.done)

    @property
    def working(self) -> list[Working]:
        """What is being done now, the longest first."""
        return list(self._working.values())

    def notice(self, event: str, facts: Mapping[str, Any], now: float) -> None:
        """One event."""
        if event == "stage":
            self._stage(facts, now)
        elif event == "image_end":
            self._image_end(facts, now)
        elif event == "found":
            self.found += int(facts.get("number") or 0)
        elif event in ("api_paused", "disk_paused"):
            why = f"{facts.get('reason') or 'unknown'}: {facts.get('message') or ''}".rstrip(": ")
            self.pauses[event.removesuffix("_paused")] = clean_text(why)
        elif event in ("api_resumed", "disk_resumed"):
            self.pauses.pop(event.removesuffix("_resumed"), None)
        elif event == "draining":
            self.is_draining = True

    def _stage(self, facts: Mapping[str, Any], now: float) -> None:
        folder, path = str(facts.get("folder")), str(facts.get("path"))
        before = self._working.get((folder, path))
        self._working[folder, path] = Working(
            stage=str(facts.get("stage")),
            folder=clean_text(folder),
            path=clean_text(path),
            began_at=now if before is None else before.began_at,
        )

    def _image_end(self, facts: Mapping[str, Any], now: float) -> None:
        self._working.pop((str(facts.get("folder")), str(facts.get("path"))), None)
        self.bytes_read += facts.get("bytes_read") or 0
        self.bytes_sent += facts.get("bytes_sent") or 0
        outcome = str(facts.get("outcome"))
        if facts.get("reason") == VANISHED:
            outcome = VANISHED
        if outcome not in FINAL and outcome != VANISHED:
            return
        self.outcomes[outcome] += 1
        self._last_end_at = now
        self._ends.append((now, outcome in COSTS_A_TOKEN or bool(facts.get("request_id") and facts.get("reason"))))

    def per_second(self, now: float) -> float:
        """Images that come to an end a second, over the last two minutes."""
        while self._ends and now - self._ends[0][0] > WINDOW_SECONDS:
            self._ends.popleft()
        if not self._ends:
            return 0.0
        since = self._started_at
        if len(self._ends) == MOST_ENDS:
            since = self._ends[0][0]
        return len(self._ends) / max(1.0, min(WINDOW_SECONDS, now - since))

    def quiet_seconds(self, now: float) -> float:
        """Since when nothing came to an end."""
        return now - self._last_end_at

    def forecast(self, now: float) -> Forecast:
        """How long the rest takes."""
        expected = self.expected
        if expected is None or (self.pauses and expected > self.done):
            return Forecast(seconds=None, is_quota_bound=False)
        costly = sum(costs for _, costs in self._ends)
        share = (costly + _SHARE_OF_UNSEEN) / (len(self._ends) + _SHARE_OF_UNSEEN)
        return forecast(expected - self.done, per_second=self.per_second(now), uploads_share=share, quota=self.quota)

"""What a run did, in numbers that add up. INTERFACE.md, Commands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ingestor.disk import printable
from ingestor.model import Done, DoneAs, Outcome, Quarantined, QueuedSource, Skipped, Snoozed

MOST_PROBLEMS = 10_000
"""More are counted, but not listed: a list must not outgrow the memory of a run over a million files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemLine:
    path: str
    reason: str
    message: str
    request_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one run: `discovered` is always the sum of the seven that follow it."""

    discovered: int = 0
    uploaded: int = 0
    replayed: int = 0
    already_live: int = 0
    duplicates: int = 0
    skipped: int = 0
    deferred: int = 0
    quarantined: int = 0
    bytes_read: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    problems: list[ProblemLine] = field(default_factory=list)
    skipped_reasons: dict[str, int] = field(default_factory=dict)
    scanned: bool = False
    """Everything that there is has been found."""
    ended_by_scan: int = 0
    """Of those discovered: whose end a scan could tell, without an attempt."""
    closed: set[str] = field(default_factory=set)
    """Paths in line whose end was counted before it came: what still becomes of them is not counted again."""

    def as_json(self) -> dict[str, Any]:
        """The object that `backfill --json` prints."""
        counts = asdict(self)
        del counts["skipped_reasons"], counts["ended_by_scan"], counts["scanned"], counts["closed"]
        counts["seconds"] = round(self.seconds, 3)
        return counts

    @property
    def accounted(self) -> int:
        """How many of those discovered have come to an end."""
        return (
            self.uploaded
            + self.replayed
            + self.already_live
            + self.duplicates
            + self.skipped
            + self.deferred
            + self.quarantined
        )

    def skip(self, skipped: Skipped) -> None:
        self.discovered += 1
        self.ended_by_scan += 1
        self._skip(skipped.path, skipped.reason, skipped.message)

    def close(self, path: str) -> bool:
        """The end of a path in line is about to be counted, whatever comes of it; False if it was before."""
        is_new = path not in self.closed
        self.closed.add(path)
        return is_new

    def end(self, queued: QueuedSource, outcome: Outcome) -> bool:
        """Count an attempt's end; False where the path stays in line."""
        path = str(queued.source.absolute)
        match outcome:
            case Done():
                self._done(outcome)
            case Quarantined():
                self.quarantine(path, outcome.reason, outcome.message, outcome.request_id)
            case Snoozed(reason="vanished" | "withdrawn"):
                self._skip(path, outcome.reason, outcome.message)
            case _:
                return False
        return True

    def _done(self, done: Done) -> None:
        match done.how:
            case DoneAs.UPLOADED | DoneAs.RENEWED:
                self.uploaded += 1
            case DoneAs.REPLAYED:
                self.replayed += 1
            case DoneAs.DUPLICATE:
                self.duplicates += 1
            case DoneAs.ALREADY_LIVE:
                self.already_live += 1
        self.bytes_read += done.bytes_read
        self.bytes_sent += done.bytes_sent

    def _skip(self, path: str, reason: str, message: str) -> None:
        self.skipped += 1
        self.skipped_reasons[reason] = self.skipped_reasons.get(reason, 0) + 1
        if message:
            self._problem(path, reason, message, None)

    def quarantine(self, path: str, reason: str, message: str, request_id: str | None) -> None:
        self.quarantined += 1
        self._problem(path, reason, message, request_id)

    def defer(self, path: str, reason: str, message: str, request_id: str | None = None) -> None:
        self.deferred += 1
        self._problem(path, reason, message, request_id)

    def _problem(self, path: str, reason: str, message: str, request_id: str | None) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(
                ProblemLine(path=printable(path), reason=reason, message=printable(message), request_id=request_id)
            )

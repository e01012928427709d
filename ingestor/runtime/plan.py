"""What a plan asks the ledger, and what it comes to."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ingestor.disk import printable
from ingestor.ledger.overview import Held
from ingestor.model import ContentId, Known
from ingestor.runtime.tally import MOST_PROBLEMS, ProblemLine


class Books(Protocol):
    """What a plan asks the ledger."""

    async def known(self, folder: str, directory: str, names: Sequence[str] | None = None) -> Mapping[str, Known]: ...

    async def source_sizes(self, among: Sequence[int]) -> frozenset[int]: ...

    async def standing_of(self, content_ids: Sequence[ContentId]) -> Mapping[ContentId, Held]: ...

    async def content_of(self, folder: str, path: str) -> ContentId | None: ...


class NoBooks:
    """Where there is no ledger yet: nothing is known."""

    async def known(self, folder: str, directory: str, names: Sequence[str] | None = None) -> Mapping[str, Known]:
        return {}

    async def source_sizes(self, among: Sequence[int]) -> frozenset[int]:
        return frozenset()

    async def standing_of(self, content_ids: Sequence[ContentId]) -> Mapping[ContentId, Held]:
        return {}

    async def content_of(self, folder: str, path: str) -> ContentId | None:
        return None


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a backfill would do; `discovered` is always the sum of what becomes of the files."""

    already_live: int = 0
    duplicates: int = 0
    new: int = 0
    changed: int = 0
    expired: int = 0
    """Uploaded before, and wanted again."""
    in_line: int = 0
    """Waiting already, as they are."""
    skipped: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    work: Counter[str] = field(default_factory=Counter)
    """Of those to be uploaded: `as_found`, else each of the words of `Payload.normalised`."""
    bytes_read: int = 0
    """Of the files to be uploaded."""
    problems: list[ProblemLine] = field(default_factory=list)
    live_until: array[float] = field(default_factory=lambda: array("d"))
    """When the ids of those that are live end, in epoch seconds."""

    @property
    def to_upload(self) -> int:
        """Each costs a token."""
        return self.new + self.changed + self.expired + self.in_line

    @property
    def discovered(self) -> int:
        others = self.skipped.total() + self.deferred.total() + self.quarantined.total()
        return self.already_live + self.duplicates + self.to_upload + others

    def live_that_end_by(self, instant: datetime) -> int:
        """How many of the ids that are live now will have ended by then."""
        return sum(until <= instant.timestamp() for until in self.live_until)

    def problem(self, path: str, reason: str, message: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(ProblemLine(path=printable(path), reason=reason, message=printable(message)))

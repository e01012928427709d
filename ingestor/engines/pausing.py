"""A disk at fault, or a ledger that cannot be reached: nothing begins, and nothing is blamed, until it is cured."""

from __future__ import annotations

from ingestor.model import Outcome, Snoozed
from ingestor.ports import Clock, Observer

DISK_SECONDS = 2.0
"""Between looks at a ledger whose disk is at fault."""

DISK_REASONS = frozenset({"disk", "disk_denied", "disk_full", "disk_read_only", "ledger_busy", "ledger"})
"""Of `DiskFault`; a ledger that cannot be reached is one as well."""


class DiskPause:
    """Told of faults and of what went well; says whether anything may begin. Each pause is told once, and its end."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._until: float | None = None

    @property
    def holds(self) -> bool:
        return self._until is not None and self._clock.monotonic() < self._until

    def notice(self, outcome: Outcome) -> None:
        """What an attempt's end says of the disk."""
        if isinstance(outcome, Snoozed) and outcome.reason in DISK_REASONS:
            self.failed(outcome.reason, outcome.message)
        elif not isinstance(outcome, Snoozed):
            self.went_well()

    def failed(self, reason: str, message: str) -> None:
        if self._until is None:
            self._observer.notice("disk_paused", reason=reason, message=message)
        self._until = self._clock.monotonic() + DISK_SECONDS

    def went_well(self) -> None:
        if self._until is not None:
            self._until = None
            self._observer.notice("disk_resumed")

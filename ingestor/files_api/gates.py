"""What an attempt passes and holds on its way to the API."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ingestor.model import Lane
from ingestor.policy.backoff import RATE_LIMITED, YIELD, retry_after
from ingestor.policy.verdicts import Call
from ingestor.ports import Quota

TRUSTED_HOLDS = 2
"""So many 429s in a row believe `Retry-After`; whoever is still refused then yields to whoever is not."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Which place in line a request may have."""

    call: Call
    lane: Lane
    urgent_at: float
    """From when on it goes before all others (monotonic)."""


@dataclass(slots=True)
class Turn:
    """What one attempt holds on its way."""

    has_token: bool = False
    has_slot: bool = False
    entered: int = 0
    """The round of its slot."""
    is_sent: bool = False


@dataclass(slots=True)
class Gate:
    """A quota, and how often in a row it was found empty."""

    quota: Quota
    in_a_row: int = 0
    until: float = field(default=-math.inf)

    def hold(self, told_seconds: float | None, now: float) -> float:
        """Hold everyone; many that met the same empty bucket count once."""
        if now >= self.until:
            self.in_a_row += 1
        seconds = retry_after(told_seconds, RATE_LIMITED.seconds(self.in_a_row))
        if self.in_a_row > TRUSTED_HOLDS:
            seconds = max(seconds, YIELD.seconds(self.in_a_row - TRUSTED_HOLDS))
        self.until = max(self.until, now + seconds)
        self.quota.hold(seconds)
        return seconds

    def went_well(self) -> None:
        self.in_a_row = 0

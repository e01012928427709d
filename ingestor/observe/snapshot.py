"""How things stand, as the runtime reads it from ledger and quota now and then, for metrics and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What no event tells. What is not known stays as it is here: None or empty."""

    queue: Mapping[str, int] = field(default_factory=dict)
    """State of those in line (`waiting`, `working`, …) to number of files."""
    oldest_waiting_seconds: float | None = None
    """Since when the file that has waited longest is in line; None: nobody waits."""
    entries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(folder, state) to number of paths: `model.Counts.by_state`."""
    next_expiry_at: datetime | None = None
    quota_left: int | None = None
    """Tokens that could be spent now."""
    quota_capacity: int | None = None
    quota_per_minute: float | None = None

"""The team's bucket as the ledger remembers it, brought forward to now."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime

from ingestor.model import Json
from ingestor.policy.forecast import Supply
from ingestor.policy.pacing import TokenBucket
from ingestor.quota.status import from_state
from ingestor.settings import QuotaSettings

_LEAST_PER_MINUTE = 1e-6
"""A bucket that never refills would take for ever, which no number says."""


def supply_of(quota: QuotaSettings, state: Json, now: datetime) -> Supply:
    """The team's bucket as it must stand now: as the ledger remembers it, else full, by the settings."""
    monotonic = time.monotonic()
    fresh = TokenBucket.full(quota.burst, quota.per_minute, monotonic)
    held = from_state(fresh, state, now, monotonic) if isinstance(state, Mapping) else None
    bucket = held or fresh
    others = state.get("others") if held is not None else 0
    learned = held is not None and bool(state.get("learned"))
    return Supply(
        tokens=bucket.tokens,
        capacity=bucket.capacity,
        per_minute=max(bucket.per_second * 60, _LEAST_PER_MINUTE),
        held_seconds=max(0.0, bucket.held_until - monotonic) if math.isfinite(bucket.held_until) else 0.0,
        learned=learned,
        is_exact=not learned or bucket.refill.is_narrow,
        others_spending=others if isinstance(others, int) else 0,
    )

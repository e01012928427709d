"""A quota as people and later processes see it: a line of `ingestor status`, and a row in the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ingestor.model import Json
from ingestor.policy.pacing import RateRange, TokenBucket

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaStatus:
    """What is left of the team's quota, as far as we know."""

    left: int
    capacity: int
    per_minute: float
    learned: bool
    """True: these are the API's own numbers; False: the setting's."""
    held_until: datetime | None
    """Nobody gets a token before (`Retry-After`)."""
    next_free_at: datetime | None
    """When the next token is there; None while an answer is waited for."""
    waiting: int
    """Requests that wait for a token."""
    in_flight: int
    others_spending: int
    """Tokens that somebody else was seen to take from the same team in the last minutes."""


def to_state(bucket: TokenBucket, wall: datetime, monotonic: float, others: int, reserve: float) -> dict[str, Json]:
    """The bucket as JSON, with wall time, so that another process can go on from it.

    `others` and `reserve`: tokens that somebody else was seen to take lately, and that are left for him.
    """
    now = bucket.to(monotonic)
    return {
        "v": VERSION,
        "at": wall.isoformat(),
        "tokens": round(now.tokens, 6),
        "capacity": now.capacity,
        "learned": now.learned,
        "low": now.refill.low,
        "high": None if math.isinf(now.refill.high) else now.refill.high,
        "held_seconds": max(0.0, now.held_until - monotonic),
        "others": others,
        "reserve": round(reserve, 3),
        "left": max(0, math.floor(now.tokens)),
        "per_minute": round(now.per_second * 60, 3),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Another spender, as a former process saw him."""

    tokens: float
    reserve: float
    ago_seconds: float


def others_of(state: Mapping[str, Json], wall: datetime) -> Others | None:
    """Whom a state tells of; None where there was nobody, or what it says makes no sense."""
    try:
        tokens, reserve = float(state["others"]), float(state["reserve"])
        ago_seconds = max(0.0, (wall - datetime.fromisoformat(state["at"])).total_seconds())
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not (tokens > 0 and reserve > 0 and math.isfinite(tokens) and math.isfinite(reserve)):
        return None
    return Others(tokens=tokens, reserve=reserve, ago_seconds=ago_seconds)


def from_state(fresh: TokenBucket, state: Mapping[str, Json], wall: datetime, monotonic: float) -> TokenBucket | None:
    """The bucket that `state` tells of, as it must stand now; None where the state makes no sense.

    Time that seems to have run backwards counts as none, so that a wrong clock never makes tokens.
    """
    try:
        if state["v"] != VERSION:
            return None
        gone = max(0.0, (wall - datetime.fromisoformat(state["at"])).total_seconds())
        high = math.inf if state["high"] is None else float(state["high"])
        bucket = replace(
            fresh,
            at=monotonic - gone,
            tokens=min(float(state["tokens"]), float(state["capacity"])),
            capacity=float(state["capacity"]),
            refill=RateRange(low=float(state["low"]), high=high),
            held_until=monotonic + float(state["held_seconds"]) - gone,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not (bucket.capacity >= 1 and 0 <= bucket.refill.low <= high and math.isfinite(bucket.tokens)):
        return None
    return bucket.to(monotonic)

"""Token buckets of the teams. CONTRACT.md, Rate limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ingestor.sandbox.options import Bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How full a bucket is after a call."""

    limit: int
    remaining: int
    full_at: float
    wait_seconds: float = 0.0
    """How long until the next token; 0 where this call got one."""

    def headers(self) -> dict[str, str]:
        """As a response tells it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.full_at)),
        }


class TokenBucket:
    """One team's tokens for one kind of call. Starts full; time is an argument."""

    def __init__(self, shape: Bucket, at: float, tokens: float | None = None) -> None:
        self._shape = shape
        self._tokens = float(shape.burst) if tokens is None else min(float(shape.burst), tokens)
        self._at = at

    def take(self, now: float) -> Level:
        """Take a token if there is one, and tell the level."""
        self._refill(now)
        # A hair of rounding must not refuse a client that waited exactly as long as it was told.
        if self._tokens >= 1 - 1e-6:
            self._tokens = max(0.0, self._tokens - 1)
            return self.level(now)
        return self.level(now, wait_seconds=(1 - self._tokens) / self._per_second)

    def level(self, now: float, wait_seconds: float = 0.0) -> Level:
        """The level, without taking anything."""
        self._refill(now)
        return Level(
            limit=self._shape.burst,
            remaining=int(self._tokens + 1e-6),
            full_at=now + (self._shape.burst - self._tokens) / self._per_second,
            wait_seconds=wait_seconds,
        )

    def state(self) -> tuple[float, float]:
        """Tokens, and when they were counted."""
        return self._tokens, self._at

    @property
    def _per_second(self) -> float:
        return self._shape.per_minute / 60

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._tokens = min(float(self._shape.burst), self._tokens + passed * self._per_second)
        self._at = max(self._at, now)


class Buckets:
    """Every team's buckets: one for uploads, one for all other calls."""

    def __init__(self, uploads: Bucket, others: Bucket, state: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._shapes = {True: uploads, False: others}
        self._buckets: dict[str, TokenBucket] = {}
        self._kept = dict(state or {})

    def take(self, team: str, now: float, *, upload: bool) -> Level:
        """Take a token of the team."""
        return self._bucket(team, now, upload=upload).take(now)

    def level(self, team: str | None, now: float, *, upload: bool) -> Level:
        """The level of the team, without taking anything; of a full bucket where nobody knows the caller."""
        bucket = TokenBucket(self._shapes[upload], now) if team is None else self._bucket(team, now, upload=upload)
        return bucket.level(now)

    def state(self) -> dict[str, tuple[float, float]]:
        """What continues the buckets after a restart."""
        return self._kept | {name: bucket.state() for name, bucket in self._buckets.items()}

    def _bucket(self, team: str, now: float, *, upload: bool) -> TokenBucket:
        name = f"{'upload' if upload else 'get'}:{team}"
        if name not in self._buckets:
            tokens, at = self._kept.get(name, (None, now))
            self._buckets[name] = TokenBucket(self._shapes[upload], at, tokens)
        return self._buckets[name]

"""Tokens, time and lives: what a number of uploads takes, and which of its ids are good together.

Each upload costs a token of the team's bucket, and each id ends a fixed time after its upload (CONTRACT.md, Rate
limits and File object). Numbers in, numbers out; times are seconds from now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ID_SECONDS = 24 * 3600.0
"""How long an id is good for. CONTRACT.md, File object."""

_ROUNDING = 1e-9
"""A token that is there but for the last bit of a float is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What the bucket gives from now on."""

    tokens: float
    """There now; below 0 while it pays a debt back."""
    capacity: float
    per_minute: float
    held_seconds: float = 0.0
    """Nobody gets a token for this long (`Retry-After`)."""
    learned: bool = False
    """True: these are the API's own numbers; False: the setting's."""
    is_exact: bool = True
    """False: the API has told too little yet of how fast the bucket fills; `per_minute` is a careful guess."""
    others_spending: int = 0
    """Tokens that somebody else took from the same team lately: then it takes longer than told."""

    @property
    def largest_alive_set(self) -> int:
        """How many ids can be good at the same time: a full bucket and all that it gains in the life of an id."""
        return math.floor(self.capacity + self.per_minute / 60 * ID_SECONDS)

    def seconds_of(self, number: int) -> float:
        """When the upload with this number, from 1, gets its token, if nothing but the quota takes time."""
        if number <= 0:
            return 0.0
        missing = number - self.tokens
        if missing <= 0:
            return self.held_seconds
        return max(self.held_seconds, missing / self.per_minute * 60)

    def sent_before(self, seconds: float) -> int:
        """How many uploads have their token before so many seconds, if they never wait for anything else."""
        if seconds <= self.held_seconds:
            return 0
        return max(0, math.ceil(self.tokens + self.per_minute / 60 * seconds - _ROUNDING) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What becomes of a run of uploads."""

    uploads: int
    seconds: float
    """Until the last of them has its token."""
    expired_before_end: int
    """Ids of this very run that have ended before its last upload leaves."""
    largest_alive_set: int

    @property
    def fits(self) -> bool:
        """Whether every id of the run is good at its end."""
        return self.expired_before_end == 0


def forecast(uploads: int, supply: Supply) -> Forecast:
    """What so many uploads take at the present quota, and how many of their ids end before the last one begins."""
    seconds = supply.seconds_of(uploads)
    expired = min(uploads, supply.sent_before(seconds - ID_SECONDS))
    return Forecast(
        uploads=uploads,
        seconds=seconds,
        expired_before_end=expired,
        largest_alive_set=supply.largest_alive_set,
    )

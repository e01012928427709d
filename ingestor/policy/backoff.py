"""How long to wait before the next try. Chance is an argument, so that every wait can be tested."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A wait that doubles from `first_seconds` up to `most_seconds`.

    `jitter` is the share of the wait that chance may take away: many clients that failed together come back
    apart, and none of them later than it was told.
    """

    first_seconds: float
    most_seconds: float
    jitter: float = 0.0

    def seconds(self, failures: int, chance: float = 0.0) -> float:
        """The wait after this many failures in a row (from 1); `chance` is in [0, 1)."""
        doublings = min(max(failures - 1, 0), 62)
        wait = min(self.first_seconds * 2.0**doublings, self.most_seconds)
        return wait * (1.0 - self.jitter * chance)


SERVER_FAULT = Backoff(first_seconds=1.0, most_seconds=30.0, jitter=0.5)
"""5xx and broken connections. CONTRACT.md, Errors."""

KEY_IN_FLIGHT = Backoff(first_seconds=0.5, most_seconds=8.0)
"""409 while the first request with the key still runs. CONTRACT.md, Idempotency."""

CROWDED = Backoff(first_seconds=0.5, most_seconds=8.0, jitter=0.5)
"""A 429 because too many requests are in flight; at least."""

RATE_LIMITED = Backoff(first_seconds=2.0, most_seconds=60.0)
"""A 429 that names no `Retry-After`. Two seconds are one token at the default tier."""

YIELD = Backoff(first_seconds=2.0, most_seconds=8.0)
"""At least, after several 429s in a row: somebody else takes each token as it comes, so we ask less often."""

PROBE = Backoff(first_seconds=1.0, most_seconds=60.0, jitter=0.1)
"""Between probes of an API that is down."""

MOST_RETRY_AFTER_SECONDS = 3600.0
"""No answer makes us wait longer than this without looking again."""


def retry_after(told_seconds: float | None, otherwise: float) -> float:
    """What the API told us to wait, within reason, else `otherwise`."""
    if told_seconds is None:
        return otherwise
    return min(max(told_seconds, 0.0), MOST_RETRY_AFTER_SECONDS)

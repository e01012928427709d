"""How long an id is good for. The API purges at `expires_at`, to the second (CONTRACT.md, File object)."""

from __future__ import annotations

from datetime import datetime, timedelta

REPLAY_WINDOW = timedelta(hours=24)
"""From the first request with a key. CONTRACT.md, Idempotency."""

REPLAY_MARGIN = timedelta(minutes=30)
"""An id with less than this left is no use to whoever reads the manifest: the next generation follows at once."""


def is_live(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and now < expires_at


def key_may_replay(first_sent_at: datetime, now: datetime) -> bool:
    """Whether the API still remembers the first request with a key.

    After the window a key starts fresh, and what it had stored has been purged at the same instant.
    """
    return now - first_sent_at < REPLAY_WINDOW


def is_worth_listing(expires_at: datetime, now: datetime) -> bool:
    return expires_at - now > REPLAY_MARGIN

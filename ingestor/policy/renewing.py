"""When ids are uploaded again, so that no image that should be alive ever has none. Numbers in, numbers out.

Each id has a last moment at which its successor may be sent: `MARGIN_SECONDS` before its end, or so much earlier that
all that end after it can be sent as well, one after another at the pace that renewals may have. That is a schedule
backwards from the last end; whoever ends first goes first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ingestor.policy.forecast import ID_SECONDS

RENEWS = "while-source-exists"
"""What a folder's `renew` says where its ids are kept alive."""

MARGIN_SECONDS = 30 * 60.0
"""Before its end an id's successor is there: for an outage, a restart, a queue. It costs 2 % of the quota."""

URGENT_SECONDS = 20 * 60.0
"""Before its end a renewal that is still in line goes before fresh drops: they can wait, its image would be gone."""

SHARE = 0.8
"""Of the quota's refill that renewals are planned with: the rest is for fresh drops and for what goes wrong."""


def due_now(seconds_left: Sequence[float], per_second: float) -> int:
    """How many of the ids, in the order of their ends, have to be renewed now.

    `seconds_left`: until the end of each, ascending. `per_second`: the quota's refill.
    """
    pace = 1.0 / (per_second * SHARE)
    latest = math.inf
    due = 0
    for number in range(len(seconds_left) - 1, -1, -1):
        latest = min(seconds_left[number] - MARGIN_SECONDS, latest - pace)
        if latest <= 0:
            due = number + 1
            break
    return due


def most_kept_alive(per_minute: float) -> int:
    """How many ids a quota can keep alive for ever: what it sends in the life of an id, but for the margin."""
    return math.floor(per_minute / 60 * SHARE * (ID_SECONDS - MARGIN_SECONDS))


def cannot_be_kept(images: int, per_minute: float, *, at_least: bool = False) -> str | None:
    """Why so many different images cannot be kept alive, with the arithmetic; None if they can.

    `at_least`: there may be more of them.
    """
    most = most_kept_alive(per_minute)
    if images <= most:
        return None
    hours = (ID_SECONDS - MARGIN_SECONDS) / 3600
    number = f"at least {images:,}" if at_least else f"{images:,}"
    return (
        f"{number} different images in folders with `renew: while-source-exists`, but at {per_minute:g} uploads a "
        f"minute at most {most:,} can be kept alive ({per_minute:g} a minute x {SHARE:.0%} x 60 x {hours:g} hours); "
        "set `renew: never` for some folders, or ask for a higher quota"
    )

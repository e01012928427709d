"""When it will be done, honestly: not before the quota allows it, and nothing where nothing is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestor.observe.wording import clock_time, in_words, number
from ingestor.policy.expiry import REPLAY_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaView:
    """What a forecast needs to know of the team's quota."""

    per_minute: float
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long what is left will take; None: there is nothing to tell it from."""

    seconds: float | None
    is_quota_bound: bool


def forecast(remaining: int, *, per_second: float, uploads_share: float, quota: QuotaView | None) -> Forecast:
    """The longer of two times: what this machine needs at its present rate, and what the quota allows.

    `per_second`: images that come to an end, 0 where none did lately. `uploads_share`: how many of them cost a token.
    """
    if remaining <= 0:
        return Forecast(seconds=0.0, is_quota_bound=False)
    work = remaining / per_second if per_second > 0 else None
    missing = 0.0 if quota is None else remaining * uploads_share - quota.left
    if quota is None or missing <= 0:
        return Forecast(seconds=work, is_quota_bound=False)
    allowed = missing / quota.per_minute * 60 if quota.per_minute > 0 else math.inf
    if math.isinf(allowed):
        return Forecast(seconds=None, is_quota_bound=True)
    # Who waits for tokens all the time shows just the quota's rate, give or take what a window catches.
    is_bound = work is None or allowed >= 0.8 * work
    return Forecast(seconds=max(allowed, work or 0.0), is_quota_bound=is_bound)


def forecast_words(expected: Forecast, quota: QuotaView | None, now: datetime) -> list[str]:
    """The forecast as pieces of one sentence: `quota bound: 30/min`, `done at 17:40`. `now` in the reader's zone."""
    pieces = [f"quota bound: {number(quota.per_minute)}/min"] if expected.is_quota_bound and quota is not None else []
    if expected.seconds is None:
        return [*pieces, "no end in sight" if pieces else "no forecast yet"]
    end = now + timedelta(seconds=min(expected.seconds, 10 * 365 * 86400.0))
    if expected.seconds < 60:
        return [*pieces, f"done in {in_words(expected.seconds)}"]
    pieces = [*pieces, f"done {clock_time(end, now)}"]
    if expected.seconds > REPLAY_WINDOW.total_seconds():
        pieces.append("after the first ids expire")
    return pieces

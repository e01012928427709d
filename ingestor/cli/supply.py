"""The team's quota as `status` and `plan` tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestor.observe.wording import in_words, number
from ingestor.policy.forecast import Supply


def supply_numbers(supply: Supply) -> dict[str, Any]:
    """JSON."""
    return {
        "left": max(0, int(supply.tokens + 1e-9)) if not supply.held_seconds else 0,
        "capacity": round(supply.capacity),
        "per_minute": round(supply.per_minute, 3),
        "learned": supply.learned,
        "exact": supply.is_exact,
        "held_seconds": round(supply.held_seconds, 3),
        "others_spending": supply.others_spending,
        "largest_alive_set": supply.largest_alive_set,
    }


def supply_words(quota: Mapping[str, Any]) -> str:
    """The same as one sentence."""
    whose = "as the API says" if quota["learned"] else "as the settings say, until the API tells"
    if not quota["exact"]:
        whose = "by the little that the API has told so far"
    rate = f"{'' if quota['exact'] else 'about '}{number(quota['per_minute'])}"
    words = f"{number(quota['left'])} of {number(quota['capacity'])} left, {rate} a minute"
    held = f"; held by the API for {in_words(max(1.0, quota['held_seconds']))}" if quota["held_seconds"] else ""
    others = f"; others of the team took {number(quota['others_spending'])} lately" if quota["others_spending"] else ""
    return f"{words} ({whose}){held}{others}"

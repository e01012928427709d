"""What the daemon is doing now, as `ingestor status` and the page tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestor.files_api import BreakerStatus, SlotsStatus
from ingestor.observe.recent import Recent
from ingestor.runtime.parts import Parts

RUNTIME_FACT = "runtime.status"
"""The ledger's name for what the daemon writes there every few seconds."""
CHART_FACT = "runtime.chart"
"""And for the last day's minutes, so that the page's chart outlives a restart."""


def status_now(parts: Parts, recent: Recent) -> dict[str, Any]:
    """API, folders, and what is waited for. JSON."""
    told = recent.snapshot()
    api = _api(parts.breaker())
    quota, slots = parts.upload_quota(), parts.slots()
    held = held_up(parts, told["paused"])
    return {
        "started_at": told["started_at"],
        "api": api,
        "paused": told["paused"],
        "folders": told["folders"],
        "waiting_for": None if held is None else held.message,
        "uploads": {"in_flight": slots.in_flight, "at_once": slots.limit, "most": slots.most},
        "quota": {
            "left": quota.left,
            "capacity": quota.capacity,
            "per_minute": quota.per_minute,
            "waiting": quota.waiting,
            "others_spending": quota.others_spending,
            "held_until": _text(quota.held_until),
        },
    }


def _api(breaker: BreakerStatus) -> dict[str, Any]:
    return {
        "is_open": breaker.is_open,
        "reason": breaker.reason,
        "message": breaker.message,
        "since": _text(breaker.since),
        "next_probe_at": _text(breaker.next_probe_at),
    }


@dataclass(frozen=True, slots=True)
class HeldUp:
    """What everything waits for now."""

    reason: str
    """`api`, `disk`, `quota` or `concurrency`."""
    message: str


def held_up(parts: Parts, paused: Mapping[str, Any]) -> HeldUp | None:
    """What holds everything up now, None: nothing does. `paused`: what the observer was told of disks."""
    breaker, quota = parts.breaker(), parts.upload_quota()
    if breaker.is_open:
        return HeldUp("api", f"the API: {breaker.message}")
    if "disk" in paused:
        what = "the ledger" if paused["disk"]["reason"] == "ledger" else "a disk"
        return HeldUp("disk", f"{what}: {paused['disk']['message']}")
    if not quota.waiting:
        return None
    slots, free_at = parts.slots(), quota.next_free_at
    if free_at is not None and free_at <= parts.clock.now():
        # With tokens to be had it is only the number of uploads in flight that they wait for.
        return HeldUp("concurrency", _crowded(slots)) if slots.is_short else None
    when = f", the next one is there at {free_at:%H:%M:%S}" if free_at else ""
    return HeldUp("quota", f"quota: {quota.waiting} uploads wait for tokens{when}")


def _crowded(slots: SlotsStatus) -> str:
    uploads = "one upload" if slots.limit == 1 else f"{slots.limit} uploads"
    return f"the API or the link, which takes only {uploads} at once, of {slots.most} that `api.concurrency` allows"


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds").replace("+00:00", "Z")

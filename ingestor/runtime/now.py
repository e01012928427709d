"""What the daemon is doing now, as `ingestor status` and the page tell it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ingestor.files_api import BreakerStatus
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
    quota = parts.upload_quota()
    return {
        "started_at": told["started_at"],
        "api": api,
        "paused": told["paused"],
        "folders": told["folders"],
        "waiting_for": _waiting_for(api, told["paused"], quota.waiting, quota.next_free_at),
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


def _waiting_for(
    api: dict[str, Any], paused: dict[str, Any], waiting: int, next_free_at: datetime | None
) -> str | None:
    if api["is_open"]:
        return f"the API: {api['message']}"
    if "disk" in paused:
        what = "the ledger" if paused["disk"]["reason"] == "ledger" else "a disk"
        return f"{what}: {paused['disk']['message']}"
    if waiting:
        return f"quota: {waiting} uploads wait for tokens" + (
            f", the next one is there at {next_free_at:%H:%M:%S}" if next_free_at else ""
        )
    return None


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds").replace("+00:00", "Z")

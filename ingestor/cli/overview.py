"""How everything stands: the object that `ingestor status --json` prints."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ingestor.app import UPLOAD_QUOTA_FACT, read_ledger
from ingestor.cli.instants import rfc3339
from ingestor.cli.plan_numbers import quota_numbers
from ingestor.errors import DiskFault
from ingestor.ledger import holder_of
from ingestor.ledger.overview import Quarantine, Stand
from ingestor.runtime.planning import supply_of
from ingestor.runtime.tally import printable
from ingestor.settings import Settings

RUNTIME_FACT = "runtime.status"
"""What a running daemon says of itself."""

STATES = ("waiting", "sending", "renewing", "live", "expired", "purged", "quarantined", "vanished")


async def snapshot(settings: Settings) -> dict[str, Any]:
    """How everything stands now. Raises `LedgerUnreadable` where there is no ledger."""
    now = datetime.now(UTC)
    async with read_ledger(settings) as ledger:
        stands = await ledger.stands()
        quarantines = await ledger.quarantines()
        live_ids = await ledger.live_ids()
        facts = await ledger.facts()
    running, holder = _daemon(settings)
    runtime = facts.get(RUNTIME_FACT)
    told: dict[str, Any] = runtime if isinstance(runtime, dict) else {}
    return {
        "at": rfc3339(now),
        "settings": printable(str(settings.source_file)),
        "ledger": printable(str(settings.ledger)),
        "manifest": printable(str(settings.manifest)),
        "daemon": {"running": running, "holder": holder},
        "folders": _folders(settings, stands, told.get("folders")),
        "total": {**_counts(stands), "live_ids": live_ids},
        "quarantined": [_quarantine(one) for one in quarantines],
        "next_expiry_at": rfc3339(_first(stand.next_expiry_at for stand in stands)),
        "next_attempt_at": rfc3339(_first(stand.next_attempt_at for stand in stands)),
        "quota": quota_numbers(supply_of(settings.api.quota, facts.get(UPLOAD_QUOTA_FACT), now)),
        "api": told.get("api") if running else None,
        "waiting_for": told.get("waiting_for") if running else None,
    }


def _daemon(settings: Settings) -> tuple[bool, str | None]:
    holder = None
    with contextlib.suppress(DiskFault):
        holder = holder_of(settings.ledger)
    return holder is not None, holder


def _folders(settings: Settings, stands: Sequence[Stand], told: Any) -> list[dict[str, Any]]:
    configured = {folder.name: folder for folder in settings.folders}
    others = sorted({stand.folder for stand in stands} - set(configured))
    watches = told if isinstance(told, dict) else {}
    return [
        {
            "name": name,
            "path": printable(str(configured[name].path)) if name in configured else None,
            "configured": name in configured,
            **_counts([stand for stand in stands if stand.folder == name]),
            "watch": watches.get(name),
        }
        for name in [*configured, *others]
    ]


def _counts(stands: Sequence[Stand]) -> dict[str, int]:
    counts = {state: sum(stand.number for stand in stands if stand.state == state) for state in STATES}
    return counts | {
        "expiring_1h": sum(stand.expiring_1h for stand in stands),
        "expiring_6h": sum(stand.expiring_6h for stand in stands),
    }


def _quarantine(one: Quarantine) -> dict[str, Any]:
    return {"folder": one.folder, "reason": one.reason, "number": one.number}


def _first(instants: Any) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)

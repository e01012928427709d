"""How everything stands: the object that `ingestor status --json` prints.

    at, settings, ledger, manifest    when this was looked at; paths
    ledger_exists                     false: nothing has run yet, and all numbers are 0
    daemon                            running, holder (who works with the ledger, in words, or null)
    folders                           for each: name, path (null: not in the settings, or not any more), problem (why it
                                      cannot be read, or null), served (false: nobody takes what waits there), counts,
                                      watch
    total                             the same counts over all folders, and live_ids (different ids)
    quarantined                       folder, reason, number; the most first
    next_expiry_at, next_attempt_at   of ids that are good; of paths that wait
    quota                             left, capacity, per_minute, learned (by an answer), exact (false: per_minute is a
                                      guess), held_seconds, others_spending, largest_alive_set
    renewals                          null where no folder renews, else images (different ones with a good id and a
                                      source in such folders), most (that the quota keeps alive), problem (why
                                      that is too many, in words, or null)
    api                               is_open (true: paused), reason, message, since, next_probe_at; null: unknown
    waiting_for                       what holds everything up, in words, or null
    uploads                           in_flight, at_once (as many as may be), most (`api.concurrency`); null: unknown
    clock_slow_seconds                how far this machine's clock is behind the API's; instants are corrected for it
    hooks                             pending (messages that hooks have not taken yet)
    machines                          null, or of a shared ledger: stations (name, daemon), workers (worker, station,
                                      host, process, what, version, since, silent_seconds, jobs), jobs (queue, state,
                                      number, later), leads (what is led, by whom)

Counts are of paths: waiting, sending, renewing, live (of them expiring_1h and expiring_6h), expired, purged,
quarantined, vanished. `watch` is what the daemon says of a folder, or null: mode, why, degraded, present, found,
rescued, last_event_at, last_scan_at, last_scan_files, last_scan_seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ingestor.app import UPLOAD_QUOTA_FACT
from ingestor.cli.reading import holder, ledger_if_any
from ingestor.cli.supply import supply_numbers
from ingestor.disk import printable
from ingestor.ledger import LedgerReader
from ingestor.ledger.overview import STATES, Stand
from ingestor.observe.instants import rfc3339
from ingestor.policy.forecast import Supply
from ingestor.policy.renewing import RENEWS, cannot_be_kept, most_kept_alive
from ingestor.runtime.now import RUNTIME_FACT
from ingestor.runtime.supply import supply_of
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import DatabaseUrl, Settings
from ingestor.settings.checking import folder_mistakes

WATCH = "ingestor watch"
"""How a daemon calls itself as the ledger's holder."""


async def standing(settings: Settings) -> dict[str, Any]:
    """How everything stands now. Raises `LedgerUnreadable`."""
    async with ledger_if_any(settings) as ledger:
        found = await _asked(ledger, settings) if ledger is not None else _NOTHING
    now = SystemClock().now()
    who = holder(settings)
    told = _mapping(found["facts"].get(RUNTIME_FACT))
    stands: Sequence[Stand] = found["stands"]
    unserved = _unserved(settings, stands, who)
    supply = supply_of(settings.api.quota, found["facts"].get(UPLOAD_QUOTA_FACT), now)
    return {
        "at": rfc3339(now),
        "settings": printable(str(settings.source_file)),
        "ledger": printable(str(settings.ledger)),
        "manifest": printable(str(settings.manifest)),
        "ledger_exists": found is not _NOTHING,
        "daemon": {"running": who is not None, "holder": who},
        "folders": _folders(settings, stands, unserved, _mapping(told.get("folders"))),
        "total": {**_counts(stands), "live_ids": found["live_ids"]},
        "quarantined": [
            {"folder": one.folder, "reason": one.reason, "number": one.number} for one in found["quarantines"]
        ],
        "next_expiry_at": rfc3339(_first(stand.next_expiry_at for stand in stands)),
        "next_attempt_at": rfc3339(_first(one.next_attempt_at for one in stands if one.folder not in unserved)),
        "quota": {**supply_numbers(supply), **(_left_now(told) if who else {})},
        "renewals": _renewals(found["kept_alive"], supply) if _renewing(settings) else None,
        # What a daemon that is gone waited for, nobody waits for any more.
        "api": (_mapping(told.get("api")) or None) if who else None,
        "waiting_for": told.get("waiting_for") if who else None,
        "uploads": (_mapping(told.get("uploads")) or None) if who else None,
        "clock_slow_seconds": round(SystemClock.correction(), 3),
        "hooks": {"pending": found["pending_deliveries"]},
        "machines": found["machines"],
    }


_NOTHING: Mapping[str, Any] = {
    "stands": (),
    "quarantines": (),
    "live_ids": 0,
    "kept_alive": 0,
    "facts": {},
    "pending_deliveries": 0,
    "machines": None,
}


async def _asked(ledger: LedgerReader, settings: Settings) -> Mapping[str, Any]:
    renewing = _renewing(settings)
    return {
        "stands": await ledger.stands(),
        "quarantines": await ledger.quarantines(),
        "live_ids": await ledger.live_ids(),
        "kept_alive": await ledger.kept_alive(renewing) if renewing else 0,
        "facts": await ledger.facts(),
        "pending_deliveries": await ledger.pending_deliveries(),
        "machines": await ledger.machines(),
    }


def _left_now(told: Mapping[str, Any]) -> Mapping[str, int]:
    """As a daemon that is at work has it: what is brought forward from the ledger, it has spent by now."""
    left = _mapping(told.get("quota")).get("left")
    return {"left": left} if isinstance(left, int) else {}


def _renewing(settings: Settings) -> list[str]:
    return [folder.name for folder in settings.folders if folder.renew == RENEWS]


def _renewals(images: int, supply: Supply) -> Mapping[str, Any]:
    return {
        "images": images,
        "most": most_kept_alive(supply.per_minute),
        "problem": cannot_be_kept(images, supply.per_minute),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    """What a daemon told, of whichever version it is: anything but an object counts as nothing."""
    return value if isinstance(value, Mapping) else {}


def _unserved(settings: Settings, stands: Sequence[Stand], who: str | None) -> set[str]:
    """Folders that nobody takes from the line. Of a shared ledger others may have them; of a run, its command line."""
    may_be_served = isinstance(settings.ledger, DatabaseUrl) or (who is not None and not who.startswith(WATCH))
    return set() if may_be_served else {stand.folder for stand in stands} - {one.name for one in settings.folders}


def _folders(
    settings: Settings, stands: Sequence[Stand], unserved: Collection[str], watches: Mapping[str, Any]
) -> list[dict[str, Any]]:
    paths = {folder.name: printable(str(folder.path)) for folder in settings.folders}
    problems = {folder.name: next(folder_mistakes(folder), None) for folder in settings.folders}
    others = sorted({stand.folder for stand in stands} - set(paths))
    return [
        {
            "name": name,
            "path": paths.get(name),
            "problem": problems.get(name),
            "served": name not in unserved,
            **_counts([stand for stand in stands if stand.folder == name]),
            "watch": dict(_mapping(watches.get(name))) or None,
        }
        for name in [*paths, *others]
    ]


def _counts(stands: Sequence[Stand]) -> dict[str, int]:
    counts = {state: sum(stand.number for stand in stands if stand.state == state) for state in STATES}
    return counts | {
        "expiring_1h": sum(stand.expiring_1h for stand in stands),
        "expiring_6h": sum(stand.expiring_6h for stand in stands),
    }


def _first(instants: Iterable[datetime | None]) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)

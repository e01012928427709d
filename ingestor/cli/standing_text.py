"""`ingestor status` for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ingestor.cli.machines_text import print_machines
from ingestor.cli.supply import supply_words
from ingestor.cli.tables import Cell, Column, facts, heading, table, text
from ingestor.observe.instants import parsed, relative, when
from ingestor.observe.wording import counted, in_words, number
from ingestor.policy.formats import REASONS

Status = Mapping[str, Any]

_COUNTS = ("waiting", "sending", "live", "<1h", "<6h", "ended", "quarantined")
MOST_REASONS = 10
CLOCK_SECONDS = 2.0
"""Less than this between two clocks is nobody's business."""


def print_status(status: Status) -> None:
    now = parsed(status["at"]) or datetime.now(UTC)
    facts(_summary(status, now))
    _folders(status)
    _watches(status, now)
    print_machines(status["machines"])
    _quarantined(status)


def _summary(status: Status, now: datetime) -> list[tuple[str, object]]:
    running = status["daemon"]["holder"] or "nothing; `ingestor watch` starts it"
    pairs: list[tuple[str, object]] = [("running", running)]
    if not status["ledger_exists"]:
        pairs.append(("ledger", f"{status['ledger']} is not there yet: nothing has run on these settings"))
    api = status["api"]
    if api and api.get("is_open"):
        pairs.append(("API", Cell(_paused(api, now), "bold red")))
    if status["waiting_for"]:
        pairs.append(("waits for", Cell(status["waiting_for"], "yellow")))
    pairs.append(("quota", supply_words(status["quota"])))
    pairs += _at_once(status["uploads"])
    most = number(status["quota"]["largest_alive_set"])
    pairs.append(("live ids", f"{number(status['total']['live_ids'])}; at most {most} can be alive at once"))
    pairs += _renewals(status["renewals"])
    if abs(status["clock_slow_seconds"]) >= CLOCK_SECONDS:
        pairs.append(("clock", Cell(_clock(status["clock_slow_seconds"]), "yellow")))
    pending = status["hooks"]["pending"]
    if pending:
        pairs.append(("hooks", Cell(f"{number(pending)} still to be told", "yellow")))
    return pairs + _next(status, now) + _left_in_line(status)


def _at_once(uploads: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    """Told while it is fewer than was asked for."""
    limit, most = _whole((uploads or {}).get("at_once")), _whole((uploads or {}).get("most"))
    if not 0 < limit < most:
        return []
    allowed = f"{counted(limit, 'upload')} of {number(most)} that `api.concurrency` allows"
    words = f"{allowed}: the API or the link took no more"
    return [("at once", Cell(words, "yellow"))]


def _renewals(renewals: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    if renewals is None:
        return []
    if renewals["problem"]:
        return [("renewals", Cell(renewals["problem"], "bold red"))]
    images = counted(renewals["images"], "different image")
    return [("renewals", f"{images} kept alive, of {number(renewals['most'])} that this quota can renew")]


def _clock(slow_seconds: float) -> str:
    way = "slow" if slow_seconds > 0 else "fast"
    return f"this machine's is {in_words(abs(slow_seconds))} {way}; ids are counted by the API's"


def _next(status: Status, now: datetime) -> list[tuple[str, object]]:
    expiry, attempt = parsed(status["next_expiry_at"]), parsed(status["next_attempt_at"])
    pairs: list[tuple[str, object]] = []
    if expiry is not None:
        pairs.append(("next expiry", when(expiry, now)))
    if attempt is not None:
        due = f"due since {relative(attempt, now).removesuffix(' ago')}"
        pairs.append(("next attempt", when(attempt, now) if attempt > now else due))
    return pairs


def _left_in_line(status: Status) -> list[tuple[str, object]]:
    """What waits where nobody takes it."""
    pairs: list[tuple[str, object]] = []
    for folder in status["folders"]:
        waiting = folder["waiting"] + folder["sending"] + folder["renewing"]
        if waiting and not folder["served"]:
            what = f"{counted(waiting, 'image')} of {folder['name']}, a folder that is not in the settings"
            pairs.append(("left in line", Cell(f"{what}: add it, or name its path to `ingestor backfill`", "yellow")))
    return pairs


def _paused(api: Mapping[str, Any], now: datetime) -> str:
    since, probe = parsed(api.get("since")), parsed(api.get("next_probe_at"))
    began = f" since {when(since, now)}" if since else ""
    again = f"; tried again {relative(probe, now)}" if probe else ""
    return f"paused{began}: {api.get('message') or api.get('reason')}{again}"


def _folders(status: Status) -> None:
    rows = [_row(_name(folder), folder) for folder in status["folders"]]
    if len(rows) > 1:
        rows.append(_row("all", status["total"]))
    if not rows:
        heading("No folders are set")
        return
    heading("Folders")
    table([Column("folder", grows=True), *(Column(title, right=True) for title in _COUNTS)], rows, indent=2)
    for folder in status["folders"]:
        if folder["problem"]:
            text(f"{folder['name']}: {folder['problem']}", style="bold red", indent=2)


def _name(folder: Mapping[str, Any]) -> str:
    return f"{folder['name']}" if folder["served"] else f"{folder['name']} (not in the settings)"


def _row(name: str, counts: Mapping[str, int]) -> list[object]:
    bad = counts["quarantined"]
    soon = counts["expiring_1h"]
    return [
        name,
        number(counts["waiting"]),
        number(counts["sending"] + counts["renewing"]),
        number(counts["live"]),
        Cell(number(soon), "yellow" if soon else ""),
        number(counts["expiring_6h"]),
        number(counts["expired"] + counts["purged"]),
        Cell(number(bad), "bold red" if bad else ""),
    ]


def _watches(status: Status, now: datetime) -> None:
    there = {folder["name"] for folder in status["folders"] if not folder["problem"]}
    watched = [(folder["name"], folder["watch"]) for folder in status["folders"] if folder["watch"]]
    if not watched:
        return
    heading("Watching" if status["daemon"]["running"] else "When it last ran")
    columns = ["folder", "mode", "last event", "last scan", "files", "rescued"]
    rows = [
        [
            name,
            watch.get("mode") or "",
            _ago(watch.get("last_event_at"), now),
            _ago(watch.get("last_scan_at"), now),
            number(_whole(watch.get("last_scan_files"))),
            number(_whole(watch.get("rescued"))),
        ]
        for name, watch in watched
    ]
    table([Column(title, right=title in columns[4:], grows=title == "folder") for title in columns], rows, indent=2)
    for name, watch in watched:
        if watch.get("present") is False and name in there:
            text(f"{name}: its folder is not there", style="bold red", indent=2)
        elif watch.get("degraded"):
            text(f"{name}: degraded: {watch.get('why')}", style="yellow", indent=2)


def _ago(value: object, now: datetime) -> str:
    instant = parsed(value)
    return "never" if instant is None else relative(instant, now)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _quarantined(status: Status) -> None:
    reasons = status["quarantined"]
    if not reasons:
        return
    heading("Quarantined")
    rows = [(one["folder"], one["reason"], number(one["number"]), _meaning(one["reason"])) for one in reasons]
    titles = [Column("folder"), Column("reason"), Column("images", right=True), Column("meaning", grows=True)]
    table(titles, rows[:MOST_REASONS], indent=2)
    if len(rows) > MOST_REASONS:
        text(f"and {len(rows) - MOST_REASONS} more reasons; --json has them", indent=2)
    text("`ingestor explain PATH` tells a file's story, `ingestor retry` puts it back in line", style="dim", indent=2)


def _meaning(reason: str) -> str:
    return REASONS.get(reason, "")

"""`ingestor plan` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ingestor.cli.supply import supply_words
from ingestor.cli.tables import Column, blank, facts, heading, table, text
from ingestor.observe.instants import local, parsed
from ingestor.observe.wording import in_words, number, size

Planned = Mapping[str, Any]

_ENDS = (
    ("to_upload", "  to be uploaded"),
    ("already_live", "  already live"),
    ("duplicates", "  duplicates of those"),
    ("quarantined", "  quarantined"),
    ("deferred", "  not ready yet"),
    ("skipped", "  skipped"),
)
_KINDS = (
    ("new", "new"),
    ("changed", "changed since the last run"),
    ("expired", "uploaded before, and expired"),
    ("in_line", "in line already"),
)
_WORK = (
    ("as_found", "sent as found, byte for byte"),
    ("resized", "made smaller"),
    ("reencoded", "written anew as WebP"),
    ("recoded", "written anew as a JPEG that everybody reads"),
    ("stripped", "sent without their metadata"),
    ("trimmed", "sent without what is appended to them"),
    ("mended", "mended at a harmless place"),
    ("turned", "turned upright"),
    ("first_frame", "sent with only their first frame"),
    ("colour", "converted to sRGB"),
)
_REASONS = (("quarantined_reasons", "quarantined"), ("deferred_reasons", "not ready"), ("skipped_reasons", "skipped"))
MOST_SHOWN = 10


def print_plan(plan: Planned) -> None:
    now = datetime.now(UTC)
    facts([("files found", number(plan["discovered"])), *_counted(plan, _ENDS)])
    _section("To be uploaded", _counted(plan, _KINDS))
    _section("What is done to them", _counted(plan, _WORK))
    _not_uploaded(plan)
    _section("Quota and time", _quota_and_time(plan, now))
    _warnings(plan)


def _counted(plan: Planned, names: Sequence[tuple[str, str]]) -> list[tuple[str, object]]:
    return [(said, number(plan[name])) for name, said in names if plan[name]]


def _section(title: str, rows: Sequence[tuple[str, object]]) -> None:
    if rows:
        heading(title)
        facts(rows, indent=2)


def _not_uploaded(plan: Planned) -> None:
    rows = [(title, why, number(count)) for name, title in _REASONS for why, count in plan[name].items()]
    if rows:
        heading("Not uploaded, and why")
        table([Column("what"), Column("reason", grows=True), Column("files", right=True)], rows, indent=2)
    problems = plan["problems"]
    if problems:
        blank()
    for problem in problems[:MOST_SHOWN]:
        text(f"{problem['path']}: {problem['reason']}: {problem['message']}", indent=2)
    if len(problems) > MOST_SHOWN:
        text(f"and {number(len(problems) - MOST_SHOWN)} more; --json lists them", indent=2)


def _quota_and_time(plan: Planned, now: datetime) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("tokens needed", f"{number(plan['tokens'])}, for {size(plan['bytes_read'])} of images"),
        ("quota", supply_words(plan["quota"])),
    ]
    if plan["seconds"] > 0:
        ends_at = parsed(plan["ends_at"]) or now
        rows.append(("takes", f"{in_words(plan['seconds'])} at least, until {local(ends_at)}"))
    elif plan["tokens"]:
        rows.append(("takes", "no waiting: the quota has tokens for all of them now"))
    alive = number(plan["quota"]["largest_alive_set"])
    rows.append(("alive at once", f"{alive} ids at most, since each lives for 24 hours"))
    return rows


def _warnings(plan: Planned) -> None:
    if plan["expired_before_end"]:
        blank()
        text(
            f"{number(plan['expired_before_end'])} ids of this run will have expired before its last image is "
            "uploaded: ask for a higher tier, or upload in parts as they are needed",
            style="bold yellow",
        )
    if plan["live_that_end_before"]:
        blank()
        ended = number(plan["live_that_end_before"])
        text(f"{ended} of the ids that are live now will have expired when this run ends", style="yellow")

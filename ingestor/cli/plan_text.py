"""`ingestor plan` for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ingestor.cli.instants import parsed, when
from ingestor.cli.tables import Column, facts, heading, table, text
from ingestor.observe.wording import in_words, number, size

ENDS = (
    ("to_upload", "to be uploaded"),
    ("already_live", "already live"),
    ("duplicates", "duplicates of another image"),
    ("quarantined", "quarantined"),
    ("deferred", "not ready yet"),
    ("skipped", "skipped"),
)
KINDS = (("new", "new"), ("changed", "changed"), ("expired", "expired, uploaded again"), ("in_line", "waiting already"))
WORK = (
    ("as_found", "sent as found, byte for byte"),
    ("resized", "made smaller"),
    ("reencoded", "written anew as WebP"),
    ("turned", "turned upright"),
    ("first_frame", "only the first frame sent"),
)
REASONS = (("quarantined_reasons", "quarantined"), ("deferred_reasons", "not ready"), ("skipped_reasons", "skipped"))
MOST_SHOWN = 10


def print_plan(plan: dict[str, Any]) -> None:
    rows: list[tuple[str, object]] = [("files found", number(plan["discovered"]))]
    rows += [(f"  {title}", number(plan[name])) for name, title in ENDS if plan[name] or name == "to_upload"]
    facts(rows)
    _section(plan, "To be uploaded", KINDS)
    _section(plan, "What is done to them", WORK)
    _reasons(plan)
    _forecast(plan)


def _section(plan: dict[str, Any], title: str, names: tuple[tuple[str, str], ...]) -> None:
    rows: list[tuple[str, object]] = [(said, number(plan[name])) for name, said in names if plan[name]]
    if rows:
        text("")
        heading(title)
        facts(rows, indent=2)


def _reasons(plan: dict[str, Any]) -> None:
    rows = [(title, why, number(count)) for name, title in REASONS for why, count in plan[name].items()]
    if rows:
        text("")
        heading("Not uploaded, and why")
        table([Column("what"), Column("reason", grows=True), Column("files", right=True)], rows)
    problems = plan["problems"]
    if problems:
        text("")
        for problem in problems[:MOST_SHOWN]:
            text(f"{problem['path']}: {problem['message'] or problem['reason']}", indent=2)
        if len(problems) > MOST_SHOWN:
            text(f"and {number(len(problems) - MOST_SHOWN)} more; --json lists them", indent=2)


def _forecast(plan: dict[str, Any]) -> None:
    quota = plan["quota"]
    whose = "as the API says" if quota["learned"] else "as the settings say"
    now = datetime.now(UTC)
    text("")
    heading("Quota and time")
    ends_at = parsed(plan["ends_at"]) or now
    facts(
        [
            ("tokens needed", f"{number(plan['tokens'])} ({size(plan['bytes_read'])} to be read)"),
            (
                "quota",
                f"{number(quota['left'])} of {number(quota['capacity'])} there now, {number(quota['per_minute'])} a "
                f"minute, {whose}",
            ),
            ("takes", f"{in_words(plan['seconds'])} at least" if plan["seconds"] else "no waiting for quota"),
            ("ends", when(ends_at, now)),
            ("alive at once", f"{number(plan['largest_alive_set'])} ids at most"),
        ],
        indent=2,
    )
    if plan["expired_before_end"]:
        text(
            f"{number(plan['expired_before_end'])} ids of this run will have expired before its last image is "
            "uploaded: take fewer images at once, or a higher tier",
            style="yellow",
        )
    if plan["live_that_end_before"]:
        text(f"{number(plan['live_that_end_before'])} ids that are live now will have expired by then", style="yellow")

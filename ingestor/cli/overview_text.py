"""`ingestor status` for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ingestor.cli.instants import parsed, relative, when
from ingestor.cli.tables import Column, facts, heading, table, text
from ingestor.observe.wording import number


def print_status(status: dict[str, Any]) -> None:
    now = parsed(status["at"]) or datetime.now(UTC)
    facts(_summary(status, now))
    text("")
    heading("Folders")
    table(
        [
            Column("folder", grows=True),
            *(Column(title, right=True) for title in ("waiting", "sending", "live", "<1h", "<6h", "ended", "bad")),
        ],
        [_folder_row(folder) for folder in [*status["folders"], {"name": "all", **status["total"]}]],
    )
    if status["quarantined"]:
        text("")
        heading("Quarantined")
        rows = [(one["folder"], one["reason"], number(one["number"])) for one in status["quarantined"]]
        table([Column("folder", grows=True), Column("reason"), Column("images", right=True)], rows)


def _summary(status: dict[str, Any], now: datetime) -> list[tuple[str, object]]:
    quota, daemon = status["quota"], status["daemon"]
    pairs: list[tuple[str, object]] = [
        ("running", daemon["holder"] or "nothing: start `ingestor watch`"),
        ("quota", f"{quota['left']} of {quota['capacity']} left, {number(quota['per_minute'])} a minute"),
    ]
    expiry, attempt = parsed(status["next_expiry_at"]), parsed(status["next_attempt_at"])
    if expiry is not None:
        pairs.append(("next expiry", when(expiry, now)))
    if attempt is not None:
        pairs.append(("next attempt", when(attempt, now) if attempt > now else f"due, since {relative(attempt, now)}"))
    return pairs


def _folder_row(folder: dict[str, Any]) -> list[object]:
    return [
        folder["name"],
        number(folder["waiting"]),
        number(folder["sending"] + folder["renewing"]),
        number(folder["live"]),
        number(folder["expiring_1h"]),
        number(folder["expiring_6h"]),
        number(folder["expired"] + folder["purged"]),
        number(folder["quarantined"]),
    ]

"""The machines of a shared ledger, for people: a part of `ingestor status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestor.cli.tables import Cell, Column, heading, table, text
from ingestor.observe.wording import in_words, number

SILENT_SECONDS = 15.0
"""A worker that is silent for longer is worth a look: it beats every few seconds."""


def print_machines(machines: Mapping[str, Any] | None) -> None:
    if machines is None:
        return
    heading("Machines")
    rows = [_worker(worker) for worker in machines["workers"]]
    if rows:
        columns = ["station", "process", "what", "heartbeat", "at work"]
        table([Column(title, right=title == "at work") for title in columns], rows, indent=2)
    else:
        text("nobody takes jobs; `ingestor worker` or `ingestor watch` does", indent=2)
    jobs = [(one["queue"], one["state"], number(one["number"]), number(one["later"])) for one in machines["jobs"]]
    if jobs:
        heading("Jobs")
        titles = ["queue", "state", "jobs", "later"]
        table([Column(title, right=title in titles[2:]) for title in titles], jobs, indent=2)
    for what, who in machines["leads"].items():
        if who is not None:
            text(f"{what}: {who}", indent=2)


def _worker(worker: Mapping[str, Any]) -> list[object]:
    silent = worker["silent_seconds"]
    beat = f"{in_words(silent)} ago" if silent >= 1 else "just now"
    return [
        worker["station"] or "?",
        f"{worker['process'] or '?'} on {worker['host'] or '?'}",
        worker["what"] or "?",
        Cell(beat, "bold red" if silent >= SILENT_SECONDS else ""),
        number(worker["jobs"]),
    ]

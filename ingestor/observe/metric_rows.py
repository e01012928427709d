"""Every metric as a row: what `/metrics` shows, and what the README's table of metrics is printed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric; `name` is the whole one, as Prometheus sees it."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()
    is_known: bool = True
    """False: NaN until somebody says what it is."""


def _counter(name: str, help: str, *labels: str) -> Row:
    return Row(name=f"ingestor_{name}_total", kind="counter", help=help, labels=labels)


def _gauge(name: str, help: str, *labels: str, is_known: bool = True) -> Row:
    return Row(name=f"ingestor_{name}", kind="gauge", help=help, labels=labels, is_known=is_known)


def _seconds(name: str, help: str) -> Row:
    return Row(name=f"ingestor_{name}_seconds", kind="histogram", help=help)


ROWS = (
    # images
    _counter("files", "Images that came to an end.", "folder", "outcome"),
    _counter("quarantined_files", "Images quarantined.", "reason"),
    _counter("retries", "Attempts at an image that failed and are made again."),
    _counter("snoozes", "Times that an image was put off for a reason outside of it."),
    _counter("read_bytes", "Bytes of images read."),
    _counter("sent_bytes", "Bytes of images uploaded."),
    _seconds("upload", "One upload with its wait for quota, however it ended."),
    _seconds("normalise", "Making one image fit, however it ended."),
    _gauge("last_file_timestamp_seconds", "When the last image came to an end.", is_known=False),
    # folders
    _counter("found_files", "Files put in line.", "folder"),
    _counter("rescued_files", "Files that a scan found although events should have told.", "folder"),
    _counter("scans", "Scans that came to their end.", "folder"),
    _gauge("last_event_timestamp_seconds", "When the file system last told of a change.", "folder"),
    _gauge("last_scan_timestamp_seconds", "When the last scan ended.", "folder"),
    _gauge("last_scan_duration_seconds", "How long the last scan took.", "folder"),
    _gauge("watch_mode", "1 for the way in which the folder is watched.", "folder", "mode"),
    _gauge("watch_degraded", "1 while the folder cannot be watched as was asked.", "folder"),
    _gauge("folder_present", "0 while the folder is not there.", "folder"),
    # the API and its quota
    _counter("rate_limited", "Answers 429: the team's quota was empty.", "call"),
    _counter("api_retries", "Requests sent again after a fault.", "call"),
    _gauge("api_paused", "1 while nothing is sent, and why.", "reason"),
    _gauge("quota_left", "Uploads that could be sent now.", is_known=False),
    _gauge("quota_capacity", "Uploads that a full quota allows.", is_known=False),
    _gauge("quota_per_minute", "Uploads that each minute adds.", is_known=False),
    # the ledger
    _gauge("queue_files", "Files in line, by state.", "state"),
    _gauge("oldest_waiting_seconds", "How long the file that waits longest has been in line."),
    _gauge("entries", "Paths known, by state.", "folder", "state"),
    _gauge("next_expiry_timestamp_seconds", "When the next file id ends; NaN: none.", is_known=False),
    _counter("renewals_planned", "Renewals put in line."),
    _counter("expired_files", "File ids that came to their end."),
    # this process
    _gauge("disk_paused", "1 while work waits for a disk of ours."),
    _counter("workers_lost", "Image worker processes that died."),
    _counter("internal_faults", "Faults of ingestor's own."),
    Row(name="ingestor_build", kind="info", help="What is running.", labels=("python", "version")),
)


def metric_table() -> str:
    """The README's table of metrics, in Markdown."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for row in ROWS:
        name = f"{row.name}_info" if row.kind == "info" else row.name
        kind = "gauge" if row.kind == "info" else row.kind
        labels = " ".join(f"`{label}`" for label in row.labels)
        lines.append(f"| `{name}` | {kind} | {labels} | {row.help} |")
    return "\n".join(lines) + "\n"

"""Numbers for Prometheus, fed by events and by snapshots. Labels are bounded, whatever the API or a folder holds.

The only module that imports prometheus-client: import it where a page is served, not for every command.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from ingestor import __version__
from ingestor.observe.cleaning import clean_text
from ingestor.observe.metric_rows import ROWS, Row
from ingestor.observe.snapshot import Snapshot
from ingestor.policy.verdicts import Call
from ingestor.ports import Clock

OTHER = "other"
MOST_VALUES = 100
"""Of one label: what comes later counts as `other`."""
MOST_CHARACTERS = 64
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

# Text format has no place for them: each would be one more gauge.
disable_created_metrics()  # type: ignore[no-untyped-call]

Facts = Mapping[str, Any]


class Label:
    """The values of one label: short, without secrets, and no more than a fixed number of different ones."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, value: object) -> str:
        """The value itself, or `other`."""
        text = str(value)
        if text in self._known:
            return text
        if len(self._known) >= self._most or len(text) > MOST_CHARACTERS or clean_text(text) != text:
            return OTHER
        self._known.add(text)
        return text


class Metrics:
    """An observer that counts. `exposition` is what `/metrics` answers."""

    def __init__(self, clock: Clock, registry: CollectorRegistry | None = None) -> None:
        self._clock = clock
        self.registry = registry if registry is not None else CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for row in ROWS:
            self._make(row)
        ProcessCollector(registry=self.registry)
        self._labels = {label: Label() for row in ROWS for label in row.labels}
        self._shown: dict[str, set[tuple[str, ...]]] = {}
        self._handlers = self._all_handlers()
        for call in Call:  # known beforehand: their first increase is from 0, which an alert on `rate` needs
            self._count("rate_limited", 0, call=call.value)
            self._count("api_retries", 0, call=call.value)

    def _make(self, row: Row) -> None:
        """The metric of a row, under its name without `ingestor_`, `_total` and `_seconds`."""
        short = row.name.removeprefix("ingestor_")
        if row.kind == "counter":
            counter = Counter(row.name, row.help, row.labels, registry=self.registry)
            self._counters[short.removesuffix("_total")] = counter
        elif row.kind == "histogram":
            histogram = Histogram(row.name, row.help, row.labels, buckets=SECONDS, registry=self.registry)
            self._histograms[short] = histogram
        elif row.kind == "gauge":
            gauge = self._gauges[short] = Gauge(row.name, row.help, row.labels, registry=self.registry)
            if not row.is_known:
                gauge.set(math.nan)
        else:
            build = Info(row.name, row.help, registry=self.registry)
            build.info({"version": __version__, "python": platform.python_version()})

    # -- fed by events

    def notice(self, event: str, **facts: Any) -> None:
        handler = self._handlers.get(event)
        if handler is not None:
            handler(facts)

    def _all_handlers(self) -> Mapping[str, Callable[[Facts], None]]:
        return {
            "image_end": self._image_end,
            "found": lambda facts: self._count("found_files", facts.get("number"), folder=facts.get("folder")),
            "file_event": self._file_event,
            "scan_end": self._scan_end,
            "watch_mode": self._watch_mode,
            "folder_gone": lambda facts: self._set("folder_present", 0, folder=facts.get("folder")),
            "folder_back": lambda facts: self._set("folder_present", 1, folder=facts.get("folder")),
            "quota_held": lambda facts: self._count("rate_limited", call=facts.get("call")),
            "api_retry": lambda facts: self._count("api_retries", call=facts.get("call")),
            "api_paused": lambda facts: self._show("api_paused", {(str(facts.get("reason")),): 1}),
            "api_resumed": lambda _: self._show("api_paused", {}),
            "disk_paused": lambda _: self._set("disk_paused", 1),
            "disk_resumed": lambda _: self._set("disk_paused", 0),
            "worker_lost": lambda _: self._count("workers_lost"),
            "internal_fault": lambda _: self._count("internal_faults"),
            "renewal_planned": lambda facts: self._count("renewals_planned", facts.get("number")),
            "expired": lambda facts: self._count("expired_files", facts.get("number")),
        }

    def _image_end(self, facts: Facts) -> None:
        outcome = facts.get("outcome")
        if outcome == "retry":
            self._count("retries")
        elif outcome == "snoozed":
            self._count("snoozes")
        else:
            self._count("files", folder=facts.get("folder"), outcome=outcome)
            self._set("last_file_timestamp_seconds", self._clock.now().timestamp())
        if outcome == "quarantined":
            self._count("quarantined_files", reason=facts.get("reason"))
        self._count("read_bytes", facts.get("bytes_read") or 0)
        self._count("sent_bytes", facts.get("bytes_sent") or 0)
        for name, histogram in self._histograms.items():
            if facts.get(name) is not None:
                histogram.observe(_number(facts[name]))

    def _file_event(self, facts: Facts) -> None:
        self._set("last_event_timestamp_seconds", self._clock.now().timestamp(), folder=facts.get("folder"))

    def _scan_end(self, facts: Facts) -> None:
        folder = facts.get("folder")
        self._count("scans", folder=folder)
        self._count("rescued_files", facts.get("rescued") or 0, folder=folder)
        self._set("last_scan_timestamp_seconds", self._clock.now().timestamp(), folder=folder)
        self._set("last_scan_duration_seconds", _number(facts.get("seconds")), folder=folder)
        self._set("folder_present", 1, folder=folder)

    def _watch_mode(self, facts: Facts) -> None:
        folder = facts.get("folder")
        for mode in ("native", "poll"):
            self._set("watch_mode", int(facts.get("mode") == mode), folder=folder, mode=mode)
        self._set("watch_degraded", int(bool(facts.get("degraded"))), folder=folder)

    # -- fed by the runtime

    def set_snapshot(self, now: Snapshot) -> None:
        """How things stand. A label that was shown before and is not in it any more is shown as 0."""
        self._show("queue_files", {(state,): number for state, number in now.queue.items()})
        self._show("entries", now.entries)
        self._set("oldest_waiting_seconds", now.oldest_waiting_seconds or 0.0)
        self._set("next_expiry_timestamp_seconds", now.next_expiry_at.timestamp() if now.next_expiry_at else None)
        self._set("quota_left", now.quota_left)
        self._set("quota_capacity", now.quota_capacity)
        self._set("quota_per_minute", now.quota_per_minute)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics, in the form that an `Accept` header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # -- one metric

    def _count(self, name: str, number: object = 1, **labels: object) -> None:
        counter = self._counters[name]
        (counter.labels(**self._bounded(labels)) if labels else counter).inc(_number(number))

    def _set(self, name: str, value: float | None, **labels: object) -> None:
        gauge = self._gauges[name]
        (gauge.labels(**self._bounded(labels)) if labels else gauge).set(math.nan if value is None else value)

    def _show(self, name: str, values: Mapping[tuple[Any, ...], float]) -> None:
        """These values alone; several that share a label's `other` are added up."""
        gauge, names = self._gauges[name], _LABELS[name]
        totals = dict.fromkeys(self._shown.get(name, ()), 0.0)
        for given, value in values.items():
            labels = tuple(self._labels[label].of(text) for label, text in zip(names, given, strict=True))
            totals[labels] = totals.get(labels, 0.0) + value
        for labels, value in totals.items():
            gauge.labels(*labels).set(value)
        self._shown[name] = set(totals)

    def _bounded(self, labels: Mapping[str, object]) -> dict[str, str]:
        return {label: self._labels[label].of(value) for label, value in labels.items()}


_LABELS = {row.name.removeprefix("ingestor_"): row.labels for row in ROWS if row.kind == "gauge"}


def _number(value: object) -> float:
    """A count that a counter takes: what is no number, or below 0, is nothing."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return max(0.0, float(value))
    return 0.0

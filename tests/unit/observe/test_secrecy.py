"""No secret leaves by any way that the observe floor has, whichever event and whichever fact it stands in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ingestor.observe.cleaning import redact
from ingestor.observe.levels import LEVELS
from ingestor.observe.logs import LogObserver, configure_logs
from ingestor.observe.metrics import Metrics
from ingestor.observe.progress import Progress
from ingestor.observe.recent import Recent
from ingestor.observe.snapshot import Snapshot
from ingestor.observe.summary import summary_table
from ingestor.ports import Observer
from tests.fakes import FakeClock
from tests.unit.observe.kit import Lines, Screen

PLAIN_KEY = "odd+shape/4f1d"
CORES = ("4f1d", "7a7b7c", "9d9e9f", "1b1c1d", "5e5f5a")
"""No part of these may show; each is the secret part of one of the values."""
SECRETS: list[Any] = [
    PLAIN_KEY,
    "al_live_7a7b7c7a7b7c",
    "og_7a7b7c7a7b7c",
    "Authorization: Bearer 9d9e9f9d9e9f",
    {"X-Api-Key": "1b1c1d"},
    "https://bucket.test/a.png?X-Amz-Signature=5e5f5a&X-Amz-Expires=3600",
    ValueError("401 for X-Api-Key: 1b1c1d"),
    b"Bearer 9d9e9f",
    ["nested", {"deep": ("al_live_7a7b7c",)}],
]
FACTS = (
    *("folder", "path", "reason", "message", "outcome", "stage", "file_id", "request_id", "key", "digest", "why"),
    *("error", "where", "call", "mode", "origin", "url", "attempt", "number", "normalised", "warnings"),
)
EVENTS = sorted(
    {name.partition("/")[0] for name in LEVELS}
    | {"api_resumed", "disk_resumed", "folder_back", "start", "stopped", "draining", "quota_held", "api_retry", "other"}
)


def told() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event with every secret in every fact, one at a time; numbers stay numbers where they are added up."""
    for event in EVENTS:
        for secret in SECRETS:
            for name in FACTS:
                if name == "number" and event in ("found", "renewal_planned", "expired"):
                    continue
                yield event, {"folder": "f", "path": "a", "outcome": "quarantined", name: secret}


def tell(observer: Observer) -> None:
    for event, facts in told():
        observer.notice(event, **facts)


def assert_none_in(text: str) -> None:
    assert len(text) > 100, "nothing was shown at all"
    assert [core for core in CORES if core in text] == []


@pytest.fixture(autouse=True)
def _key() -> None:
    redact(PLAIN_KEY)


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_log_line_shows_one(format: str) -> None:
    stream = Lines()
    configure_logs("debug", format, stream)
    tell(LogObserver())
    assert len(stream.lines()) == sum(1 for _ in told())
    assert_none_in(stream.getvalue())


def test_an_events_own_name_shows_none(logged: Lines) -> None:
    for secret in SECRETS:
        LogObserver().notice(str(secret), path="a" * 100)
    assert_none_in(logged.getvalue())


def test_no_metric_shows_one() -> None:
    metrics = Metrics(FakeClock())
    tell(metrics)
    entries = {(str(secret), str(secret)): 1 for secret in SECRETS}
    metrics.set_snapshot(Snapshot(entries=entries, queue={str(secret): 1 for secret in SECRETS}))
    assert_none_in(metrics.exposition()[0].decode())


def test_what_happened_lately_shows_none() -> None:
    recent = Recent(FakeClock(), most_ends=100_000)
    tell(recent)
    assert_none_in(json.dumps(recent.snapshot(), ensure_ascii=False))


def test_the_display_shows_none(screen: Callable[..., Screen]) -> None:
    terminal = screen(200, 50)
    with Progress(terminal.stream, FakeClock(), 10) as progress:
        for secret in SECRETS:
            for name in ("folder", "path", "reason", "message"):
                progress.notice("stage", **{"stage": "upload", "folder": "f", "path": "a", name: secret})
                facts = {"folder": "f", "path": "b", "outcome": "quarantined", name: secret}
                progress.notice("image_end", **facts)
                progress.notice("api_paused", **{"reason": "key", "message": "m", name: secret})
            terminal.seen()
    terminal.seen()
    assert_none_in(terminal.raw.decode())


def test_no_line_of_progress_shows_one(logged: Lines) -> None:
    clock = FakeClock()
    progress = Progress(logged, clock, 10)
    for secret in SECRETS:
        progress.notice("api_paused", reason=secret, message=secret)
        clock.advance(31)
        progress.tick()
    assert_none_in(logged.getvalue())


def test_the_summary_shows_none() -> None:
    stream = Lines()
    summary_table({}, [{"path": s, "reason": str(s), "message": s, "request_id": s} for s in SECRETS], stream)
    assert_none_in(stream.getvalue())

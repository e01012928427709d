"""The rules of `promtool check metrics`, and promtool itself where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from ingestor.observe.metric_rows import ROWS, Row, metric_table
from ingestor.observe.metrics import Metrics
from ingestor.observe.snapshot import Snapshot
from tests.fakes import START, FakeClock

BASE_UNITS = {"seconds", "bytes"}
OTHER_UNITS = re.compile(
    r"(milli|micro|nano|kilo|mega|giga|kibi|mebi|gibi)?(seconds|bytes|minutes|hours|days|weeks|bits)"
)
ABBREVIATIONS = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
TYPES = {"counter", "gauge", "histogram", "summary"}
EVENTS = {
    "image_end": {"folder": "f", "outcome": "quarantined", "reason": "truncated", "upload_seconds": 1.0},
    "found": {"folder": "f", "number": 1},
    "file_event": {"folder": "f", "number": 1},
    "scan_end": {"folder": "f", "files": 1, "seconds": 1.0, "rescued": 1},
    "watch_mode": {"folder": "f", "mode": "native", "why": "", "degraded": False},
    "api_paused": {"reason": "key", "message": "m"},
}


@pytest.fixture(scope="module")
def exposition() -> bytes:
    metrics = Metrics(FakeClock())
    for event, facts in EVENTS.items():
        metrics.notice(event, **facts)
    metrics.set_snapshot(Snapshot(queue={"waiting": 1}, entries={("f", "live"): 1}, next_expiry_at=START))
    return metrics.exposition()[0]


@pytest.fixture(scope="module")
def families(exposition: bytes) -> list[Metric]:
    found = [f for f in text_string_to_metric_families(exposition.decode()) if f.name.startswith("ingestor_")]
    assert len(found) == len(ROWS)
    return found


def test_every_row_is_shown_with_its_help_its_kind_and_its_labels(families: list[Metric]) -> None:
    shown = {family.name: family for family in families}
    for row in ROWS:
        name = {"counter": row.name.removesuffix("_total"), "info": f"{row.name}_info"}.get(row.kind, row.name)
        family = shown[name]
        assert family.documentation == row.help
        assert family.type == ("gauge" if row.kind == "info" else row.kind)
        assert family.samples, f"{row.name} has no sample"
        assert set(family.samples[0].labels) - {"le"} == set(row.labels)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_names_are_as_prometheus_wants_them(row: Row) -> None:
    words = row.name.split("_")
    assert re.fullmatch(r"ingestor(_[a-z0-9]+)+", row.name)
    assert (row.kind == "counter") == row.name.endswith("_total")
    assert not row.name.endswith(("_count", "_sum", "_bucket", "_info"))
    assert not set(words) & ABBREVIATIONS
    assert not set(words) & TYPES
    assert all(word in BASE_UNITS for word in words if OTHER_UNITS.fullmatch(word))
    assert all(re.fullmatch("[a-z][a-z0-9_]*", label) for label in row.labels)
    assert not {"le", "quantile"} & set(row.labels)
    assert re.fullmatch(r"[A-Z0-9].*\.", row.help)


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind == "histogram"], ids=lambda row: row.name)
def test_a_histogram_names_its_unit(row: Row) -> None:
    assert row.name.split("_")[-1] in BASE_UNITS


def test_no_name_is_there_twice() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; its rules are tested above")
def test_promtool_finds_nothing(exposition: bytes) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_table_has_a_line_for_each_metric() -> None:
    table = metric_table()
    assert table.count("\n") == len(ROWS) + 2
    assert "| `ingestor_files_total` | counter | `folder` `outcome` | Images that came to an end. |" in table
    assert "| `ingestor_build_info` | gauge | `python` `version` |" in table

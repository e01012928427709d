"""The alert rules and the dashboard speak of metrics and labels that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.observe.metric_rows import ROWS
from ingestor.observe.metrics import Metrics
from tests.fakes import FakeClock

CONFIG = Path(__file__).parents[3] / "config"
ALERTS = yaml.safe_load((CONFIG / "alerts.yml").read_text())
DASHBOARD = json.loads((CONFIG / "grafana-dashboard.json").read_text())
NAME = re.compile(r"\b(?:ingestor|process)_[a-z_]+")
SELECTOR = re.compile(r"((?:ingestor|process)_[a-z_]+)\{([^}]*)\}")
GROUPING = re.compile(r"by \(([a-z_, ]+)\)")
GIVEN_BY_PROMETHEUS = {"instance", "job", "le"}

RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions_of(value: Any) -> Iterator[str]:
    """Every `expr` and `definition` at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("expr", "definition") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions_of(inner)


EXPRESSIONS = [*(rule["expr"] for rule in RULES), *expressions_of(DASHBOARD)]


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Every name that a scrape has, those of histograms' parts included."""
    metrics = Metrics(FakeClock())
    found = set()
    for family in metrics.registry.collect():
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "info": ("_info",),
        }.get(family.type, ("",))
        found |= {family.name + suffix for suffix in suffixes}
    return found


LABELS = {row.name.removesuffix("_total"): set(row.labels) for row in ROWS}


def labels_of(name: str) -> set[str]:
    short = re.sub(r"_(total|bucket|sum|count|info)$", "", name)
    return LABELS.get(short, set()) | GIVEN_BY_PROMETHEUS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_asked_for_is_there(expression: str, names: set[str]) -> None:
    asked = set(NAME.findall(expression)) - {"process_", "ingestor_"}
    assert asked or expression.startswith("up{")
    assert asked <= names, asked - names


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_label_that_is_asked_for_is_there(expression: str) -> None:
    for name, matchers in SELECTOR.findall(expression):
        asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= labels_of(name), (name, asked)
    all_labels = set().union(*(labels_of(name) for name in NAME.findall(expression)), GIVEN_BY_PROMETHEUS)
    for grouping in GROUPING.findall(expression):
        assert {label.strip() for label in grouping.split(",")} <= all_labels


def test_every_label_in_an_alerts_words_is_one_of_its_expression() -> None:
    for rule in RULES:
        said = " ".join(rule["annotations"].values())
        labels = set(re.findall(r"\$labels\.([a-z_]+)", said))
        known = set().union(*(labels_of(name) for name in NAME.findall(rule["expr"])), GIVEN_BY_PROMETHEUS)
        assert labels <= known, rule["alert"]
        kept = GROUPING.search(rule["expr"])
        if kept and rule["expr"].startswith("sum"):
            assert labels <= {label.strip() for label in kept[1].split(",")}, rule["alert"]


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_the_dashboard_has_panels_that_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine (Debian: prometheus)")
class TestWithPromtool:
    def test_the_rules_pass(self) -> None:
        ran = subprocess.run(["promtool", "check", "rules", CONFIG / "alerts.yml"], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def test_the_metrics_pass(self) -> None:
        body, _ = Metrics(FakeClock()).exposition()
        ran = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True)
        assert ran.returncode == 0, (ran.stdout + ran.stderr).decode()

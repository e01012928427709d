"""The report of the benchmarks."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import report
from tests.benchmarks.report import Bar, bars, plot

TEXT = """# Benchmarks

A machine.

## Flow

| files | bare loop | time / peer 1.0 | more |
|---|---|---|---|
| 3 x `a` | 10 /s | 0.25 | 2 ms |
| none | 1 /s | - | |

| other | figure |
|---|---|
| x | 7 |

## Quota

| client | makespan / optimum | 429s |
|---|---|---|
| ours & <more> | 1.003 | 1 |
"""


def test_every_row_with_a_ratio_is_a_bar() -> None:
    assert list(bars(TEXT)) == [
        Bar(part="Flow", what="3 x a", ratio=0.25),
        Bar(part="Quota", what="ours & <more>", ratio=1.003),
    ]


def test_the_plot_is_xml_with_every_bar() -> None:
    drawn = ElementTree.fromstring(plot([*bars(TEXT), Bar(part="Else", what="far", ratio=40.0)]))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["Flow", "3 x a", "0.25", "Quota", "ours & <more>", "1.00", "Else", "far", "40.00"]
    bars_drawn = [element for element in drawn if element.tag.endswith("rect")][1:]
    right = max(float(bar.get("x", 0)) + float(bar.get("width", 0)) for bar in bars_drawn)
    assert right < float(drawn.get("width", 0))


def test_the_page_shows_the_plot_above_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PAGE", tmp_path / "report.md")
    monkeypatch.setattr(report, "PLOT", tmp_path / "report.svg")
    report.write(TEXT)
    page = (tmp_path / "report.md").read_text()
    assert page.index("A machine.") < page.index("(report.svg)") < page.index("## Flow")
    assert "| ours & <more> | 1.003 | 1 |" in page
    assert (tmp_path / "report.svg").exists()

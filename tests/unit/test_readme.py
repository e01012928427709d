"""What the README says is so. `python tests/unit/test_readme.py` writes its tables anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ingestor.cli.exits import Exit
from ingestor.cli.program import COMMANDS
from ingestor.observe.metric_rows import metric_table
from ingestor.policy.formats import format_table, reason_table

README = Path(__file__).parents[2] / "README.md"
TABLES = {"formats": format_table, "reasons": reason_table, "metrics": metric_table}


def section(name: str, text: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found, f"the README has no table {name}"
    return found[1]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_program_has(name: str) -> None:
    assert section(name, README.read_text()) == TABLES[name]()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_line(command: str) -> None:
    assert re.search(rf"^\| `ingestor {command}\b.*\|$", README.read_text(), re.MULTILINE)


def test_every_exit_code_has_its_line() -> None:
    table = README.read_text().partition("### Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)][: len(Exit)] == sorted(Exit)


def test_every_file_that_it_names_is_there() -> None:
    text = README.read_text()
    for name in re.findall(r"\bconfig/[\w./-]+\w", text):
        assert (README.parent / name).exists(), name


def test_every_alert_has_its_place_in_the_runbook() -> None:
    rules = yaml.safe_load((README.parent / "config" / "alerts.yml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    runbook = (README.parent / "config" / "docs" / "runbook.md").read_text()
    assert re.findall(r"^## (Ingestor\w+)$", runbook, re.MULTILINE) == alerts


def write() -> None:
    text = README.read_text()
    for name, table in TABLES.items():
        text = text.replace(section(name, text), table(), 1) if section(name, text) else _filled(text, name, table())
    README.write_text(text)


def _filled(text: str, name: str, table: str) -> str:
    return text.replace(f"<!-- {name} -->\n", f"<!-- {name} -->\n{table}", 1)


if __name__ == "__main__":
    write()

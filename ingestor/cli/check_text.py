"""`ingestor check` for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ingestor.cli.finding import Finding
from ingestor.cli.tables import Cell, Column, blank, table, text
from ingestor.observe.wording import counted

_MARKS = {"ok": Cell("ok", "green"), "warning": Cell("warning", "yellow"), "wrong": Cell("WRONG", "bold red")}


def print_findings(findings: Sequence[Finding]) -> None:
    rows = [(_MARKS[finding.level], finding.area, finding.message) for finding in findings]
    table([Column(""), Column(""), Column("", grows=True)], rows, titles=False)
    levels = Counter(finding.level for finding in findings)
    blank()
    warnings = counted(levels["warning"], "warning") if levels["warning"] else "no warnings"
    text(f"{levels['wrong'] or 'nothing'} wrong, {warnings}")

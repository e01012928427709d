"""`ingestor check` for people."""

from __future__ import annotations

from collections.abc import Sequence

from ingestor.cli.checks import Finding
from ingestor.cli.tables import Column, table

MARKS = {"ok": "ok", "warning": "warning", "wrong": "WRONG"}


def print_findings(findings: Sequence[Finding]) -> None:
    rows = [(MARKS[finding.level], finding.area, finding.message) for finding in findings]
    table([Column(""), Column("area"), Column("", grows=True)], rows, indent=0)

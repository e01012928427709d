"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingestor.cli.exits import Exit
from ingestor.disk import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    area: str
    """`settings`, `folders`, `files`, `ledger`, `events`, `images`, `key` or `api`."""
    message: str
    code: Exit | None = None
    """How a run would fail of it; None: it would not."""
    is_warning: bool = False

    @property
    def level(self) -> str:
        """`ok`, `warning` or `wrong`."""
        if self.code is not None:
            return "wrong"
        return "warning" if self.is_warning else "ok"


def good(area: str, message: str) -> Finding:
    return Finding(area=area, message=message)


def warning(area: str, message: str) -> Finding:
    return Finding(area=area, message=message, is_warning=True)


def wrong(area: str, message: str, code: Exit = Exit.OUR_FAULT) -> Finding:
    return Finding(area=area, message=message, code=code)


_ORDER = (Exit.WRONG_USAGE, Exit.OUR_FAULT, Exit.REFUSED, Exit.UNREACHABLE)


def exit_code(findings: Sequence[Finding]) -> Exit:
    """The code of the worst: settings before our own files, those before the key, that before the way to the API."""
    codes = {finding.code for finding in findings}
    return next((code for code in _ORDER if code in codes), Exit.DONE)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The object that `ingestor check --json` prints; `level` is ok, warning or wrong."""
    return {
        "ok": exit_code(findings) is Exit.DONE,
        "exit_code": int(exit_code(findings)),
        "findings": [
            {"area": finding.area, "level": finding.level, "message": printable(finding.message)}
            for finding in findings
        ],
    }

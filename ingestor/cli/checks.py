"""All that `ingestor check` looks at, each as findings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestor.app import read_ledger
from ingestor.cli.exits import Exit
from ingestor.errors import (
    AccountRefused,
    ApiUnavailable,
    EnvironmentFault,
    FileGone,
    LedgerError,
    RateLimited,
    ServerFault,
    SettingsError,
)
from ingestor.files_api import ApiKey, HttpFilesApi, Timeouts
from ingestor.model import FileId
from ingestor.runtime.system_clock import SystemClock
from ingestor.runtime.tally import printable
from ingestor.settings import Settings, load

NEVER = FileId("file_00000000000000000000000000")
"""An id that the API never gives: its answer to it shows that the address and the key are right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    area: str
    """`settings`, `folders`, `state`, `ledger`, `key`, `events`, `images` or `api`."""
    message: str
    code: Exit | None = None
    """How a run would fail of it; None: all is well, or at least it works."""
    is_warning: bool = False

    @property
    def level(self) -> str:
        if self.code is not None:
            return "wrong"
        return "warning" if self.is_warning else "ok"


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": all(finding.code is None for finding in findings),
        "findings": [
            {"area": finding.area, "level": finding.level, "message": printable(finding.message)}
            for finding in findings
        ],
    }


async def check(config: Path | None, *, offline: bool) -> list[Finding]:
    """Every finding, in the order of the areas."""
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        return [Finding(area="settings", message=str(problem), code=Exit.WRONG_USAGE) for problem in error.problems]
    findings = [Finding(area="settings", message=f"{settings.source_file}: no mistakes")]
    findings += list(_folders(settings))
    findings += await _ledger(settings)
    findings += await _api(settings, offline=offline)
    return findings


def _folders(settings: Settings) -> Iterator[Finding]:
    for folder in settings.folders:
        yield Finding(area="folders", message=f"{folder.name}: {folder.path} can be read")


async def _ledger(settings: Settings) -> list[Finding]:
    if not settings.ledger.exists():
        return [Finding(area="ledger", message=f"{settings.ledger}: not there yet; the first run makes it")]
    try:
        async with read_ledger(settings) as ledger:
            wrong = await ledger.check()
    except (LedgerError, EnvironmentFault) as error:
        return [Finding(area="ledger", message=str(error), code=Exit.OUR_FAULT)]
    if wrong:
        return [Finding(area="ledger", message=f"{settings.ledger}: corrupt: {wrong[0]}", code=Exit.OUR_FAULT)]
    return [Finding(area="ledger", message=f"{settings.ledger}: sound")]


async def _api(settings: Settings, *, offline: bool) -> list[Finding]:
    if settings.api.is_sandbox:
        return [Finding(area="api", message="the bundled sandbox, started with each run")]
    key = ApiKey(file=settings.api.key_file)
    try:
        key.current()
    except AccountRefused as error:
        return [Finding(area="key", message=str(error), code=Exit.REFUSED)]
    findings = [Finding(area="key", message=f"from {key.origin}")]
    return findings if offline else [*findings, *await _asked(settings, key)]


async def _asked(settings: Settings, key: ApiKey) -> list[Finding]:
    from ingestor.observe.logs import LogObserver

    api = HttpFilesApi(
        base_url=settings.api.base_url,
        version=settings.api.version,
        key=key,
        clock=SystemClock(),
        observer=LogObserver(),
        timeouts=Timeouts.of(settings.api.timeout),
    )
    try:
        await api.fetch(NEVER)
    except FileGone:
        return [Finding(area="api", message=f"{settings.api.base_url} answers, and takes the key")]
    except RateLimited:
        return [Finding(area="api", message="answers, but the quota of reads is used up", is_warning=True)]
    except AccountRefused as error:
        return [Finding(area="api", message=str(error), code=Exit.REFUSED)]
    except (ApiUnavailable, ServerFault) as error:
        return [Finding(area="api", message=str(error), code=Exit.UNREACHABLE)]
    finally:
        await api.close()
    return [Finding(area="api", message="answers with a file that cannot be", is_warning=True)]

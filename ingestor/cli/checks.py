"""All that `ingestor check` looks at."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingestor.app import rules_of, spool_folder
from ingestor.cli.check_api import api_findings
from ingestor.cli.check_places import event_findings, file_findings, folder_findings, trees_of
from ingestor.cli.exits import Exit
from ingestor.cli.finding import Finding, good, warning, wrong
from ingestor.cli.reading import holder, ledger_if_any
from ingestor.errors import EnvironmentFault, ImageWorkerLost, LedgerError, Problem
from ingestor.images.workers.pool import ImagePool
from ingestor.settings import Settings, survey


async def check(config: Path | None, *, offline: bool) -> list[Finding]:
    """Every finding. What hangs on a setting that is wrong is not looked at: it would not be what is meant."""
    settings, problems = survey(config, os.environ)
    findings = [wrong("settings", str(problem), Exit.WRONG_USAGE) for problem in problems]
    if settings is None:
        return findings
    sections = _sections(problems)
    if not findings:
        findings.append(good("settings", f"{settings.source_file}: no mistakes"))
    if not settings.folders and "folders" not in sections:
        findings.append(warning("settings", f"{settings.source_file}: no `folders` are set; `watch` needs one"))
    trees = trees_of(settings)
    findings += folder_findings(settings, trees)
    if not sections & {"ledger", "manifest"}:
        findings += file_findings(settings)
        findings += await _ledger(settings)
    findings += event_findings(settings, trees)
    findings += await _images(settings)
    if "api" not in sections:
        findings += await api_findings(settings, offline=offline)
    return findings


def _sections(problems: Sequence[Problem]) -> set[str]:
    """The top-level names of the settings that are wrong."""
    return {problem.message.partition(":")[0].partition(".")[0].partition("[")[0] for problem in problems}


async def _ledger(settings: Settings) -> list[Finding]:
    try:
        async with ledger_if_any(settings) as ledger:
            if ledger is None:
                return []
            damage = await ledger.check()
    except (LedgerError, EnvironmentFault) as error:
        return [wrong("ledger", str(error))]
    if damage:
        said = "move it away and start again: unchanged images keep their ids while the API remembers their keys"
        return [wrong("ledger", f"{settings.ledger} is corrupt ({damage[0]}); {said}")]
    who = holder(settings)
    return [good("ledger", f"{settings.ledger} is sound; {f'{who} works with it' if who else 'nobody holds it'}")]


async def _images(settings: Settings) -> Sequence[Finding]:
    pool = ImagePool(rules_of(settings.normalise), workers=1, spool=spool_folder(settings))
    try:
        await pool.warm_up()
        findings = [good("images", f"workers start{''.join(f'; not confined: {what}' for what in pool.confinement)}")]
    except ImageWorkerLost as error:
        findings = [wrong("images", str(error))]
    finally:
        await pool.close()
    return [*findings, *_formats()]


def _formats() -> Iterator[Finding]:
    if importlib.util.find_spec("pillow_heif") is None:
        yield good("images", "HEIC and HEIF are not read here; pip install 'ingestor[heif]' adds them")

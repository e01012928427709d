"""`ingestor check`.

Looks, and changes nothing. Exit codes: 0 all is well, 2 settings, 4 the API refuses the key, 5 it cannot be reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out_json, run
from ingestor.cli.exits import Exit, Failed

if TYPE_CHECKING:
    from ingestor.cli.checks import Finding


def command(
    config: Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the API.")] = False,
    json: Json = False,
) -> None:
    findings = run(_check(config, offline=offline))
    if json:
        from ingestor.cli.checks import as_json

        out_json(as_json(findings))
    else:
        from ingestor.cli.check_text import print_findings

        print_findings(findings)
    wrong = [finding for finding in findings if finding.code is not None]
    if wrong:
        worst = min(wrong, key=lambda one: _ORDER.index(one.code or Exit.OUR_FAULT))
        raise Failed(worst.code or Exit.OUR_FAULT, f"{len(wrong)} things are wrong, such as: {worst.message}")


_ORDER = (Exit.WRONG_USAGE, Exit.OUR_FAULT, Exit.REFUSED, Exit.UNREACHABLE)
"""Which one decides the exit code, where there are several."""


async def _check(config: Path | None, *, offline: bool) -> list[Finding]:
    from ingestor.cli.checks import check

    return await check(config, offline=offline)

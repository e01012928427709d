"""`ingestor check`.

Looks, and changes nothing. Warnings do not count as wrong. Exit codes: 0 nothing is wrong, 1 ledger or manifest cannot
be used, 2 settings, 4 the API refuses the key, 5 it cannot be reached.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ingestor.cli.common import Config, Json, out_json, run
from ingestor.cli.exits import Failed


def command(
    config: Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the API.")] = False,
    json: Json = False,
) -> None:
    from ingestor.cli.check_text import print_findings
    from ingestor.cli.checks import check
    from ingestor.cli.finding import as_json, exit_code

    findings = run(check(config, offline=offline))
    if json:
        out_json(as_json(findings))
    else:
        print_findings(findings)
    wrong = [finding.message for finding in findings if finding.code is not None]
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise Failed(exit_code(findings), wrong[0] + others)

"""`ingestor retry`.

A running `ingestor watch` takes them at once, else the next `ingestor backfill`. A file that quarantine moved away is
moved back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, settings_of
from ingestor.cli.completing import quarantined_paths
from ingestor.cli.exits import Exit, Failed
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings


def command(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Which ones.", autocompletion=quarantined_paths)
    ] = None,
    config: Config = None,
    every: Annotated[bool, typer.Option("--all", help="All that are quarantined.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="REASON", help="All that are, for this reason.")] = None,
    json: Json = False,
) -> None:
    if bool(paths) == (every or reason is not None):
        raise UsageError("name paths, or say --all or --reason REASON")
    run(_retry(settings_of(config), paths or [], reason, json=json))


async def _retry(settings: Settings, paths: list[str], reason: str | None, *, json: bool) -> None:
    from ingestor.cli.naming import entries_named
    from ingestor.cli.serving import served_by_holder, unserved_of
    from ingestor.ledger.place import holder_at
    from ingestor.model import SourceState
    from ingestor.runtime.opening import open_ledger
    from ingestor.runtime.upkeep import every, put_back

    async with open_ledger(settings) as ledger:
        if paths:
            entries = [entry for path in paths for entry in await entries_named(settings, ledger, path)]
        else:
            entries = [entry async for entry in every(ledger, [SourceState.QUARANTINED])]
        quarantined = [
            entry for entry in entries if entry.state == SourceState.QUARANTINED and reason in (None, entry.reason)
        ]
        served = served_by_holder(settings)
        results = [await put_back(ledger, entry, served) for entry in quarantined]
    failed = [one for one in results if one.error is not None]
    number = len(results) - len(failed)
    if json:
        errors = [{"path": f"{one.entry.folder}/{one.entry.path}", "message": one.error} for one in failed]
        out_json({"put_back": number, "not_quarantined": len(entries) - len(quarantined), "problems": errors})
    else:
        taken = "`ingestor watch` takes them now" if holder_at(settings) else "the next run takes them"
        out(f"{number} quarantined images are back in line" + (f"; {taken}" if number else ""))
    if failed:
        code = Exit.OUR_FAULT if unserved_of([one.entry for one in failed], served) else Exit.QUARANTINED
        raise Failed(code, f"{len(failed)} could not be put back, such as: {failed[0].error}")

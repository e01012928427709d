"""`ingestor purge`.

The sources stay where they are. A purged image is not uploaded again unless it changes or `ingestor renew` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, settings_of
from ingestor.cli.completing import folder_names, paths_or_ids
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.cli.asking import Asking
    from ingestor.model import LedgerEntry
    from ingestor.settings import Settings


def command(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH|FILE_ID]...", help="Which ones.", autocompletion=paths_or_ids)
    ] = None,
    config: Config = None,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME", help="All of a folder.", autocompletion=folder_names)
    ] = None,
    older_than: Annotated[str | None, typer.Option(metavar="DURATION", help="Uploaded before that long.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is live.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    json: Json = False,
) -> None:
    if bool(wanted) == (every or folder is not None or older_than is not None):
        raise UsageError("name paths or file ids, or say --folder, --older-than or --all")
    run(_purge(settings_of(config), wanted or [], folder, older_than, dry_run=dry_run, json=json))


async def _purge(
    settings: Settings,
    wanted: list[str],
    folder: str | None,
    older_than: str | None,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    from ingestor.cli.asking import asking
    from ingestor.observe.wording import counted

    async with asking(settings) as asked:
        entries = await _entries(settings, asked, wanted, folder, older_than)
        if not dry_run:
            await asked.verifier.purge(entries, "deleted by `ingestor purge`")
    if json:
        files = [{"folder": e.folder, "path": e.path, "file_id": e.file_id} for e in entries]
        out_json({"purged": 0 if dry_run else len(entries), "dry_run": dry_run, "files": files})
        return
    for entry in entries:
        out(f"{'would delete' if dry_run else 'deleted'}: {entry.file_id}  {entry.folder}/{entry.path}")
    files_at = f"{counted(len(entries), 'file')} at the API"
    out(f"{files_at} would be deleted" if dry_run else f"deleted {files_at}")


async def _entries(
    settings: Settings, asked: Asking, wanted: list[str], folder: str | None, older_than: str | None
) -> list[LedgerEntry]:
    """One entry for each live id that is meant."""
    from ingestor.cli.naming import entries_named
    from ingestor.runtime.upkeep import LIVE, distinct_ids, every
    from ingestor.settings import parse_seconds

    if wanted:
        named = [entry for one in wanted for entry in await entries_named(settings, asked.ledger, one)]
        return list({entry.file_id: entry for entry in named if entry.state in LIVE}.values())
    entries = await distinct_ids(every(asked.ledger, LIVE, folder=folder))
    if older_than is None:
        return entries
    try:
        seconds = parse_seconds(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from error
    now = asked.clock.now()
    return [e for e in entries if e.created_at is not None and (now - e.created_at).total_seconds() > seconds]

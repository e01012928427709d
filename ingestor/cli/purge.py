"""`ingestor purge`.

The sources stay where they are. A purged image is not uploaded again unless it changes or `ingestor renew` names it. An
id that a copy elsewhere goes by stays, unless that is meant too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, seconds_of, settings_of
from ingestor.cli.completing import folder_names, paths_or_ids
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.cli.asking import Asking
    from ingestor.ledger import LedgerReader
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
    seconds = None if older_than is None else seconds_of("--older-than", older_than)
    run(_purge(settings_of(config), wanted or [], folder, seconds, dry_run=dry_run, json=json))


async def _purge(
    settings: Settings,
    wanted: list[str],
    folder: str | None,
    older_than_seconds: float | None,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    from ingestor.cli.asking import asking
    from ingestor.observe.wording import counted
    from ingestor.runtime.opening import read_ledger

    async with asking(settings, folder) as asked, read_ledger(settings) as reader:
        chosen = await _chosen(settings, asked, wanted, folder, older_than_seconds)
        kept = await _kept_for_others(reader, chosen)
        ids = [entries for file_id, entries in chosen.items() if file_id not in kept]
        if not dry_run:
            await asked.verifier.purge([entries[0] for entries in ids], "deleted by `ingestor purge`")
    if json:
        out_json(
            {
                "purged": 0 if dry_run else len(ids),
                "dry_run": dry_run,
                "files": [_file(entries) for entries in ids],
                "kept": [{**_file(chosen[file_id]), "held_by": held_by} for file_id, held_by in kept.items()],
            }
        )
        return
    for entries in ids:
        others = f", and {len(entries) - 1} more of the same image" if len(entries) > 1 else ""
        out(f"{'would delete' if dry_run else 'deleted'}: {entries[0].file_id}  {_place(entries[0])}{others}")
    for file_id, held_by in kept.items():
        out(f"kept: {file_id}  {_place(chosen[file_id][0])}: {held_by[0]} is the same image and goes by this id")
    files_at = f"{counted(len(ids), 'file')} at the API"
    out(f"{files_at} would be deleted" if dry_run else f"deleted {files_at}")
    if kept:
        out(f"{counted(len(kept), 'id')} kept for copies that were not named; name those too, or the file id")


def _place(entry: LedgerEntry) -> str:
    return f"{entry.folder}/{entry.path}"


def _file(entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    first = entries[0]
    return {
        "folder": first.folder,
        "path": first.path,
        "file_id": first.file_id,
        "paths": [_place(entry) for entry in entries],
    }


async def _kept_for_others(
    reader: LedgerReader, chosen: Mapping[str, Sequence[LedgerEntry]]
) -> Mapping[str, Sequence[str]]:
    """Ids that other paths than the chosen ones go by, and which these are."""
    kept = {}
    for file_id, entries in chosen.items():
        assert entries[0].content_id is not None
        ours = {(entry.folder, entry.path) for entry in entries}
        if others := [place for place in await reader.holders_of(entries[0].content_id) if place not in ours]:
            kept[file_id] = [f"{folder}/{path}" for folder, path in others]
    return kept


async def _chosen(
    settings: Settings, asked: Asking, wanted: list[str], folder: str | None, older_than_seconds: float | None
) -> dict[str, list[LedgerEntry]]:
    """The entries that are meant, by their live ids."""
    from ingestor.cli.naming import entries_named
    from ingestor.runtime.upkeep import LIVE, every

    if wanted:
        named = [entry for one in wanted for entry in await entries_named(settings, asked.ledger, one)]
        return _by_id({(e.folder, e.path): e for e in named if e.state in LIVE}.values())
    entries = [entry async for entry in every(asked.ledger, LIVE, folder=folder)]
    if older_than_seconds is None:
        return _by_id(entries)
    now = asked.clock.now()
    old = (e for e in entries if e.created_at is not None and (now - e.created_at).total_seconds() > older_than_seconds)
    return _by_id(old)


def _by_id(entries: Iterable[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    by_id: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        if entry.file_id is not None:
            by_id.setdefault(entry.file_id, []).append(entry)
    return by_id

"""`ingestor purge`.

The sources stay where they are. A purged image is not uploaded again unless it changes or `ingestor renew` names it;
one in line for its next id leaves the line. An id that a copy elsewhere goes by stays, unless that is meant too. Ends
with 1 where what was named has no live id, or one that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, seconds_of, settings_of
from ingestor.cli.completing import folder_names, paths_or_ids
from ingestor.cli.exits import Exit, Failed, say
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
    run(_purge(settings_of(config, folders_are_read=False), wanted or [], folder, seconds, dry_run=dry_run, json=json))


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
    from ingestor.runtime.opening import read_ledger

    async with asking(settings, folder) as asked, read_ledger(settings) as reader:
        chosen, problems = await _chosen(settings, asked, wanted, folder, older_than_seconds)
        kept = await _kept_for_others(reader, chosen)
        ids = [entries for file_id, entries in chosen.items() if file_id not in kept]
        purged = []
        if not dry_run:
            purged = await asked.verifier.purge([entries[0] for entries in ids], "deleted by `ingestor purge`")
    under_way = set() if dry_run else _under_way(settings, ids)
    _tell(ids, {file_id: (chosen[file_id], held_by) for file_id, held_by in kept.items()}, under_way, dry_run, json)
    for one in purged:
        if not one.is_marked:
            problems.append(
                f"{one.entry.file_id}  {_place(one.entry)}: this id has ended or was followed meanwhile; purge it again"
            )
    if wanted:
        problems += [
            f"{file_id}  {_place(chosen[file_id][0])} was kept for {held_by[0]}" for file_id, held_by in kept.items()
        ]
    for problem in problems[:-1]:
        say(problem)
    if problems:
        raise Failed(Exit.OUR_FAULT, problems[-1])


def _under_way(settings: Settings, ids: Sequence[Sequence[LedgerEntry]]) -> set[str]:
    """Ids whose successors somebody may be sending just now."""
    from pathlib import Path

    from ingestor.cli.reading import holder
    from ingestor.model import State

    if isinstance(settings.ledger, Path) and holder(settings) is None:
        return set()
    return {str(entries[0].file_id) for entries in ids if entries[0].upload_state is State.RENEWING}


def _tell(
    ids: Sequence[Sequence[LedgerEntry]],
    kept: Mapping[str, tuple[Sequence[LedgerEntry], Sequence[str]]],
    under_way: set[str],
    dry_run: bool,
    json: bool,
) -> None:
    from ingestor.observe.wording import counted

    if json:
        out_json(
            {
                "purged": 0 if dry_run else len(ids),
                "dry_run": dry_run,
                "files": [{**_file(one), "renewal_under_way": one[0].file_id in under_way} for one in ids],
                "kept": [{**_file(entries), "held_by": held_by} for entries, held_by in kept.values()],
            }
        )
        return
    for entries in ids:
        others = f", and {len(entries) - 1} more of the same image" if len(entries) > 1 else ""
        out(f"{'would delete' if dry_run else 'deleted'}: {entries[0].file_id}  {_place(entries[0])}{others}")
        if entries[0].file_id in under_way:
            out(
                f"its renewal was under way and may still give it a new id: {_place(entries[0])}; if so, purge it again"
            )
    for file_id, (entries, held_by) in kept.items():
        out(f"kept: {file_id}  {_place(entries[0])}: {held_by[0]} is the same image and goes by this id")
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
) -> tuple[dict[str, list[LedgerEntry]], list[str]]:
    """The entries that are meant, by their live ids; and what was named that has none, in words."""
    from ingestor.cli.naming import entries_named
    from ingestor.runtime.upkeep import every, has_live_id

    now = asked.clock.now()
    if wanted:
        live: dict[tuple[str, str], LedgerEntry] = {}
        problems = []
        for one in wanted:
            named = await entries_named(settings, asked.ledger, one)
            found = {(entry.folder, entry.path): entry for entry in named if has_live_id(entry, now)}
            if not found:
                problems.append(f"{one}: {_place(named[0])} is {named[0].state}: there is no live id to purge")
            live |= found
        return _by_id(live.values()), problems
    entries = [entry async for entry in every(asked.ledger, folder=folder, has_live_id=True)]
    if older_than_seconds is None:
        return _by_id(entries), []
    old = (e for e in entries if e.created_at and (now - e.created_at).total_seconds() > older_than_seconds)
    return _by_id(old), []


def _by_id(entries: Iterable[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    by_id: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        if entry.file_id is not None:
            by_id.setdefault(entry.file_id, []).append(entry)
    return by_id

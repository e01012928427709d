"""`ingestor purge`.

The sources stay where they are. A purged image is not uploaded again unless it changes or `ingestor renew` names it;
one in line for its next id leaves the line. With a path's present id go those that it had before and that are good
still: from before a renewal, or of other bytes. A file id that is named goes alone. An id that a copy elsewhere goes by
stays, unless that is meant too. Ends with 1 where what was named has no live id, or one that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, seconds_of, settings_of
from ingestor.cli.completing import folder_names, paths_or_ids
from ingestor.cli.exits import Exit, Failed, say
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.cli.doomed import Doomed, Place
    from ingestor.model import FileId, FormerId
    from ingestor.settings import Settings

WHY = "deleted by `ingestor purge`"


def command(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH|FILE_ID]...",
            help="Which ones: a path with the ids it had before, an id alone.",
            autocompletion=paths_or_ids,
        ),
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
    from ingestor.cli.doomed import every_one, named
    from ingestor.runtime.opening import read_ledger

    async with asking(settings, folder) as asked, read_ledger(settings) as reader:
        if wanted:
            meant = await named(settings, asked, wanted)
        else:
            age = None if older_than_seconds is None else timedelta(seconds=older_than_seconds)
            meant = await every_one(asked, reader, folder, None if age is None else asked.clock.now() - age)
        doomed = await meant.ids(reader)
        kept = [one for one in doomed if one.held_by]
        ids = [one for one in doomed if not one.held_by]
        purged = []
        if not dry_run:
            await asked.verifier.purge_former([one.former for one in ids if one.former is not None], WHY)
            purged = await asked.verifier.purge([one.present for one in ids if one.present is not None], WHY)
    _tell(ids, kept, meant.followed, set() if dry_run else _under_way(settings, ids), dry_run, json)
    problems = meant.problems
    for checked in purged:
        if not checked.is_marked:
            place = _place((checked.entry.folder, checked.entry.path))
            problems.append(
                f"{checked.entry.file_id}  {place}: this id has ended or was followed meanwhile; purge it again"
            )
    if wanted:
        problems += [f"{one.file_id}  {_place(one.places[0])} was kept for {_place(one.held_by[0])}" for one in kept]
    for problem in problems[:-1]:
        say(problem)
    if problems:
        raise Failed(Exit.OUR_FAULT, problems[-1])


def _under_way(settings: Settings, ids: Sequence[Doomed]) -> set[FileId]:
    """Ids whose successors somebody may be sending just now."""
    from pathlib import Path

    from ingestor.cli.reading import holder
    from ingestor.model import State

    if isinstance(settings.ledger, Path) and holder(settings) is None:
        return set()
    return {one.file_id for one in ids if one.present is not None and one.present.upload_state is State.RENEWING}


def _tell(
    ids: Sequence[Doomed],
    kept: Sequence[Doomed],
    followed: Sequence[FormerId],
    under_way: set[FileId],
    dry_run: bool,
    json: bool,
) -> None:
    from ingestor.observe.wording import counted

    if json:
        out_json(
            {
                "purged": 0 if dry_run else len(ids),
                "dry_run": dry_run,
                "files": [{**_file(one), "renewal_under_way": one.file_id in under_way} for one in ids],
                "kept": [{**_file(one), "held_by": [_place(place) for place in one.held_by]} for one in kept],
            }
        )
        return
    for one in ids:
        place = _place(one.places[0])
        before = "" if one.former is None else ", from before"
        others = f", and {len(one.places) - 1} more of the same image" if len(one.places) > 1 else ""
        out(f"{'would delete' if dry_run else 'deleted'}: {one.file_id}  {place}{before}{others}")
        if one.file_id in under_way:
            out(f"its renewal was under way and may still give it a new id: {place}; if so, purge it again")
    for former in followed:
        out(f"{former.file_id} was followed by {former.followed_by}, which stays; name the path to delete both")
    for one in kept:
        is_what = "is the same image" if one.former is None else "is the image that it was"
        out(f"kept: {one.file_id}  {_place(one.places[0])}: {_place(one.held_by[0])} {is_what} and goes by this id")
    files_at = f"{counted(len(ids), 'file')} at the API"
    out(f"{files_at} would be deleted" if dry_run else f"deleted {files_at}")
    if kept:
        out(f"{counted(len(kept), 'id')} kept for copies that were not named; name those too, or the file id")


def _place(place: Place) -> str:
    return "/".join(place)


def _file(one: Doomed) -> dict[str, Any]:
    folder, path = one.places[0]
    return {
        "folder": folder,
        "path": path,
        "file_id": one.file_id,
        "former": one.former is not None,
        "paths": [_place(place) for place in one.places],
    }

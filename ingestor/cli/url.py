"""`ingestor url`.

The URL lives about an hour and is stored nowhere; whoever has it can read the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, settings_of
from ingestor.cli.completing import paths_or_ids
from ingestor.cli.exits import Exit, Failed
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.model import LedgerEntry
    from ingestor.settings import Settings


def command(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH|FILE_ID]...", help="Which ones.", autocompletion=paths_or_ids)
    ] = None,
    config: Config = None,
    every: Annotated[bool, typer.Option("--all", help="Every id that is live.")] = False,
    json: Json = False,
) -> None:
    if bool(wanted) == every:
        raise UsageError("name a path or a file id, or say --all")
    run(_urls(settings_of(config, folders_are_read=False), wanted or [], json=json))


async def _urls(settings: Settings, wanted: list[str], *, json: bool) -> None:
    from ingestor.cli.asking import asking
    from ingestor.cli.naming import entries_named, was_of_other_bytes
    from ingestor.errors import FileGone
    from ingestor.runtime.upkeep import Urls, every, has_live_id

    gone: list[str] = []
    async with asking(settings) as asked:
        urls = Urls(api=asked.api, clock=asked.clock)
        entries = [entry async for entry in every(asked.ledger, has_live_id=True)] if not wanted else []
        for one in wanted:
            for entry in await entries_named(settings, asked.ledger, one):
                if await was_of_other_bytes(asked.ledger, entry, one):
                    gone.append(f"{one} was of {entry.folder}/{entry.path} as it was before: it has other bytes now")
                else:
                    entries.append(entry)
        for entry in entries:
            if not has_live_id(entry, asked.clock.now()):
                gone.append(f"{entry.folder}/{entry.path} is {entry.state}: there is no live id; upload it again first")
                continue
            try:
                file = await urls.of(entry)
            except FileGone:
                gone.append(f"{entry.file_id} is gone at the API; `ingestor verify` marks such ids")
                continue
            _print(entry, file.url, json=json)
    if gone:
        more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
        raise Failed(Exit.OUR_FAULT, gone[0] + more)


def _print(entry: LedgerEntry, url: str, *, json: bool) -> None:
    if not json:
        out(url)
        return
    expires_at = entry.expires_at.isoformat().replace("+00:00", "Z") if entry.expires_at else None
    out_json(
        {
            "folder": entry.folder,
            "path": entry.path,
            "file_id": entry.file_id,
            "url": url,
            "expires_at": expires_at,
        }
    )

"""`ingestor verify`.

Each id costs one GET, paced under the GET quota. With --renew, what is gone is put in line to be uploaded again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, settings_of
from ingestor.cli.completing import folder_names

if TYPE_CHECKING:
    from ingestor.model import LedgerEntry
    from ingestor.ports import Ledger
    from ingestor.settings import Settings


def command(
    config: Config = None,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this folder's.", autocompletion=folder_names)
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Upload again what is gone.")] = False,
    json: Json = False,
) -> None:
    run(_verify(settings_of(config, folders_are_read=renew), folder, renew=renew, json=json))


async def _verify(settings: Settings, folder: str | None, *, renew: bool, json: bool) -> None:
    from ingestor.cli.asking import asking
    from ingestor.cli.serving import fail_unserved, served_by_holder, tell_unserved, unserved_of
    from ingestor.observe.wording import counted
    from ingestor.runtime.upkeep import NOT_WATCHED, distinct_ids, want_renewals

    async with asking(settings, folder, marks_ended=False) as asked:
        entries = await distinct_ids(_marked_live(asked.ledger, folder))
        checked = await asked.verifier.verify(entries)
        gone = [one.entry for one in checked if not one.is_there and not one.has_expired]
        expired = [one.entry for one in checked if one.has_expired]
        in_line = 0
        left: list[LedgerEntry] = []
        if renew:
            served = served_by_holder(settings)
            wanted, impossible = await want_renewals(asked.ledger, [*gone, *expired], None, served)
            in_line, left = len(wanted), unserved_of(impossible, served)
    tell_unserved(left, NOT_WATCHED)
    if json:
        missing = [{"folder": e.folder, "path": e.path, "file_id": e.file_id} for e in gone]
        counts = {"checked": len(checked), "gone": len(gone), "expired": len(expired), "in_line": in_line}
        out_json({**counts, "files": missing})
        fail_unserved(left)
        return
    for entry in gone:
        out(f"gone: {entry.file_id}  {entry.folder}/{entry.path}")
    there = len(checked) - len(gone) - len(expired)
    ended = f", {len(expired)} expired meanwhile" if expired else ""
    out(f"asked about {counted(len(checked), 'id')}: {there} there, {len(gone)} gone{ended}")
    if in_line:
        out(f"{in_line} are in line again: a running `ingestor watch` takes them, else the next `ingestor backfill`")
    fail_unserved(left)


async def _marked_live(ledger: Ledger, folder: str | None) -> AsyncIterator[LedgerEntry]:
    """Entries whose ids are not marked as ended: those that have ended meanwhile, and those that wait, as well."""
    from ingestor.policy.life_cycle import HAS_LIVE_ID
    from ingestor.runtime.upkeep import every

    async for entry in every(ledger, sorted(HAS_LIVE_ID), folder=folder):
        yield entry
    async for entry in every(ledger, folder=folder, has_live_id=True):
        yield entry

"""`ingestor renew`.

Each image is uploaded again under the next generation of its key, and the manifest's newest line has the new id; the
old one lives out its time. With --within, one that a running daemon has in line for that keeps its place. Exit codes as
of `ingestor backfill`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, seconds_of, settings_of
from ingestor.cli.completing import folder_names, paths_or_ids
from ingestor.cli.exits import say
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.model import ContentId, LedgerEntry
    from ingestor.ports import Ledger
    from ingestor.runtime.backfill import Limits, Report
    from ingestor.settings import Settings

NOT_KNOWN = "the folder {folder} is not in the settings; add it there, and say this again"


def command(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH|FILE_ID]...", help="Which ones.", autocompletion=paths_or_ids)
    ] = None,
    config: Config = None,
    within: Annotated[str | None, typer.Option(metavar="DURATION", help="All that expire within it.")] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this folder's.", autocompletion=folder_names)
    ] = None,
    deadline: Annotated[str | None, typer.Option(metavar="DURATION", help="When to end at the latest.")] = None,
    json: Json = False,
) -> None:
    from ingestor.cli.backfill import end, limits_of
    from ingestor.cli.serving import fail_unserved, tell_unserved
    from ingestor.runtime.upkeep import NOT_WATCHED

    if bool(wanted) == (within is not None):
        raise UsageError("name paths or file ids, or say --within DURATION")
    settings = settings_of(config)
    report, left = run(_renew(settings, wanted or [], within, folder, limits_of("continue", deadline), json=json))
    tell_unserved(left, NOT_WATCHED if report is None else NOT_KNOWN)
    if report is not None:
        if json:
            out_json(report.tally.as_json())
        end(report)
    fail_unserved(left)


async def _renew(
    settings: Settings, wanted: list[str], within: str | None, folder: str | None, limits: Limits, *, json: bool
) -> tuple[Report | None, list[LedgerEntry]]:
    """The report, None where a running daemon does the work; and what nobody does, for its folder is not served."""
    from ingestor.app import assemble
    from ingestor.cli.reading import check_folder
    from ingestor.cli.screen import Screen
    from ingestor.cli.serving import served_by_holder
    from ingestor.cli.signals import on_signals
    from ingestor.ledger.place import holder_at
    from ingestor.runtime.adhoc import adhoc_folders
    from ingestor.runtime.backfill import Backfill
    from ingestor.runtime.opening import hold_ledger, open_ledger

    await check_folder(settings, folder)
    if holder_at(settings) is not None:
        async with open_ledger(settings) as ledger:
            entries = await _entries(settings, ledger, wanted, within, folder)
            already = set() if wanted else await _in_line(ledger)
            fresh = [one for one in entries if one.content_id not in already]
            number, left = await _put_in_line(ledger, fresh, None, served_by_holder(settings))
        _handed_over(number, sum(one.content_id in already for one in entries), json=json)
        return None, left
    async with hold_ledger(settings, "ingestor renew") as ledger:
        batch = secrets.token_hex(8)
        folders = [*settings.folders, *await adhoc_folders(settings, ledger)]
        with Screen(settings, json=json) as screen:
            async with assemble(
                settings, ledger=ledger, folders=folders, observer=screen.observer, patient=False
            ) as parts:
                await ledger.confirm_time()
                entries = await _entries(settings, ledger, wanted, within, folder)
                served = [one.name for one in parts.folders] if parts.cluster is None else None
                number, left = await _put_in_line(ledger, entries, batch, served)
                backfill = Backfill(parts, [], limits, batch=batch, in_line=number)
                screen.follow(backfill.tally, parts)
                with on_signals(backfill.interrupt, backfill.abort):
                    report = await backfill.run()
                screen.sum_up(report.tally)
                return report, left


async def _in_line(ledger: Ledger) -> set[ContentId | None]:
    """The contents that are in line for their next generation."""
    from ingestor.model import SourceState
    from ingestor.runtime.upkeep import every

    return {entry.content_id async for entry in every(ledger, [SourceState.WAITING]) if entry.awaits_renewal}


def _handed_over(number: int, already: int, *, json: bool) -> None:
    if json:
        out_json({"in_line": number, "in_line_already": already})
    else:
        from ingestor.observe.wording import counted

        out(f"put in line for a new id: {counted(number, 'image')}; the running `ingestor watch` uploads them")
        if already:
            out(f"in line for one already: {counted(already, 'image')}")


async def _put_in_line(
    ledger: Ledger, entries: Sequence[LedgerEntry], batch: str | None, served: Sequence[str] | None
) -> tuple[int, list[LedgerEntry]]:
    """How many contents are in line for their next generation now; and those in folders that are not served."""
    from ingestor.cli.serving import unserved_of
    from ingestor.runtime.upkeep import want_renewals

    renewed, impossible = await want_renewals(ledger, entries, batch, served)
    for entry in impossible:
        if served is None or entry.folder in served:
            why = "its source is gone, was put away, or is in line already"
            say(f"{entry.folder}/{entry.path}: cannot be renewed: {why}")
    return len(renewed), unserved_of(impossible, served)


async def _entries(
    settings: Settings, ledger: Ledger, wanted: list[str], within: str | None, folder: str | None
) -> list[LedgerEntry]:
    from ingestor.cli.naming import entries_named
    from ingestor.runtime.system_clock import SystemClock
    from ingestor.runtime.upkeep import distinct_ids, every, expires_within

    if wanted:
        named = [entry for one in wanted for entry in await entries_named(settings, ledger, one)]
        return list({entry.content_id: entry for entry in named if entry.content_id is not None}.values())
    before = expires_within(SystemClock().now(), seconds_of("--within", within or ""))
    entries = await distinct_ids(every(ledger, folder=folder, expires_before=before, has_live_id=True))
    # One process goes by the ends anyway; machines that share a ledger take jobs in the order in which they were made.
    return sorted(entries, key=lambda entry: entry.expires_at or before)

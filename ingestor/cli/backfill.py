"""`ingestor backfill`.

Files under way in other programs are waited for until they have settled. Exit codes: 0 all is live, 3 some images are
quarantined, 4 the API refuses us, 5 the deadline passed, 6 another ingestor holds the ledger.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out_json, run, seconds_of, settings_of
from ingestor.cli.exits import Exit, Failed
from ingestor.cli.worker import check_shared
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.ports import Ledger
    from ingestor.runtime.backfill import Limits, Report, Selection
    from ingestor.settings import Settings


def command(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Instead of the folders.")] = None,
    config: Config = None,
    purpose: Annotated[str | None, typer.Option(help="reference, first_frame or last_frame.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")] = None,
    files_from: Annotated[str | None, typer.Option(metavar="FILE", help="A list of paths; - is stdin.")] = None,
    nul: Annotated[bool, typer.Option("-0", help="The list's paths end with NUL, not with a newline.")] = False,
    on_errors: Annotated[
        str, typer.Option(metavar="continue|stop|N", help="How many quarantined end it.")
    ] = "continue",
    deadline: Annotated[str | None, typer.Option(metavar="DURATION", help="When to end at the latest.")] = None,
    allow_expiry: Annotated[
        bool, typer.Option("--allow-expiry", help="Begin although ids will end before the last upload.")
    ] = False,
    submit_only: Annotated[
        bool, typer.Option("--submit-only", help="End when all is in line for other machines (shared ledger).")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A line for each image on stderr.")] = False,
    json: Json = False,
) -> None:
    from ingestor.cli.listing import paths_of

    settings = settings_of(config)
    wanted = paths_of(paths or [], files_from, nul=nul)
    if submit_only:
        check_shared(settings, "--submit-only")
        if wanted is not None:
            raise UsageError("--submit-only is for the folders of the settings: no other machine knows these paths")
    limits = limits_of(on_errors, deadline)
    report = run(
        _backfill(
            settings,
            wanted,
            purpose,
            metadata or [],
            limits,
            json=json,
            verbose=verbose,
            allow_expiry=allow_expiry,
            submit_only=submit_only,
        )
    )
    if json:
        out_json(report.tally.as_json())
    end(report)


async def _backfill(
    settings: Settings,
    wanted: Sequence[Path] | None,
    purpose: str | None,
    metadata: Sequence[str],
    limits: Limits,
    *,
    json: bool,
    verbose: bool,
    allow_expiry: bool,
    submit_only: bool,
) -> Report:
    from ingestor.app import assemble
    from ingestor.cli.screen import Screen
    from ingestor.cli.signals import on_signals
    from ingestor.runtime.backfill import Backfill
    from ingestor.runtime.opening import hold_ledger, open_ledger
    from ingestor.runtime.selecting import select

    # Who only puts images in line takes nothing from a daemon that is at work here.
    held = open_ledger(settings, must_exist=False) if submit_only else hold_ledger(settings, "ingestor backfill")
    async with held as ledger:
        selections = await select(settings, ledger, wanted, purpose=purpose, metadata=metadata)
        if not allow_expiry:
            await _check_expiry(settings, selections, ledger)
        folders = [selection.folder.settings for selection in selections]
        with Screen(settings, json=json, verbose=verbose) as screen:
            async with assemble(
                settings,
                ledger=ledger,
                folders=folders,
                observer=screen.observer,
                patient=False,
                what="ingestor backfill",
            ) as parts:
                backfill = Backfill(parts, selections, limits, submit_only=submit_only)
                screen.follow(backfill.tally, parts)
                with on_signals(backfill.interrupt, backfill.abort):
                    report = await backfill.run()
                screen.sum_up(report.tally)
                return report


async def _check_expiry(settings: Settings, selections: Sequence[Selection], ledger: Ledger) -> None:
    """Ask on a terminal, refuse elsewhere, where ids would end before the run does."""
    from ingestor.app import UPLOAD_QUOTA_FACT
    from ingestor.runtime.capacity import would_expire
    from ingestor.runtime.supply import supply_of
    from ingestor.runtime.system_clock import SystemClock

    clock = SystemClock()
    supply = supply_of(settings.api.quota, await ledger.fact(UPLOAD_QUOTA_FACT), clock.now())
    why = await would_expire(settings, selections, clock, supply)
    if why is None:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        if typer.confirm(f"{why}. Begin all the same?", err=True):
            return
        raise Failed(Exit.WRONG_USAGE, "nothing was begun")
    raise Failed(Exit.WRONG_USAGE, f"{why}; take fewer, or say --allow-expiry (`ingestor plan` has the numbers)")


def limits_of(on_errors: str, deadline: str | None) -> Limits:
    from ingestor.runtime.backfill import Limits

    if on_errors not in ("continue", "stop") and not (on_errors.isdecimal() and int(on_errors) > 0):
        raise UsageError(f"--on-errors is continue, stop or a number above 0, not {on_errors}")
    most = {"continue": None, "stop": 1}.get(on_errors, int(on_errors) if on_errors.isdecimal() else None)
    seconds = None if deadline is None else seconds_of("--deadline", deadline)
    return Limits(most_errors=most, deadline_seconds=seconds)


def end(report: Report) -> None:
    """The exit code, and why."""
    from ingestor.observe.wording import counted
    from ingestor.runtime.backfill import Ended

    tally = report.tally
    match report.ended:
        case Ended.INTERRUPTED:
            left = counted(tally.deferred, "image")
            raise Failed(Exit.INTERRUPTED, f"{report.message}; left for the next run: {left}")
        case Ended.REFUSED:
            raise Failed(Exit.REFUSED, report.message)
        case Ended.OUT_OF_TIME:
            raise Failed(Exit.UNREACHABLE, report.message)
        case Ended.FAULT:
            raise Failed(Exit.OUR_FAULT, report.message)
        case Ended.STOPPED:
            raise Failed(Exit.QUARANTINED, report.message)
    if tally.quarantined:
        first = next((problem for problem in tally.problems), None)
        why = f", such as {first.path}: {first.reason}" if first else ""
        raise Failed(Exit.QUARANTINED, f"quarantined: {tally.quarantined} of {counted(tally.discovered, 'image')}{why}")

"""`ingestor plan`.

Images are judged by their headers: damage inside of a file shows only when it is about to be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out_json, run, settings_of

if TYPE_CHECKING:
    from ingestor.settings import Settings


def command(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Instead of the folders.")] = None,
    config: Config = None,
    purpose: Annotated[str | None, typer.Option(help="reference, first_frame or last_frame.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")] = None,
    files_from: Annotated[str | None, typer.Option(metavar="FILE", help="A list of paths; - is stdin.")] = None,
    nul: Annotated[bool, typer.Option("-0", help="The list's paths end with NUL, not with a newline.")] = False,
    json: Json = False,
) -> None:
    from ingestor.cli.listing import paths_of

    settings = settings_of(config)
    wanted = paths_of(paths or [], files_from, nul=nul)
    plan = run(_plan(settings, wanted, purpose, metadata or []))
    if json:
        out_json(plan)
        return
    from ingestor.cli.plan_text import print_plan

    print_plan(plan)


async def _plan(
    settings: Settings, wanted: Sequence[Path] | None, purpose: str | None, metadata: Sequence[str]
) -> dict[str, Any]:
    """The object that `--json` prints."""
    from contextlib import AsyncExitStack

    from ingestor.app import UPLOAD_QUOTA_FACT, image_pool, spool_folder
    from ingestor.cli.planned import numbers
    from ingestor.cli.progress import showing
    from ingestor.cli.reading import ledger_if_any
    from ingestor.runtime.plan import NoBooks
    from ingestor.runtime.planning import Planner
    from ingestor.runtime.selecting import select
    from ingestor.runtime.supply import supply_of
    from ingestor.runtime.system_clock import SystemClock

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(ledger_if_any(settings))
        selections = await select(settings, ledger, wanted, purpose=purpose, metadata=metadata, remember=False)
        images = image_pool(settings, spool_folder(settings))
        stack.push_async_callback(images.close)
        books, most = ledger or NoBooks(), settings.normalise.max_pixels
        planner = Planner(selections, books=books, images=images, max_pixels=most, clock=clock)
        state = await ledger.fact(UPLOAD_QUOTA_FACT) if ledger is not None else None
        with showing(planner):
            plan = await planner.run()
        now = clock.now()
        return numbers(plan, supply_of(settings.api.quota, state, now), now)

"""`ingestor status`.

Shows what the ledger holds and what a running daemon says of itself; asks nothing of the API.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out_json, run, settings_of

if TYPE_CHECKING:
    from ingestor.settings import Settings

REDRAW_SECONDS = 2.0


def command(
    config: Config = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again every 2 seconds, until stopped.")] = False,
    json: Json = False,
) -> None:
    settings = settings_of(config)
    if watch:
        _watch(settings, json=json)
    _show(run(_snapshot(settings)), json=json)


async def _snapshot(settings: Settings) -> dict[str, Any]:
    from ingestor.cli.overview import snapshot

    return await snapshot(settings)


def _show(status: dict[str, Any], *, json: bool) -> None:
    if json:
        out_json(status)
        return
    from ingestor.cli.overview_text import print_status

    print_status(status)


def _watch(settings: Settings, *, json: bool) -> None:
    import sys

    while True:
        status = run(_snapshot(settings))
        if not json and sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        _show(status, json=json)
        sys.stdout.flush()
        time.sleep(REDRAW_SECONDS)

"""`ingestor status`.

Shows what the ledger holds, and what a running daemon says of itself. Nothing is asked of the API.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out_json, run, settings_of

if TYPE_CHECKING:
    from ingestor.settings import Settings

REDRAW_SECONDS = 2.0
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def command(
    config: Config = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it every 2 seconds, until stopped.")] = False,
    json: Json = False,
) -> None:
    settings = settings_of(config, folders_are_read=False)
    _show(settings, json=json, redraw=watch)
    while watch:
        time.sleep(REDRAW_SECONDS)
        _show(settings, json=json, redraw=True)


def _show(settings: Settings, *, json: bool, redraw: bool) -> None:
    from ingestor.cli.standing import standing
    from ingestor.cli.standing_text import print_status
    from ingestor.cli.tables import is_drawn

    status = run(standing(settings))
    if json:
        out_json(status)
    else:
        if redraw and is_drawn():
            sys.stdout.write(_HOME_AND_CLEAR)
        print_status(status)
    sys.stdout.flush()

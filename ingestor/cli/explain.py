"""`ingestor explain`.

A path is one from here, one within a drop folder, or FOLDER/PATH as the manifest has them.
A file id may be a former one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.common import Config, Json, out_json, run, settings_of
from ingestor.cli.exits import Exit, Failed

if TYPE_CHECKING:
    from ingestor.settings import Settings


def command(
    wanted: Annotated[str, typer.Argument(metavar="PATH|FILE_ID", help="Of which image.")],
    config: Config = None,
    json: Json = False,
) -> None:
    answer = run(_explain(settings_of(config), wanted))
    if json:
        out_json(answer)
    else:
        from ingestor.cli.explain_text import print_explanation

        print_explanation(answer)
    if not answer["images"] and not answer["elsewhere"]:
        raise Failed(Exit.WRONG_USAGE, answer["unknown"])


async def _explain(settings: Settings, wanted: str) -> dict[str, Any]:
    from ingestor.cli.explaining import explain

    return await explain(settings, wanted)

"""`ingestor explain`.

A path is one from here, one within a drop folder, FOLDER/PATH as the manifest has them, or where a file was put away.
A file id may be a former one.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ingestor.cli.common import Config, Json, out_json, run, settings_of
from ingestor.cli.completing import paths_or_ids
from ingestor.cli.exits import Exit, Failed


def command(
    wanted: Annotated[str, typer.Argument(metavar="PATH|FILE_ID", help="Of which image.", autocompletion=paths_or_ids)],
    config: Config = None,
    json: Json = False,
) -> None:
    settings = settings_of(config, folders_are_read=False)
    from ingestor.cli.explain_text import print_explanation
    from ingestor.cli.explaining import explain

    answer = run(explain(settings, wanted))
    if json:
        out_json(answer)
    else:
        print_explanation(answer)
    if answer["unknown"]:
        raise Failed(Exit.WRONG_USAGE, answer["unknown"])

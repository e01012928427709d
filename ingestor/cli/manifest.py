"""`ingestor manifest`.

For each path its present line, as in the manifest file, but each only once. No signed URL is in it: ask `ingestor url`
for one. --live leaves out what cannot be used any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, run, settings_of
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings

FORMATS = ("jsonl", "json", "csv")


def command(
    config: Config = None,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|json|csv", help="How it is written.")] = "jsonl",
    live: Annotated[bool, typer.Option("--live", help="Only ids that are good now.")] = False,
    folder: Annotated[str | None, typer.Option(metavar="NAME", help="Only this folder's.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, whole or not at all.")] = None,
    json: Json = False,
) -> None:
    if form not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not {form}")
    run(_export(settings_of(config), "json" if json else form, folder, output, live=live))


async def _export(settings: Settings, form: str, folder: str | None, output: Path | None, *, live: bool) -> None:
    from ingestor.app import read_ledger
    from ingestor.cli.exporting import known_folder, open_output, present_lines, writer_of

    async with read_ledger(settings) as ledger:
        if folder is not None:
            await known_folder(settings, ledger, folder)
        with open_output(output) as stream:
            writer = writer_of(form, stream)
            async for line in present_lines(ledger, folder=folder, live=live):
                writer.write(line)
            writer.end()

"""`ingestor manifest`.

For each path its present line, as in the manifest file, but each only once. No signed URL is in it: ask `ingestor url`
for one. --live leaves out what cannot be used any more.

--compact exports nothing: it makes the manifest file itself smaller, by the lines that later ones have replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run, settings_of
from ingestor.cli.completing import folder_names
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings

FORMATS = ("jsonl", "json", "csv")


def command(
    config: Config = None,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|json|csv", help="How it is written.")] = "jsonl",
    live: Annotated[bool, typer.Option("--live", help="Only ids that are good now.")] = False,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this folder's.", autocompletion=folder_names)
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, whole or not at all.")] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Shorten the manifest file itself.")] = False,
    json: Json = False,
) -> None:
    if form not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not {form}")
    if compact:
        if live or folder is not None or output is not None:
            raise UsageError("--compact is about the manifest file, and goes with no other option")
        run(_compact(settings_of(config, folders_are_read=False), json=json))
        return
    run(_export(settings_of(config, folders_are_read=False), "json" if json else form, folder, output, live=live))


async def _export(settings: Settings, form: str, folder: str | None, output: Path | None, *, live: bool) -> None:
    from ingestor.cli.exporting import open_output, present_lines, writer_of
    from ingestor.cli.reading import check_folder
    from ingestor.runtime.opening import read_ledger

    await check_folder(settings, folder)
    async with read_ledger(settings) as ledger:
        with open_output(output) as stream:
            writer = writer_of(form, stream)
            async for line in present_lines(ledger, folder=folder, live=live):
                writer.write(line)
            writer.end()


async def _compact(settings: Settings, *, json: bool) -> None:
    from ingestor.observe.wording import counted
    from ingestor.runtime.opening import open_ledger
    from ingestor.stages.manifest import Manifest

    async with open_ledger(settings) as ledger:
        manifest = Manifest(settings.manifest, ledger)
        await manifest.open()
        removed = await manifest.compact()
    if json:
        out_json({"removed": removed})
    else:
        out(f"{counted(removed, 'line')} removed, which later ones had replaced: {settings.manifest}")

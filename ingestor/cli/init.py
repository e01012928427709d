"""`ingestor init`.

Asks on a terminal for what the options do not say; with --yes nothing is asked, and the folders are made where they are
missing. A file that is there is never overwritten.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, out
from ingestor.cli.exits import Exit, Failed
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.cli.first_settings import Answers


def command(
    config: Config = None,
    folder: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A drop folder; may be repeated.")] = None,
    purpose: Annotated[str | None, typer.Option(help="reference, first_frame or last_frame.")] = None,
    after_upload: Annotated[str | None, typer.Option(metavar="ACTION", help="keep, move:DIR or delete.")] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the API key is.")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The bundled API instead of the real one.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    from ingestor.cli.first_settings import Answers, write

    file = _file(config)
    if os.path.lexists(file):
        raise Failed(
            Exit.WRONG_USAGE, f"{file}: is there already, and is never overwritten; name another with --config"
        )
    answers = Answers(
        folders=folder or [], purpose=purpose, after_upload=after_upload, key_file=key_file, sandbox=sandbox
    )
    if not yes:
        answers = _asked(answers, file)
    elif not folder:
        raise UsageError("--yes asks nothing: name at least one drop folder with --folder DIR")
    write(file, answers)
    out(f"wrote {file}")
    out(f"next: ingestor check -c {file}, then ingestor watch -c {file}")


def _file(config: Path | None) -> Path:
    from ingestor.settings.environment import CONFIG_VARIABLE
    from ingestor.settings.loading import DEFAULT_FILE

    return config or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)


def _asked(answers: Answers, file: Path) -> Answers:
    from ingestor.cli.questions import ask

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask on: say --folder DIR (and --purpose, ...) and --yes")
    return ask(answers, file)

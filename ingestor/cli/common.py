"""What commands share: their options, settings, logs and output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings

T = TypeVar("T")

_MUCH = 20_000
"""Objects that a million files leave behind in half a second; Python's own number is 700."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings file; default: $INGESTOR_CONFIG, else config/ingestor.yaml."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def settings_of(
    config: Path | None, overrides: Mapping[str, Any] | None = None, *, folders_are_read: bool = True
) -> Settings:
    """Flag over environment over file over default. Raises `SettingsError`.

    `folders_are_read` False: for commands about what is uploaded, which work while a drop folder is away.
    """
    from ingestor.settings import load

    return load(config, os.environ, overrides, folders_are_read=folders_are_read)


def seconds_of(option: str, text: str) -> float:
    """What a duration on the command line stands for. Raises `UsageError`, which says how one is written."""
    from ingestor.settings import parse_seconds
    from ingestor.settings.wording import quoted

    try:
        return parse_seconds(text)
    except ValueError:
        raise UsageError(f"{option}: {quoted(text)} is not a duration; write one such as 90s, 5m or 24h") from None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, imported only by commands that wait for something."""
    import asyncio
    import atexit
    import gc

    # What has been imported stays: to look through it again and again for what nobody needs costs a twentieth of all
    # time. What comes later is looked through when there is much of it.
    gc.freeze()
    gc.set_threshold(_MUCH, 20, 20)
    # The interpreter looks through all of it several times on its way out, which is most of the time that an end takes.
    atexit.register(gc.freeze)
    return asyncio.run(coroutine)


def out(text: str) -> None:
    """A line on stdout: a result."""
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def out_json(value: Any) -> None:
    """A JSON value on stdout."""
    out(json.dumps(value, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))

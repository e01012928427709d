"""The program: every command by its name.

The modules of commands are light: what a command needs besides its options, it imports when it runs.
"""

from __future__ import annotations

import importlib
import io
import sys
from types import ModuleType

import typer
from typer.exceptions import TyperException

from ingestor import __version__
from ingestor.cli.exits import Exit, Failed, guarded

COMMANDS = {
    "init": "ask a few questions and write a commented settings file",
    "watch": "run until stopped: scan, then watch the configured drop folders",
    "backfill": "one pass over the drop folders, or over the given paths, then exit",
    "plan": "what a backfill would do: sends nothing, writes nothing",
    "status": "live, expiring, waiting, quarantined; quota; last event and scan per folder",
    "explain": "one path's or file id's whole history: state, why, next attempt",
    "manifest": "export what is known (jsonl, json, csv), all or only what is live",
    "url": "a fresh signed URL for a path or a file id",
    "verify": "ask the API about every id held as live; mark what is gone",
    "renew": "upload again, under a new id, what expires within a given time",
    "retry": "put quarantined images back in line",
    "purge": "delete uploaded files at the API now",
    "check": "settings, folders, key, API, inotify limits: all that is wrong, in one run",
    "schema": "the JSON Schema of the settings file (editors complete and validate with it)",
    "sandbox": "serve the Files API on this machine",
    "worker": "(shared ledger) take jobs that other machines submitted",
    "ledger": "copy FROM TO: bring a ledger from SQLite to PostgreSQL, or back",
}
"""Name to what it does, in the order of the help; the module of the same name has its `command`."""


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"ingestor {__version__}\n")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_version, help="Show it and exit."),
) -> None:
    """Watches drop folders, makes images fit, uploads each one exactly once, keeps a manifest of file ids."""


def program() -> typer.Typer:
    """All commands as one."""
    application = typer.Typer(name="ingestor", no_args_is_help=True, rich_markup_mode=None)
    application.callback()(_root)
    for name, what in COMMANDS.items():
        module = importlib.import_module(f"ingestor.cli.{name}")
        application.command(name=name, help=_help(module, what), short_help=what)(module.command)
    return application


def _help(module: ModuleType, what: str) -> str:
    """What the command does, and what its module says beyond its first line."""
    more = (module.__doc__ or "").partition("\n")[2].strip()
    first = what[:1].upper() + what[1:] + "."
    return f"{first}\n\n{more}" if more else first


def main() -> None:
    """Run the command line and exit with one of the codes of `exits.Exit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows few letters gets the others escaped, not a fault of ours.
            stream.reconfigure(errors="backslashreplace")
    guarded(_run)


def _run() -> None:
    command = typer.main.get_command(program())
    try:
        code = command.main(standalone_mode=False, prog_name="ingestor")
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:
        if not isinstance(sys.stdout, io.TextIOBase):
            # typer has met a broken pipe, put a wrapper in its place, and calls it a failure; it is none.
            raise BrokenPipeError from None
        raise
    except TyperException as error:
        raise Failed(Exit.WRONG_USAGE, _usage(error)) from None
    if isinstance(code, int) and code:
        raise SystemExit(code)


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    return f"{error.format_message()}{hint}"

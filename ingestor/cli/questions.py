"""The questions of `ingestor init`, on the terminal."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import typer

from ingestor.cli.first_settings import PURPOSES, Answers


def ask(answers: Answers, file: Path) -> Answers:
    """The answers completed; what the options have said is not asked again."""
    _say(f"This writes {file}. Enter takes what stands in brackets.")
    if not answers.folders:
        answers = replace(answers, folders=_folders())
    if answers.purpose is None:
        answers = replace(answers, purpose=_purpose())
    if not answers.sandbox and answers.key_file is None:
        answers = _api(answers)
    if answers.after_upload is None:
        answers = replace(answers, after_upload=_after_upload())
    return answers


def _folders() -> list[Path]:
    folders: list[Path] = []
    while True:
        asked = "Which folder is to be watched?" if not folders else "Another one? (empty: no)"
        said = _ask(asked, "inbox" if not folders else "")
        if not said:
            return folders
        folder = Path(said).expanduser()
        if folder.is_dir() or _make(folder):
            folders.append(folder)


def _make(folder: Path) -> bool:
    if os.path.lexists(folder):
        _say(f"{folder} is not a folder")
        return False
    return typer.confirm(f"{folder} does not exist. Make it?", default=True, err=True)


def _purpose() -> str:
    for name, what in PURPOSES.items():
        _say(f"  {name}: {what}")
    while True:
        said = _ask("What are the images for?", "reference")
        if said in PURPOSES:
            return said
        _say(f"one of {', '.join(PURPOSES)}")


def _api(answers: Answers) -> Answers:
    """The key itself is never asked for: it belongs into a file or the environment, not on a screen."""
    said = _ask(
        "Where is the API key: a file, `env` for the variable AUROUS_API_KEY, or `sandbox` to try it out", "env"
    )
    if said == "sandbox":
        return replace(answers, sandbox=True)
    return answers if said == "env" else replace(answers, key_file=Path(said).expanduser())


def _after_upload() -> str:
    while True:
        said = _ask("What becomes of an image that was uploaded: keep, move:DIR or delete", "keep")
        if said in ("keep", "delete") or (said.startswith("move:") and len(said) > len("move:")):
            return said
        _say("keep, delete, or move: and a folder, such as move:done")


def _ask(question: str, default: str) -> str:
    said: str = typer.prompt(question, default=default, err=True, show_default=bool(default))
    return said.strip()


def _say(text: str) -> None:
    typer.echo(text, err=True)

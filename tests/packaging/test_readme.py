"""What the README shows is so: its settings load, its commands and options exist, its programs import what there is."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ingestor.cli.program import program
from ingestor.settings import FolderSettings, HooksSettings, Settings, load
from ingestor.settings.reading import read_value
from tests.packaging.conftest import CHECKOUT

# Others than the README itself: `INGESTOR_DOCS=/tmp/a.md:/tmp/b.md pytest …` tries a text before it goes in.
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "config").rglob("*.md"))]
if drafts := os.environ.get("INGESTOR_DOCS"):
    PAGES += [Path(draft) for draft in drafts.split(":")]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

OPERATORS = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "#"})
FOREIGN = re.compile(r"#\s*\S+\.(?:ya?ml|conf)\b")
"""The first line of a block that is another program's file."""


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield text


# -- settings


@EVERY_PAGE
def test_every_yaml_block_loads_as_settings(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(page, "yaml")):
        if FOREIGN.match(text):
            continue
        here = tmp_path / str(number)
        here.mkdir()
        settings = here / "settings.yaml"
        settings.write_text(json.dumps(_made_real(read_value(text), here)))
        load(settings, {})


def _made_real(data: Any, here: Path) -> dict[str, Any]:
    """A whole file, of what may be a part of one, whose folders, programs and secrets are there."""
    assert isinstance(data, dict), data
    if not data.keys() & Settings.model_fields.keys():
        assert data.keys() <= FolderSettings.model_fields.keys(), data
        data = {"folders": [{"path": "inbox", "purpose": "reference", **data}]}
    for folder in data.get("folders", ()):
        folder["path"] = _place(folder["path"], here)
        Path(folder["path"]).mkdir(parents=True, exist_ok=True)
        for key in ("after_upload", "on_quarantine"):
            kind, colon, place = folder.get(key, "keep").partition(":")
            folder[key] = kind + colon + (_place(place, here) if place else "")
        for hook in (hook for event in HooksSettings.model_fields for hook in folder.get("on", {}).get(event, ())):
            if "command" in hook:
                hook["command"][0] = _file(hook["command"][0].rpartition("/")[2], here, 0o700)
            if "secret_file" in hook:
                hook["secret_file"] = _file(hook["secret_file"], here, 0o600)
    status = data.get("status", {})
    if status.get("token_file"):
        status["token_file"] = _file(status["token_file"], here, 0o600)
    return data


def _place(path: str, here: Path) -> str:
    return str(here / "files" / path.lstrip("~/"))


def _file(path: str, here: Path, mode: int) -> str:
    file = Path(_place(path, here))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("0123456789abcdef0123456789abcdef")
    file.chmod(mode)
    return str(file)


# -- commands


def commands(page: Path) -> Iterator[list[str]]:
    """Every `ingestor …`, in shell blocks (comments too: crontab lines) and between backticks, as arguments."""
    text = page.read_text()
    lines = [
        line for block in blocks(page, "sh", "bash", "console") for line in re.sub(r"\\\n", " ", block).splitlines()
    ]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", prose)]
    for line in [*lines, *(span for span in spans if span.startswith("ingestor "))]:
        words = _words(line)
        for start, word in enumerate(words):
            if word == "ingestor" or word.endswith("/bin/ingestor"):
                end = next((at for at in range(start, len(words)) if words[at] in OPERATORS), len(words))
                yield words[start + 1 : end]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a comment with an apostrophe
        return line.split()


@EVERY_PAGE
def test_every_command_exists_with_its_options(page: Path) -> None:
    group: Any = typer.main.get_command(program())
    of_the_program = {"--help", "COMMAND", *(option for parameter in group.params for option in parameter.opts)}
    for arguments in commands(page):
        if not arguments or not re.fullmatch(r"[a-z]+", arguments[0]):
            assert not arguments or arguments[0] in of_the_program, arguments
            continue
        assert arguments[0] in group.commands, arguments
        command = group.commands[arguments[0]]
        context = command.context_class(command)
        plain = [argument.strip("[]") for argument in arguments[1:] if argument != "--help"]
        command.make_parser(context).parse_args(plain)  # raises where there is no such option


@EVERY_PAGE
def test_every_target_of_make_and_every_file_of_ours_is_there(page: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    shell = "\n".join(blocks(page, "sh", "bash", "console"))
    for target in re.findall(r"^\s*make ([a-z]+)\b", shell, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in re.findall(r"(?<![\w/.])((?:config|ingestor|tests)/[\w./\-]+\w)", page.read_text()):
        assert (CHECKOUT / name).exists(), name


# -- programs


@EVERY_PAGE
def test_every_program_compiles_and_imports_what_there_is(page: Path) -> None:
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@EVERY_PAGE
def test_every_json_block_is_json(page: Path) -> None:
    for text in blocks(page, "json"):
        json.loads(text)


def test_the_program_that_feeds_a_script_does_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's programs that read the manifest run on one, each to its end."""
    far = "2999-01-01T00:00:00Z"
    line = {
        "v": 1,
        "seq": 7,
        "at": far,
        "event": "uploaded",
        "folder": "products",
        "path": "a/b.jpg",
        "file_id": "file_1",
    }
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "manifest.jsonl").write_text(json.dumps({**line, "expires_at": far, "metadata": {}}) + "\n")
    monkeypatch.chdir(tmp_path)
    run = [text for page in PAGES for text in blocks(page, "python") if "idle_seconds" in text]
    if not run:
        pytest.skip("no page has such a program")
    for text in run:
        exec(compile(text, "README", "exec"), {})
        assert json.loads(capsys.readouterr().out)["image_references"] == ["file_1"]
        assert (tmp_path / "last-seq").read_text() == "7"
        (tmp_path / "last-seq").unlink()

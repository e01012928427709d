from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ingestor.settings import settings_schema

FOLDER = "folders:\n  - path: .\n    purpose: reference\n"


def with_hooks(on: str) -> str:
    return f"{FOLDER}    on:\n      {on}\n"


@pytest.fixture
def secret(file: Any) -> Path:
    path: Path = file.folder / "secret"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    return path


def test_a_command_and_a_webhook_are_read(file: Any, secret: Path) -> None:
    program = file.folder / "bin" / "tell"
    file.folders("bin")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    text = with_hooks(
        "uploaded: [{command: [./bin/tell, '', '--a b', $HOME], timeout: 5s}, {command: [sh]}]\n"
        "      expiring: [{url: 'https://example.com/a?b=c', secret_file: secret}, {url: 'http://[::1]:1/x'}]\n"
        "    expiring_before: 90m"
    )
    settings = file.write(text).load()
    (folder,) = settings.folders
    first, second = folder.on.uploaded
    assert (first.command, first.timeout) == ((str(program), "", "--a b", "$HOME"), 5.0)
    assert (second.command, second.timeout) == (("sh",), 30.0)
    assert (folder.on.expiring[0].url, folder.on.expiring[0].secret_file) == ("https://example.com/a?b=c", secret)
    assert folder.on.expiring[1].secret_file is None
    assert folder.expiring_before == 5400.0
    assert (folder.on.quarantined, folder.on.expired) == ((), ())
    jsonschema_rs.Draft202012Validator(settings_schema()).validate(settings.redacted())


def test_hooks_come_from_the_environment_too(file: Any) -> None:
    environ = {"INGESTOR_FOLDERS__0__ON__UPLOADED": '[{"url": "https://example.com/t"}]'}
    assert file.write(FOLDER).load(environ).folders[0].on.uploaded[0].url == "https://example.com/t"


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("uploaded: [{command: 'rm -rf /'}]", 'uploaded[0].command: must be a list, not "rm -rf /": no shell reads it'),
        ("uploaded: [{command: []}]", "uploaded[0].command: is empty"),
        ("uploaded: [{command: [sh, 5]}]", "uploaded[0].command: has 5 in it"),
        (
            "uploaded: [{command: [/nowhere/x]}]",
            'uploaded[0].command: "/nowhere/x" is no program that this user can run',
        ),
        ("uploaded: [{command: [no-such-program]}]", "is no program that this user can run"),
        ("uploaded: [{command: [sh], secret_file: x}]", "uploaded[0]: has a secret_file, which signs"),
        ("uploaded: [{timeout: 5s}]", "uploaded[0]: must have either command or url"),
        ("uploaded: [{command: [sh], url: 'https://a.b'}]", "uploaded[0]: must have either command or url"),
        ("uploaded: [{url: 'http://example.com/x'}]", 'uploaded[0].url: "http://example.com/x" is not encrypted'),
        ("uploaded: [{url: 'https://u:p@example.com/x'}]", "uploaded[0].url: has a user name or password in it"),
        ("uploaded: [{url: 'https://example.com/x#y'}]", "has a fragment"),
        ("uploaded: [{url: 'ftp://example.com/x'}]", "is not an address"),
        ("uploaded: [{url: 'https://exa mple.com/'}]", "is not an address"),
        ("uploaded: [{url: 'https://[x/'}]", "is not an address"),
        ("uploaded: [{url: 'https://a.b', secret_file: nowhere}]", "uploaded[0].secret_file:"),
        ("uploaded: [{url: 'https://a.b', timeout: 1h}]", "uploaded[0].timeout:"),
        ("uploaded: [{ulr: 'https://a.b', command: [sh]}]", "did you mean folders[0].on.uploaded[0].url?"),
        ("uploded: []", "did you mean folders[0].on.uploaded?"),
        ("uploaded: {command: [sh]}", "uploaded: must be a list"),
    ],
)
def test_mistakes_are_told_where_they_are(mistake: Callable[[str], str], on: str, said: str) -> None:
    told = mistake(with_hooks(on))
    assert said in told
    assert told.startswith("FILE:5: folders[0].on.")


@pytest.mark.parametrize("trouble", ["short", "public", "folder"])
def test_a_secret_that_cannot_be_one_is_told(file: Any, secret: Path, trouble: str) -> None:
    if trouble == "short":
        secret.write_text("short")
    elif trouble == "public":
        secret.chmod(0o644)
    else:
        secret.unlink()
        secret.mkdir()
    (told,) = file.write(with_hooks("expired: [{url: 'https://a.b', secret_file: secret}]")).mistakes()
    assert "folders[0].on.expired[0].secret_file" in told
    assert {"short": "fewer than 16", "public": "chmod 600", "folder": "not a regular file"}[trouble] in told

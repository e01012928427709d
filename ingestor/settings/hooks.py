"""Kinds of values that hooks have: commands and addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingestor.settings.kinds import JsonSchema, Kind, plain_text, resolve
from ingestor.settings.values import is_host, is_loopback
from ingestor.settings.wording import quoted

MOST_ARGUMENTS = 100
MOST_CHARACTERS = 4096
"""Of one argument."""


class Command(Kind):
    """A program and its arguments, never a shell's line; a program with a slash in it is a path as all others are."""

    example = "write a list such as [/usr/local/bin/notify, --quiet]"

    def read(self, value: Any, root: Path) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"must be a list, not {quoted(value)}: no shell reads it; {self.example}")
        if not value:
            raise ValueError(f"is empty; {self.example}")
        if len(value) > MOST_ARGUMENTS:
            raise ValueError(f"has {len(value)} parts; write at most {MOST_ARGUMENTS}")
        program, *arguments = value
        program = plain_text(program, most=MOST_CHARACTERS)
        if "/" in program or program.startswith("~"):
            program = str(resolve(program, root))
        return (program, *(_argument(argument) for argument in arguments))

    def show(self, value: tuple[str, ...]) -> list[str]:
        return list(value)

    def describe(self) -> JsonSchema:
        return {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_ARGUMENTS}


def _argument(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"has {quoted(value)} in it; put it in quotes if it is meant as text")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{quoted(value)} has characters that no argument can have")
    if len(value) > MOST_CHARACTERS:
        raise ValueError(f"has an argument of {len(value)} characters; write at most {MOST_CHARACTERS}")
    return value


class WebhookUrl(Kind):
    """Where events are sent: https, or http to this machine alone, so that nobody on the way can read or forge them."""

    example = "write one such as https://example.com/hooks/images"

    def read(self, value: Any, root: Path) -> str:
        text = plain_text(value, most=2000)
        try:
            parts = urlsplit(text)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(f"{quoted(text)} is not an address; {self.example}") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("has a user name or password in it; write the address without, and name a secret_file")
        if parts.scheme not in ("https", "http") or not is_host(host) or re.search(r"\s", text):
            raise ValueError(f"{quoted(text)} is not an address; {self.example}")
        if "#" in text:
            raise ValueError(f"{quoted(text)} has a fragment; end the address before the #")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError(f"{quoted(text)} is not encrypted; write https:// (http:// is for this machine)")
        return text

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": r"^https?://[^\s#@]+$"}

"""Kinds of values that are more than a number or a word: addresses, after-actions, patterns, names."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingestor.settings.kinds import JsonSchema, Kind, plain_text, resolve
from ingestor.settings.wording import one_of, quoted

SANDBOX = "sandbox"
"""The `base_url` that stands for the bundled Files API."""
NAME_CHARACTERS = 100
VERSION_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_host(host: str) -> bool:
    """Whether this is an IP address or looks like a host's name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


class BaseUrl(Kind):
    """Where the Files API is: https, or http to this machine alone, so that no key travels in the clear."""

    example = "write one such as https://api.aurous-labs.com, or the word sandbox"

    def read(self, value: Any, root: Path) -> str:
        text = plain_text(value, most=500)
        if text == SANDBOX:
            return text
        try:
            parts = urlsplit(text)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(f"{quoted(text)} is not an address; {self.example}") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("has a user name or password in it; write the address without")
        if parts.scheme not in ("https", "http") or not is_host(host) or re.search(r"\s", text):
            raise ValueError(f"{quoted(text)} is not an address of the API; {self.example}")
        if "?" in text or "#" in text:
            raise ValueError(f"{quoted(text)} has a query or a fragment; end the address before it")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError(
                f"{quoted(text)} would send the key unencrypted; write https:// (http:// is for this machine)"
            )
        return text.rstrip("/")

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": r"^(sandbox|https?://[^\s?#@]+)$"}


class Version(Kind):
    """An API version: a date."""

    def read(self, value: Any, root: Path) -> str:
        if not isinstance(value, str) or not re.fullmatch(VERSION_PATTERN, value, re.ASCII):
            raise ValueError(f"{quoted(value)} is not a version of the API; write a date such as 2026-05-15")
        return value

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": VERSION_PATTERN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where to listen. Port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listen(Kind):
    """`HOST:PORT`, with an IPv6 host in brackets."""

    def read(self, value: Any, root: Path) -> ListenAddress:
        text = value if isinstance(value, str) else ""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/@]+)):([0-9]{1,5})", text, re.ASCII)
        if found is None or not is_host(found[1] or found[2]) or int(found[3]) > 65535:
            raise ValueError(f"{quoted(value)} is not HOST:PORT; write one such as 127.0.0.1:8787, or null for none")
        return ListenAddress(host=found[1] or found[2], port=int(found[3]))

    def show(self, value: ListenAddress) -> str:
        return str(value)

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@]+):[0-9]{1,5}$"}


class AfterKind(StrEnum):
    KEEP = "keep"
    MOVE = "move"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterAction:
    """What becomes of a source. `dir` is absolute, and set for `move` alone."""

    kind: AfterKind
    dir: Path | None = None

    def __str__(self) -> str:
        return str(self.kind) if self.dir is None else f"{self.kind}:{self.dir}"


KEEP = AfterAction(kind=AfterKind.KEEP)


@dataclass(frozen=True)
class After(Kind):
    """`keep`, `move:DIR` or `delete`, as far as they are legal here."""

    legal: tuple[AfterKind, ...]

    def read(self, value: Any, root: Path) -> AfterAction:
        if isinstance(value, AfterAction):
            return value
        text = value.strip() if isinstance(value, str) else ""
        word, colon, directory = text.partition(":")
        if word == AfterKind.MOVE:
            return self._move(directory.strip(), root)
        if colon or word not in self.legal:
            raise ValueError(one_of(value, self._written()))
        return AfterAction(kind=AfterKind(word))

    def _move(self, directory: str, root: Path) -> AfterAction:
        if not directory:
            raise ValueError("says move but not where to; write move:DIR")
        return AfterAction(kind=AfterKind.MOVE, dir=resolve(plain_text(directory), root))

    def _written(self) -> list[str]:
        return ["move:DIR" if kind is AfterKind.MOVE else str(kind) for kind in self.legal]

    def show(self, value: AfterAction) -> str:
        return str(value)

    def describe(self) -> JsonSchema:
        words = [str(kind) for kind in self.legal if kind is not AfterKind.MOVE]
        return {"anyOf": [{"enum": words}, {"type": "string", "pattern": r"^move:.*\S"}]}


class Pattern(Kind):
    """One gitignore-style pattern that can match something."""

    def read(self, value: Any, root: Path) -> str:
        from pathspec import GitIgnoreSpec  # late: most folders have no patterns

        text = plain_text(value, most=500)
        try:
            patterns = list(GitIgnoreSpec.from_lines([text]).patterns)
        except (ValueError, re.error):  # GitIgnorePatternError is a ValueError
            raise ValueError(f"{quoted(text)} is not a pattern; write one such as *.jpg, raw/ or !keep.png") from None
        if not patterns or patterns[0].include is None:
            raise ValueError(f"{quoted(text)} can match nothing; write one such as *.jpg, raw/ or !keep.png")
        return text

    def describe(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


class FolderName(Kind):
    """What a folder is called in the manifest, the ledger and metrics."""

    def read(self, value: Any, root: Path) -> str:
        text = plain_text(value, most=NAME_CHARACTERS)
        if "/" in text or text != text.strip():
            raise ValueError(f"{quoted(text)} cannot be a name; leave out slashes and spaces around it")
        return text

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": r"^[^/\s]([^/]*[^/\s])?$", "maxLength": NAME_CHARACTERS}

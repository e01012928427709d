"""Recorded exchanges: what one says to the Files API and what it answers, written by hand from CONTRACT.md.

`exchanges/*.yaml` hold lists of conversations, each judged on the sandbox alone and on the client alone:

    name, source   what it shows, and where CONTRACT.md says so
    judges         `sandbox` or `client`, where only one of them can be judged by it; else both
    sandbox        how the sandbox is set up: keys, upload_bucket, idempotency
    steps
      given            what happened before: fault, hours_passed, key_used_elsewhere
      ends_after_next  this call is still in flight while the next one is made
      request          method, path, headers, and the parts of the form
      answer           status, headers, `without` (headers that must not be there), and json, text or image
      client           what the client makes of it: `returns` receipt, remote file or nothing; or `raises`, with the
                       attributes of the error; `notices` so far

What the API chooses by itself (ids, URLs, instants, wordings) is written as an example. The same example means the
same thing throughout a conversation: a replay has the same id as the first answer, another id is another file.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "exchanges"
BOTH = ("sandbox", "client")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a form as it is recorded."""

    name: str
    filename: str | None = None
    content_type: str | None = None
    text: str | None = None
    image: str | None = None
    padded_to: int = 0

    @property
    def content(self) -> bytes:
        content = images()[self.image] if self.image is not None else (self.text or "").encode()
        return content.ljust(self.padded_to, b"\0")

    def encoded(self) -> bytes:
        filename = "" if self.filename is None else f'; filename="{self.filename}"'
        head = f'Content-Disposition: form-data; name="{self.name}"{filename}\r\n'
        if self.content_type is not None:
            head += f"Content-Type: {self.content_type}\r\n"
        return head.encode() + b"\r\n" + self.content


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    json: Any = None
    text: str | None = None
    image: str | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    request: Request
    answer: Answer
    given: dict[str, Any]
    ends_after_next: bool
    client: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Conversation:
    name: str
    source: str
    steps: list[Step]
    judges: tuple[str, ...]
    sandbox: dict[str, Any]


@cache
def images() -> dict[str, bytes]:
    recorded = yaml.safe_load((_FOLDER / "images.yaml").read_text(encoding="utf-8"))
    return {name: base64.b64decode(text) for name, text in recorded.items()}


def conversations(judge: str) -> list[Conversation]:
    """Those that judge the sandbox, or the client."""
    return [conversation for conversation in everything() if judge in conversation.judges]


@cache
def everything() -> tuple[Conversation, ...]:
    files = sorted(path for path in _FOLDER.glob("*.yaml") if path.name != "images.yaml")
    recorded = [entry for path in files for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    return tuple(_conversation(**entry) for entry in recorded)


def _conversation(
    *, name: str, source: str, steps: list[dict[str, Any]], judges: str | None = None, sandbox: Any = None
) -> Conversation:
    return Conversation(
        name=name,
        source=source,
        steps=[_step(**step) for step in steps],
        judges=BOTH if judges is None else (judges,),
        sandbox=sandbox or {},
    )


def _step(
    *,
    request: dict[str, Any],
    answer: dict[str, Any],
    given: Any = None,
    ends_after_next: bool = False,
    client: Any = None,
) -> Step:
    parts = [Part(**part) for part in request.get("parts", ())]
    return Step(
        request=Request(**{**request, "parts": parts}),
        answer=Answer(**answer),
        given=given or {},
        ends_after_next=ends_after_next,
        client=client or {},
    )

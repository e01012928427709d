"""Values made fit to be shown to anybody: one line, printable, and without secrets.

Everything that leaves the program by way of logs, the display, the page or metrics' labels passes here, so that what
must never be shown is known in one place.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from os import PathLike, fsdecode
from typing import Any
from urllib.parse import quote

HIDDEN = "…"
"""Stands where a secret was."""
MAX_CHARACTERS = 5_000
"""Of one text; a path has at most 4,096 bytes."""
_MOST_READ = 100_000
_MAX_ITEMS = 50
_MAX_DEPTH = 5
_SHORTEST_SECRET = 6
"""What is shorter would be found in honest words, and is no secret either."""

_SECRET_NAMES = frozenset(
    {
        "api_key",
        "apikey",
        "aurous_api_key",
        "authorization",
        "cookie",
        "password",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "token",
        "x_api_key",
    }
)
_END = r"\s\"'<>,;)\]}"
_BEARER = re.compile(rf"(?i)\b(bearer)(?:\s+|%20|\+)[^{_END}]+")
_LIVE_KEY = re.compile(rf"al_live_[^{_END}/\\]+")
# A file may honestly be called og_image.jpg: what ends like a file name is one.
_OLD_KEY = re.compile(
    rf"(?<![A-Za-z0-9])og_(?=[A-Za-z0-9_-]{{8}})(?![A-Za-z0-9_-]++\.[A-Za-z0-9]{{2,5}}\b)[^{_END}/\\]+"
)
_HEADER = re.compile(
    rf"(?i)\b((?:x-api-key|(?:proxy-)?authorization|(?:aurous_)?api_key)[\"']?\s*[:=,]\s*(?:b?[\"'])?)"
    rf"(?:(?:basic|digest|token)\s+)?[^{_END}]+"
)
_SIGNATURE = re.compile(
    rf"(?i)(?<![A-Za-z0-9_-])((?:x-(?:amz|goog|ms)-[a-z-]+|signature|sig|token|access_token|key-pair-id|policy)=)"
    rf"[^&{_END}]+"
)
_RULES = (
    (_SIGNATURE, rf"\1{HIDDEN}"),
    (_BEARER, rf"\1 {HIDDEN}"),
    (_LIVE_KEY, f"al_live_{HIDDEN}"),
    (_OLD_KEY, f"og_{HIDDEN}"),
    (_HEADER, rf"\1{HIDDEN}"),
)
# Up to the last @: a password may hold anything, and a URL of ours has no other @.
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)(?:[^\s\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?")
_HINTS = (
    *("al_live_", "og_", "bearer", "api_key", "api-key", "authorization", "://", "sig", "token", "policy"),
    *("x-amz-", "x-goog-", "x-ms-", "key-pair"),
)
"""What any of the rules needs to match: most texts have nothing of it, and are let through at once."""

_secrets: list[str] = []


def redact(secret: str | None) -> None:
    """From now on nobody is shown this very text, in any of the spellings that logs and URLs have for it."""
    if not secret or len(secret.strip()) < _SHORTEST_SECRET:
        return
    secret = secret.strip()
    spellings = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    _secrets.extend(sorted(spellings - set(_secrets), key=len, reverse=True))


def forget_secrets() -> None:
    """Back to knowing no secret by its text: for tests."""
    _secrets.clear()


def clean_text(text: str) -> str:
    """One printable line of at most 5,000 characters, without secrets."""
    if len(text) > _MOST_READ:
        text = text[:_MOST_READ]
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            text = _without_secrets(text)
            break
    if not text.isprintable():
        text = _UNPRINTABLE.sub(_escaped, text)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def clean(value: Any, depth: int = 0) -> Any:
    """A JSON value that says the same, cleaned: texts at any depth, and anything else as text."""
    match value:
        case Enum():
            return clean(value.value, depth)
        case str():
            return clean_text(value)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return rfc3339(value)
        case bytes() | bytearray() | PathLike():
            return clean_text(fsdecode(bytes(value) if isinstance(value, bytearray) else value))
        case BaseException():
            return clean_text(_error_text(value))
    if depth >= _MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return clean_facts(value, depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(item, depth + 1) for _, item in zip(range(_MAX_ITEMS), value, strict=False)]
    return clean_text(_spelled(value, repr))


def clean_facts(facts: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """Every value cleaned; those whose name says that they are secret are hidden whole."""
    return {
        name if isinstance(name, str) and name.isidentifier() else clean_text(str(name)): (
            clean(value, depth) if str(name).lower().replace("-", "_") not in _SECRET_NAMES else HIDDEN
        )
        for name, value in facts.items()
    }


def rfc3339(instant: datetime) -> str:
    """UTC with milliseconds: `2026-11-24T10:00:02.000Z`. A naive instant is taken for UTC."""
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def fault_chain(error: BaseException) -> str:
    """Where an error came from, on one line: the calls that led to it, and what it was caused by."""
    return clean_text(" <- ".join(_one_fault(cause) for cause in _causes(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _one_fault(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    calls = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{calls or '-'}: {_error_text(error)}"


def _error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {_spelled(error, str)}"


def _spelled(value: object, spell: Callable[[object], str]) -> str:
    """The value's own text; its type where it cannot even say that."""
    try:
        return spell(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _without_secrets(text: str) -> str:
    text = _URL.sub(_bare_url, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _bare_url(found: re.Match[str]) -> str:
    """The URL without user, query and fragment: a secret may stand in any of them."""
    return found[1] + found[2] + (f"?{HIDDEN}" if found[3] else "")


# Controls could move the cursor, line ends could forge lines, bidi marks could turn a name's letters round.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"  # a byte of a file name that is not UTF-8
    return _SHORT.get(character) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")

"""What is said about a mistake: plain sentences, short quotes, and never a key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

# CONTRACT.md, Headers: keys start `al_live_`, older ones `og_`. `og_image.jpg` is no key: too few letters.
KEY_LOOK = re.compile(r"(?<![A-Za-z0-9])(?:al_(?:live|test)_[A-Za-z0-9_\-]{6,}|og_[A-Za-z0-9]{16,}[A-Za-z0-9_\-]*)")
QUOTE_CHARACTERS = 60
PATH_CHARACTERS = 300


def without_keys(text: str) -> str:
    """`text` with all that looks like an API key blotted out."""
    return KEY_LOOK.sub("(an API key)", text)


def holds_key(value: Any) -> bool:
    """Whether there is what looks like an API key anywhere in plain data."""
    if isinstance(value, dict):
        return any(holds_key(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(holds_key(part) for part in value)
    return isinstance(value, str) and KEY_LOOK.search(value) is not None


def quoted(value: Any) -> str:
    """A value as one would write it in the file, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge number"
    text = str(value)
    most = PATH_CHARACTERS if isinstance(value, Path) else QUOTE_CHARACTERS
    cut = text if len(text) <= most else text[: most - 1] + "…"
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
    return shown if isinstance(value, float) else f'"{shown}"'


def dotted(loc: Iterable[str | int]) -> str:
    """A place in the settings as people name it: `folders[0].path`."""
    name = ""
    for step in loc:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            step = step if step.isprintable() else repr(step)
            name += f".{step}" if name else step
    return name if len(name) <= 200 else name[:199] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be."""
    by_fold = {one.lower(): one for one in known}
    folded = word.lower().replace("-", "_")
    found = difflib.get_close_matches(folded[:100], list(by_fold), n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def one_of(value: Any, legal: Iterable[str]) -> str:
    """That `value` is none of the legal ones, which they are, and which was probably meant."""
    legal = list(legal)
    said = f"{quoted(value)} is not one of {', '.join(legal)}"
    meant = nearest(value, legal) if isinstance(value, str) else None
    return f"{said}; did you mean {meant}?" if meant else said


_SENTENCES = {
    "missing": "is missing; write it here",
    "model_type": "must be a mapping (`key: value` lines), not {quoted}",
    "model_attributes_type": "must be a mapping (`key: value` lines), not {quoted}",
    "dict_type": "must be a mapping (`key: value` lines), not {quoted}",
    "tuple_type": "must be a list, such as [a, b], not {quoted}",
    "list_type": "must be a list, such as [a, b], not {quoted}",
    "string_type": "must be text, not {quoted}",
}


def sentence(error: ErrorDetails) -> str:
    """What pydantic found, in words for the user and without the setting's name."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    value = error.get("input")
    if error["type"] in ("literal_error", "enum"):
        return one_of(value, re.findall(r"'([^']*)'", str(error["ctx"]["expected"])))
    template = _SENTENCES.get(error["type"])
    if template is None:
        return f"{quoted(value)} cannot be used: {error['msg'][:1].lower()}{error['msg'][1:]}"
    return template.format(quoted=quoted(value))

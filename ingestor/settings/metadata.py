"""Metadata of a folder: a JSON object whose strings may hold placeholders."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from ingestor.settings.kinds import JsonSchema, Kind
from ingestor.settings.places import Loc
from ingestor.settings.wording import quoted

PLACEHOLDERS = ("relpath", "name", "stem", "parent", "folder")
"""What may stand in braces in the strings of a folder's metadata."""
MOST_BYTES = 16_384
MOST_DEPTH = 20
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class MetadataTemplate(Kind):
    """A JSON object whose strings may hold placeholders."""

    def read(self, value: Any, root: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"must be a mapping (`key: value` lines), not {quoted(value)}")
        mistakes = [*_metadata_mistakes(value, ())]
        if not mistakes and len(json.dumps(value, ensure_ascii=False).encode()) > MOST_BYTES:
            mistakes = [((), f"is larger than {MOST_BYTES} bytes; keep it shorter")]
        if mistakes:
            details = [_detail(*mistake) for mistake in mistakes]
            raise ValidationError.from_exception_data("metadata", details)
        return value

    def describe(self) -> JsonSchema:
        return {"type": "object"}


def _detail(loc: Loc, said: str) -> InitErrorDetails:
    """For pydantic: one of several mistakes in one field, each at its own place, so that each has its line."""
    return InitErrorDetails(type="value_error", loc=loc, input=None, ctx={"error": ValueError(said)})


def _metadata_mistakes(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if len(loc) > MOST_DEPTH:
        yield loc, f"is nested more than {MOST_DEPTH} deep; make it flatter"
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str) and key.isprintable():
                yield from _metadata_mistakes(inner, (*loc, key))
            else:
                yield loc, f"the key {quoted(key)} is not plain text; put it in quotes"
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _metadata_mistakes(inner, (*loc, index))
    elif isinstance(value, str):
        mistake = placeholder_mistake(value)
        if mistake:
            yield loc, mistake
    elif isinstance(value, float) and (not math.isfinite(value)):
        yield loc, "is no number that JSON can hold; put it in quotes"
    elif not isinstance(value, (bool, int, float, type(None))):
        yield loc, f"{quoted(value)} is nothing that JSON can hold; put it in quotes"


def placeholder_mistake(text: str) -> str | None:
    """What is wrong with the placeholders of a metadata string; None when nothing is."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{quoted(text)} is not valid Unicode; write it with whole characters"
    listed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for found in _BRACES.finditer(text):
        if found[0] in ("{", "}"):
            return f"{quoted(text)} has a lone brace; write {{{{ or }}}} for a brace itself, or one of {listed}"
        if found[1] is not None and found[1] not in PLACEHOLDERS:
            return f"{quoted(found[0])} is no placeholder; the placeholders are {listed}"
    return None

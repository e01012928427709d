"""The kinds of values that settings have: how each is written, checked and shown again.

Each `Whole(1, 64)`, `Seconds(…)` and so on stands in an `Annotated[…]` of `shape`: pydantic asks it how to
read the value and what the JSON Schema says of it. All mistakes are `ValueError`s whose text is fit for a
user.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from ingestor.settings.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    WHOLE_PATTERN,
    parse_bytes,
    parse_seconds,
    parse_whole,
    write_bytes,
    write_seconds,
)
from ingestor.settings.wording import quoted

JsonSchema = dict[str, Any]
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Kind:
    """A way to read, show and describe one kind of value."""

    def read(self, value: Any, root: Path) -> Any:
        """The value for the program; `root` is what relative paths start from. Raises `ValueError`."""
        raise NotImplementedError

    def show(self, value: Any) -> Any:
        """The value as it would stand in the file."""
        return value

    def describe(self) -> JsonSchema:
        """The JSON Schema of the value as it stands in the file."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.read(value, root_of(info)),
            serialization=core_schema.plain_serializer_function_ser_schema(self.show, when_used="json"),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return self.describe()


def root_of(info: ValidationInfo) -> Path:
    """The folder that relative paths start from: the validation's context, else the working directory."""
    return (info.context or {}).get("root") or Path.cwd()


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number within bounds; underscores may group its digits."""

    least: int
    most: int

    def read(self, value: Any, root: Path) -> int:
        number = value
        if isinstance(value, str):
            try:
                number = parse_whole(value)
            except ValueError:
                number = None
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError(f"{quoted(value)} is not a whole number; write one from {self.least} to {self.most}")
        if not self.least <= number <= self.most:
            raise ValueError(f"{quoted(value)} is out of range; write a number from {self.least} to {self.most}")
        return number

    def describe(self) -> JsonSchema:
        number = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [number, {"type": "string", "pattern": WHOLE_PATTERN}]}


@dataclass(frozen=True)
class Seconds(Kind):
    """A duration within bounds, as seconds."""

    least: str
    most: str

    def read(self, value: Any, root: Path) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise ValueError(f"{quoted(value)} has no unit; write a duration such as 90s, 5m or 24h")
        try:
            seconds = parse_seconds(value)
        except (TypeError, ValueError):
            raise ValueError(f"{quoted(value)} is not a duration; write one such as 500ms, 90s, 5m or 24h") from None
        if not parse_seconds(self.least) <= seconds <= parse_seconds(self.most):
            raise ValueError(f"{quoted(value)} is out of range; write from {self.least} to {self.most}")
        return seconds

    def show(self, value: float) -> str:
        return write_seconds(value)

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": DURATION_PATTERN}


@dataclass(frozen=True)
class Bytes(Kind):
    """A size within bounds, as bytes; a bare whole number counts bytes."""

    least: str
    most: str

    def read(self, value: Any, root: Path) -> int:
        size: int | None = None
        try:
            if isinstance(value, str):
                size = parse_whole(value) if re.fullmatch(WHOLE_PATTERN, value) else parse_bytes(value)
            elif isinstance(value, int) and not isinstance(value, bool):
                size = value
        except ValueError:
            size = None
        if size is None:
            raise ValueError(f"{quoted(value)} is not a size; write one such as 500kB, 10MB or 8MiB")
        if not parse_bytes(self.least) <= size <= parse_bytes(self.most):
            raise ValueError(f"{quoted(value)} is out of range; write from {self.least} to {self.most}")
        return size

    def show(self, value: int) -> str:
        return write_bytes(value)

    def describe(self) -> JsonSchema:
        return {"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}]}


class YesNo(Kind):
    """true or false. `yes`, `no`, `on` and `off` are understood too, as older YAML had them."""

    def read(self, value: Any, root: Path) -> bool:
        if isinstance(value, bool):
            return value
        word = value.lower() if isinstance(value, str) else ""
        if word not in _TRUE + _FALSE:
            raise ValueError(f"{quoted(value)} is neither true nor false; write one of the two")
        return word in _TRUE

    def describe(self) -> JsonSchema:
        return {"type": "boolean"}


def plain_text(value: Any, most: int = 4096) -> str:
    """`value`, if it is one line of text that can be stored. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {quoted(value)}; put it in quotes if it is meant as text")
    if not value.strip():
        raise ValueError("is empty; write something, or leave the setting out")
    if len(value) > most:
        raise ValueError(f"is {len(value)} characters long; write at most {most}")
    if any(ord(letter) < 32 or ord(letter) == 127 or "\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{quoted(value)} has control characters; write plain text on one line")
    return value


def resolve(text: str, root: Path) -> Path:
    """The absolute path, with symlinks as they stand; `~` is the user's home."""
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(f"{quoted(text)} names no home folder that is known here; write the whole path")
    return Path(os.path.abspath(root / expanded))


class Location(Kind):
    """A path; relative ones start from the folder of the settings file."""

    def read(self, value: Any, root: Path) -> Path:
        if isinstance(value, Path):
            value = str(value)
        text = plain_text(value)
        if "://" in text:
            raise ValueError(f"{quoted(text)} is an address; write a path")
        return resolve(text, root)

    def show(self, value: Path) -> str:
        return str(value)

    def describe(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class OrNull(Kind):
    """Another kind, or null."""

    kind: Kind

    def read(self, value: Any, root: Path) -> Any:
        return None if value is None else self.kind.read(value, root)

    def show(self, value: Any) -> Any:
        return None if value is None else self.kind.show(value)

    def describe(self) -> JsonSchema:
        return {"anyOf": [self.kind.describe(), {"type": "null"}]}

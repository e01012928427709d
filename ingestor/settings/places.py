"""Values together with the place that each came from, and one layer of them laid over another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingestor.errors import Problem
from ingestor.settings.wording import dotted, without_keys

Loc = tuple[str | int, ...]
"""Where a setting stands: `("folders", 0, "path")`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a line from 1, or an environment variable or the command line, which have no lines."""

    file: str
    line: int | None = None

    def problem(self, message: str) -> Problem:
        return Problem(file=self.file, line=self.line, message=without_keys(message))

    def __str__(self) -> str:
        return self.file if self.line is None else f"line {self.line}"


@dataclass(slots=True)
class Layer:
    """Plain data and the places of its values and keys."""

    origin: Place
    data: dict[str, Any] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    keys: dict[Loc, Place] = field(default_factory=dict)

    def place(self, loc: Loc, *, of_key: bool = False) -> Place:
        """The place of a setting, else of what it stands in."""
        if of_key and loc in self.keys:
            return self.keys[loc]
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.values:
                return self.values[loc[:end]]
        return self.origin

    def problem(self, loc: Loc, message: str, *, of_key: bool = False) -> Problem:
        name = dotted(loc)
        return self.place(loc, of_key=of_key).problem(f"{name}: {message}" if name else message)

    def put(self, loc: Loc, value: Any, place: Place) -> None:
        """Set a value whose container exists, and forget the places of what it replaces."""
        self._forget(loc)
        container: Any = self.data
        for step in loc[:-1]:
            container = container[step]
        if isinstance(container, list) and loc[-1] == len(container):
            container.append(value)
        else:
            container[loc[-1]] = value
        self.values[loc] = self.keys[loc] = place

    def drop(self, loc: Loc) -> None:
        """Remove a setting from its mapping, so that its default counts; it may be missing."""
        container: Any = self.data
        for step in loc[:-1]:
            container = _inside(container, step)
        if isinstance(container, dict):
            container.pop(loc[-1], None)

    def get(self, loc: Loc) -> Any:
        """The value there, None when there is none."""
        found: Any = self.data
        for step in loc:
            found = _inside(found, step)
        return found

    def lay(self, patch: dict[str, Any], place_of: Callable[[Loc], Place]) -> Iterator[Problem]:
        """Lay other settings over these: mappings are merged, `folders` by number, all else is replaced."""
        yield from self._lay((), patch, place_of)

    def _lay(self, loc: Loc, patch: dict[str, Any], place_of: Callable[[Loc], Place]) -> Iterator[Problem]:
        for key, value in patch.items():
            step: str | int = key
            if isinstance(self.get(loc), list):
                count = len(self.get(loc))
                if not (key.isascii() and key.isdecimal() and int(key[:9]) <= count):
                    said = f"{dotted(loc)} has {count} entries; number them from 0, the next is {count}"
                    yield place_of((*loc, key)).problem(said)
                    continue
                step = int(key)
            inner = (*loc, step)
            if isinstance(value, dict) and value:
                if isinstance(self.get(inner), list) or (inner == ("folders",) and self.get(inner) is None):
                    if self.get(inner) is None:
                        self.put(inner, [], place_of(inner))
                elif not isinstance(self.get(inner), dict):
                    self.put(inner, {}, place_of(inner))
                yield from self._lay(inner, value, place_of)
            else:
                self.put(inner, value, place_of(inner))

    def _forget(self, loc: Loc) -> None:
        for places in (self.values, self.keys):
            for old in [old for old in places if old[: len(loc)] == loc]:
                del places[old]


def _inside(container: Any, step: str | int) -> Any:
    if isinstance(container, dict):
        return container.get(step)
    if isinstance(container, list) and isinstance(step, int) and step < len(container):
        return container[step]
    return None

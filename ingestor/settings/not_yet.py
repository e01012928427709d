"""Settings whose behaviour is still to come: refused by name, so that nobody relies on them.

A row goes away with the change that brings the behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ingestor.settings.places import Layer, Loc

Row = tuple[tuple[str, ...], Callable[[Any], bool], str]

NOT_YET: tuple[Row, ...] = (
    (
        ("ledger",),
        lambda value: isinstance(value, str) and value.startswith(("postgresql://", "postgres://", "postgresql+")),
        "a ledger on PostgreSQL is not supported yet; write the path of an SQLite file such as var/ledger.db",
    ),
)


def take_out_not_yet(layer: Layer) -> Iterator[tuple[Loc, str]]:
    """What is refused for now, taken out of the layer so that it is told once."""
    for path, is_refused, said in NOT_YET:
        for loc in _matching(layer, path):
            if is_refused(layer.get(loc)):
                yield loc, said
                layer.drop(loc)


def _matching(layer: Layer, path: tuple[str, ...]) -> list[Loc]:
    found: list[Loc] = [()]
    for step in path:
        if step == "*":
            found = [(*loc, index) for loc in found for index in range(_length(layer.get(loc)))]
        else:
            found = [(*loc, step) for loc in found]
    return [loc for loc in found if layer.get(loc) is not None]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0

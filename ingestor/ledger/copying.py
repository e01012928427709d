"""All that one ledger holds, written into another one that holds nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from ingestor.errors import LedgerError
from ingestor.ledger.schema import deliveries, facts, metadata
from ingestor.ledger.upkeep import number_on

_SLICE = 2_000
"""Rows that are held in memory at once."""

NameOf = Callable[[str], str | None]
"""What a fact is called in the other ledger; None: it is left behind. `target_of`: the same for hooks' targets."""


def copy_all(
    source: Connection, target: Connection, *, name_of: NameOf, target_of: Callable[[str], str], to: str
) -> Mapping[str, int]:
    """Every row, in the transaction that the caller holds on each side; table to number of rows.

    Raises `LedgerError` where the target holds something already: two memories cannot be told apart once mixed.
    """
    for table in metadata.sorted_tables:
        if table is not facts and target.execute(select(func.count()).select_from(table)).scalar_one():
            raise LedgerError(f"{to}: holds something already; name a database, or a file, without a ledger in it")
    copied = {table.name: _copy(source, target, table, name_of, target_of) for table in metadata.sorted_tables}
    number_on(target)
    _compare(source, target)
    return copied


def _copy(source: Connection, target: Connection, table: Any, name_of: NameOf, target_of: Callable[[str], str]) -> int:
    number = 0
    statement = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_SLICE)
    for rows in source.execute(statement).mappings().partitions():
        wanted = [dict(row) for row in rows]
        if table is deliveries:
            wanted = [{**row, "target": target_of(row["target"])} for row in wanted]
        if table is facts:
            named = [(name_of(row["name"]), row) for row in wanted]
            wanted = [{**row, "name": name} for name, row in named if name is not None]
            target.execute(facts.delete().where(facts.c.name.in_([row["name"] for row in wanted])))
        if wanted:
            target.execute(insert(table), wanted)
        number += len(wanted)
    return number


def _compare(source: Connection, target: Connection) -> None:
    """The same number of rows on both sides: what did not arrive is told before anything is committed."""
    for table in metadata.sorted_tables:
        if table is not facts:
            count = select(func.count()).select_from(table)
            here, there = source.execute(count).scalar_one(), target.execute(count).scalar_one()
            if here != there:
                raise LedgerError(f"{there:,} of {here:,} rows of {table.name} have arrived: nothing was copied")

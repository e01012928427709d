"""One fact that several processes change, one after another, by the database's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, bindparam, event, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from ingestor.ledger.postgres.database import Database
from ingestor.ledger.schema import facts
from ingestor.model import Json
from ingestor.ports import Clock

T = TypeVar("T")

_NOW = func.extract("epoch", func.clock_timestamp())
_HELD = select(facts.c.value, _NOW).where(facts.c.name == bindparam("this_name")).with_for_update()
_MADE = insert(facts).on_conflict_do_nothing(index_elements=["name"])
_KEPT = update(facts).where(facts.c.name == bindparam("this_name"))


class FactRow:
    """A JSON value under a fact's name. Whoever changes it keeps others out for a millisecond."""

    def __init__(self, database: Database, name: str, clock: Clock) -> None:
        self._database = database
        self._name = name
        self._clock = clock
        self._engine = database.engine(1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-row")
        event.listen(self._engine, "connect", _soon_durable)

    async def change(self, change: Callable[[Json, float], tuple[Json, T]]) -> T:
        """Put what `change(value, now)` returns first in its place; what it returns second.

        `now`: epoch seconds of the database. Raises `DiskFault` where it is away.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._change, change)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    def _change(self, change: Callable[[Json, float], tuple[Json, T]]) -> T:
        try:
            with self._engine.begin() as connection:
                value, now = self._held(connection)
                kept, result = change(value, now)
                changed = {"this_name": self._name, "value": kept, "changed_at": self._clock.now()}
                connection.execute(_KEPT, changed)
                return result
        except DBAPIError as error:
            raise self._database.translated(error) from error

    def _held(self, connection: Connection) -> tuple[Json, float]:
        row = connection.execute(_HELD, {"this_name": self._name}).one_or_none()
        if row is None:
            made = {"name": self._name, "value": None, "changed_at": self._clock.now()}
            connection.execute(_MADE, made)
            row = connection.execute(_HELD, {"this_name": self._name}).one()
        return row[0], self._time(float(row[1]))

    def _time(self, now: float) -> float:
        return now


def _soon_durable(connection: object, _record: object) -> None:
    """A crash of the server may forget the last half second: the API's next answer corrects what is missing."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("SET synchronous_commit = off")
    connection.commit()  # type: ignore[attr-defined]

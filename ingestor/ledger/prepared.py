"""A statement that is run with each image: written by SQLAlchemy once, and run by SQLite's own driver.

An execution through SQLAlchemy costs ten times what SQLite needs for it, all of it while it keeps the interpreter from
the loop. On PostgreSQL the way to the database costs more than both.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.sql.compiler import SQLCompiler

_Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave."""

    rows: Sequence[Any]
    rowcount: int
    """How many rows it has changed."""

    def one(self) -> Any:
        """The row; `NoResultFound` where there is none."""
        if not self.rows:
            raise NoResultFound("no row where one was required")
        return self.rows[0]

    def one_or_none(self) -> Any:
        return self.rows[0] if self.rows else None


class Prepared:
    """A statement of SQLAlchemy's, which sets whichever columns it is executed with."""

    def __init__(self, statement: Any, on_postgresql: Any = None) -> None:
        """`on_postgresql`: the statement there, if it is another one."""
        self._statement = statement
        self._elsewhere = statement if on_postgresql is None else on_postgresql
        self._compiled: dict[tuple[str, ...], _OnSqlite] = {}

    def on(self, connection: Connection, parameters: Mapping[str, Any]) -> Answer:
        if connection.dialect.name != "sqlite":
            result = connection.execute(self._elsewhere, parameters)
            return Answer(result.all() if result.returns_rows else (), result.rowcount)
        names = tuple(parameters)
        compiled = self._compiled.get(names)
        if compiled is None:
            compiled = self._compiled[names] = _OnSqlite.of(self._statement, connection, names)
        return compiled.run(connection, parameters)


@dataclass(frozen=True, slots=True)
class _OnSqlite:
    sql: str
    bind: Sequence[tuple[str, Any, _Process | None]]
    """In the order of the question marks: name, value where none is given, and what makes it the database's."""
    make_row: Callable[[Sequence[Any]], Any]
    results: Sequence[tuple[int, _Process]]
    """The columns that have to be made ours."""

    @classmethod
    def of(cls, statement: Any, connection: Connection, names: Sequence[str]) -> _OnSqlite:
        dialect = connection.dialect
        compiled = statement.compile(dialect=dialect, column_keys=names)
        assert isinstance(compiled, SQLCompiler)
        constants = compiled.construct_params(_check=False)
        bind = []
        for name in compiled.positiontup or ():
            kind = compiled.binds[name].type.dialect_impl(dialect)
            bind.append((name, constants[name], kind.bind_processor(dialect)))
        columns: Sequence[ColumnElement[Any]] = list(statement.exported_columns)
        kinds = [column.type.dialect_impl(dialect) for column in columns]
        results = [(place, kind.result_processor(dialect, None)) for place, kind in enumerate(kinds)]
        return cls(
            sql=str(compiled),
            bind=bind,
            make_row=_maker_of_rows(columns),
            results=[(place, process) for place, process in results if process is not None],
        )

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> Answer:
        given = []
        for name, constant, process in self.bind:
            value = parameters.get(name, constant)
            given.append(value if process is None else process(value))
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        try:
            cursor = driver.execute(self.sql, given)
            found = cursor.fetchall()
        except sqlite3.Error as error:
            raise DBAPIError(self.sql, None, error) from error
        return Answer([self._row(row) for row in found], cursor.rowcount)

    def _row(self, row: Sequence[Any]) -> Any:
        values = list(row)
        for place, process in self.results:
            values[place] = process(values[place])
        return self.make_row(values)


def _maker_of_rows(columns: Sequence[ColumnElement[Any]]) -> Callable[[Sequence[Any]], Any]:
    # mypy wants the names of a named tuple written out; these are a statement's columns, known when it is compiled.
    row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]
    make: Callable[[Sequence[Any]], Any] = row._make
    return make

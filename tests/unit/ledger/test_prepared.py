from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, create_engine, event, insert, select, update
from sqlalchemy.exc import DBAPIError, NoResultFound

from ingestor.ledger import SqliteLedger
from ingestor.ledger.prepared import Prepared
from ingestor.ledger.schema import metadata, sources, uploads
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting

AT = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC)
UPLOAD = {
    "content_id": "c",
    "digest": "d",
    "purpose": "reference",
    "metadata": {"é": [1, None, True], "b": {"c": "\\"}},
    "state": "live",
    "generation": 3,
    "replayed": True,
    "normalised": ["resize"],
    "created_at": AT,
    "changed_at": AT,
}
SOURCE = {
    "folder": "f",
    "directory": "a\udcff\\b",
    "name": "x.jpg",
    "root": "/r",
    "device": (1 << 64) - 1,
    "inode": 1 << 63,
    "size_bytes": 1,
    "mtime_ns": -1,
    "ctime_ns": 2,
    "context": "",
    "state": "waiting",
    "lane": 0,
    "ready_at": AT,
    "found_at": AT,
    "changed_at": AT,
}


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as made:
        yield made
    engine.dispose()


@pytest.mark.parametrize(("table", "row"), [(uploads, UPLOAD), (sources, SOURCE)], ids=["uploads", "sources"])
def test_what_goes_in_comes_out_as_through_sqlalchemy(connection: Connection, table: Any, row: dict[str, Any]) -> None:
    Prepared(insert(table)).on(connection, row)
    through_sqlalchemy = connection.execute(select(table)).one()
    assert Prepared(select(table)).on(connection, {}).one()._asdict() == through_sqlalchemy._asdict()
    assert {name: getattr(through_sqlalchemy, name) for name in row} == row


def test_an_update_sets_the_columns_that_it_is_executed_with(connection: Connection) -> None:
    connection.execute(insert(uploads), UPLOAD)
    statement = Prepared(update(uploads).where(uploads.c.content_id == bindparam("this")).returning(uploads.c.digest))
    assert statement.on(connection, {"this": "c", "digest": "e"}).one().digest == "e"
    assert statement.on(connection, {"this": "c", "message": "m", "reason": None}).one().digest == "e"
    assert statement.on(connection, {"this": "other", "digest": "z"}).one_or_none() is None
    row = connection.execute(select(uploads)).one()
    assert (row.digest, row.message, row.metadata) == ("e", "m", UPLOAD["metadata"])


def test_it_says_how_many_rows_it_has_changed(connection: Connection) -> None:
    connection.execute(insert(uploads), [{**UPLOAD, "content_id": name} for name in "abc"])
    statement = Prepared(update(uploads).where(uploads.c.content_id > bindparam("above")))
    assert statement.on(connection, {"above": "a", "digest": "e"}).rowcount == 2


def test_a_row_that_has_to_be_there_and_is_not_is_an_error(connection: Connection) -> None:
    with pytest.raises(NoResultFound):
        Prepared(select(uploads)).on(connection, {}).one()


def test_an_error_of_the_driver_is_told_as_sqlalchemy_tells_it(connection: Connection) -> None:
    statement = Prepared(insert(uploads))
    statement.on(connection, UPLOAD)
    with pytest.raises(DBAPIError) as raised:
        statement.on(connection, UPLOAD)
    assert getattr(raised.value.orig, "sqlite_errorname", "").startswith("SQLITE_CONSTRAINT")


async def test_no_image_pays_for_an_execution_through_sqlalchemy(tmp_path: Path) -> None:
    clock = FakeClock()
    ledger, through_sqlalchemy = SqliteLedger(empty_ledger_in(tmp_path), clock), set()
    event.listen(ledger._writer, "before_cursor_execute", lambda *told: through_sqlalchemy.add(told[2].split("(")[0]))
    await Walk(ledger, clock).uploaded(sighting("a.jpg"), content(1))
    await ledger.close()
    # How a directory's files are put in line, at once, is none of an image's.
    assert through_sqlalchemy == {"BEGIN IMMEDIATE", "INSERT INTO sources "}

"""A ledger that is only looked at."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingestor.errors import LedgerError, LedgerUnreadable
from ingestor.ledger import SqliteLedger, SqliteReader
from ingestor.model import Lane
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "var" / "ledger.db", clock)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
async def reader(ledger: SqliteLedger, clock: FakeClock) -> AsyncIterator[SqliteReader]:
    reader = SqliteReader(ledger.path, clock)
    await reader.open()
    yield reader
    await reader.close()


async def test_it_sees_what_the_daemon_writes_meanwhile(
    ledger: SqliteLedger, reader: SqliteReader, clock: FakeClock
) -> None:
    assert await reader.live_ids() == 0
    await Walk(ledger, clock).uploaded(sighting(), content())
    assert await reader.live_ids() == 1


async def test_it_changes_nothing(reader: SqliteReader) -> None:
    with pytest.raises(LedgerError, match="opened for reading only"):
        await reader.take([sighting()], Lane.FRESH, None)


async def test_the_database_itself_refuses_a_change(reader: SqliteReader) -> None:
    def change(connection: object) -> None:
        connection.exec_driver_sql("DELETE FROM facts")  # type: ignore[attr-defined]

    with pytest.raises(Exception, match="readonly"):
        await reader._read(change)


async def test_it_leaves_no_file_behind(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, clock)
    await ledger.open()
    await ledger.close()
    before = path.read_bytes()
    reader = SqliteReader(path, clock)
    await reader.open()
    await reader.stands()
    await reader.close()
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]
    assert path.read_bytes() == before


async def test_it_makes_no_ledger_where_there_is_none(tmp_path: Path, clock: FakeClock) -> None:
    reader = SqliteReader(tmp_path / "var" / "ledger.db", clock)
    with pytest.raises(LedgerUnreadable, match="there is no ledger yet"):
        await reader.open()
    await reader.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "has schema 9999"),
        ("DROP TABLE alembic_version", "this is no ledger"),
    ],
)
async def test_another_schema_is_refused_and_never_migrated(
    ledger: SqliteLedger, clock: FakeClock, change: str, words: str
) -> None:
    await ledger.close()
    with sqlite3.connect(ledger.path) as database:
        database.execute(change)
    database.close()
    before = ledger.path.read_bytes()
    reader = SqliteReader(ledger.path, clock)
    with pytest.raises(LedgerUnreadable, match=words):
        await reader.open()
    await reader.close()
    assert ledger.path.read_bytes() == before


async def test_a_file_that_is_no_database_is_called_corrupt(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all, not even nearly" * 100)
    reader = SqliteReader(tmp_path / "ledger.db", clock)
    with pytest.raises(LedgerUnreadable, match="corrupt"):
        await reader.open()
    await reader.close()


@pytest.mark.parametrize("name", ["with space?.db", "a#b%20.db", os.fsdecode(b"caf\xe9.db")])
async def test_any_file_name_will_do(tmp_path: Path, clock: FakeClock, name: str) -> None:
    plain = tmp_path / "plain.db"
    ledger = SqliteLedger(plain, clock)
    await ledger.open()
    await ledger.close()
    plain.rename(tmp_path / name)
    reader = SqliteReader(tmp_path / name, clock)
    await reader.open()
    assert await reader.stands() == []
    await reader.close()


async def test_a_sound_ledger_has_no_damage(reader: SqliteReader) -> None:
    assert await reader.check() == []

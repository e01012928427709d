from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from ingestor.errors import LedgerUnreadable
from ingestor.ledger import SqliteLedger, migrate, schema
from ingestor.ledger.sqlite import _engine
from tests.fakes import FakeClock


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = _engine(tmp_path / "ledger.db", immediate=True)
    yield made
    made.dispose()


def test_the_migrations_make_the_schema_that_the_program_uses(engine: Engine) -> None:
    with engine.begin() as connection:
        assert migrate.migrate(connection, "ledger")
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_tables_made_by_migrations_are_those_of_the_metadata_to_the_letter(engine: Engine) -> None:
    """Also what autogenerate does not look at: order, primary keys, WITHOUT ROWID, AUTOINCREMENT, partial indexes."""
    direct = create_engine("sqlite://")
    schema.metadata.create_all(direct)
    with engine.begin() as connection:
        migrate.migrate(connection, "ledger")
    for table in schema.metadata.tables:
        ours, theirs = inspect(engine).get_columns(table), inspect(direct).get_columns(table)
        assert [(one["name"], str(one["type"]), one["nullable"]) for one in ours] == [
            (one["name"], str(one["type"]), one["nullable"]) for one in theirs
        ]
        assert inspect(engine).get_pk_constraint(table) == inspect(direct).get_pk_constraint(table)
        assert sorted(inspect(engine).get_indexes(table), key=str) == sorted(
            inspect(direct).get_indexes(table), key=str
        )
        assert _options(engine, table) == _options(direct, table)


def _options(engine: Engine, table: str) -> tuple[bool, bool]:
    with engine.connect() as connection:
        made: str = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table}
        ).scalar_one()
    return "WITHOUT ROWID" in made.upper(), "AUTOINCREMENT" in made.upper()


def test_the_revision_is_that_of_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.REVISION]


def test_a_ledger_that_is_up_to_date_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        assert migrate.revision_of(connection) is None
        assert migrate.migrate(connection, "ledger")
        assert migrate.revision_of(connection) == schema.REVISION
        assert not migrate.migrate(connection, "ledger")


def test_a_migration_that_fails_leaves_nothing_behind(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alembic.op.create_index", lambda *args, **named: 1 / 0)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        migrate.migrate(connection, "ledger")
    monkeypatch.undo()
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        assert migrate.migrate(connection, "ledger")


async def test_a_ledger_of_a_newer_program_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, FakeClock())
    await ledger.open()
    await ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    newer = SqliteLedger(path, FakeClock())
    with pytest.raises(LedgerUnreadable) as raised:
        await newer.open()
    await newer.close()
    assert "written by a newer ingestor" in str(raised.value)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


async def test_another_program_s_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    ledger = SqliteLedger(path, FakeClock())
    with pytest.raises(LedgerUnreadable, match="belongs to another program"):
        await ledger.open()
    await ledger.close()
    with sqlite3.connect(path) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["photos"]

"""An upgrade that goes from machine to machine: the version before works on, as long as it may."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from ingestor.errors import LedgerUnreadable
from ingestor.ledger import migrate, schema
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.ledger.postgres.reader import PostgresReader
from ingestor.model import Lane
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting
from tests.postgres_kit import database, new_database


def upgraded(url: str, works_with: list[str]) -> None:
    """As a newer program leaves it: one migration further, with something new in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE sources ADD COLUMN new_thing text")
        connection.execute("ALTER TABLE uploads ADD COLUMN new_number integer NOT NULL DEFAULT 0")
        connection.execute("CREATE TABLE newer (id integer PRIMARY KEY)")
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        noted = f'{{"revision": "9999", "works_with": {works_with}}}'.replace("'", '"')
        connection.execute(f"COMMENT ON TABLE alembic_version IS '{noted}'")  # type: ignore[call-overload]


async def test_the_version_before_works_on_with_a_schema_that_allows_it() -> None:
    url, clock = new_database(), FakeClock()
    running = PostgresLedger(database(url), clock, station="old")
    await running.open()
    upgraded(url, [schema.REVISION, "9999"])
    await Walk(running, clock).uploaded(sighting("a.jpg"), content(1))

    started = PostgresLedger(database(url), clock, station="old")
    await started.open()
    walk = Walk(started, clock)
    await walk.uploaded(sighting("b.jpg"), content(2))
    await walk.renewed(sighting("b.jpg"), content(2))
    await started.take([sighting("c.jpg")], Lane.FRESH, None)
    reader = PostgresReader(database(url), clock, station="old")
    await reader.open()
    assert len(await reader.entries()) == 3
    for ledger in (running, started, reader):
        await ledger.close()
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row == ("9999",)


async def test_a_schema_that_is_too_new_is_refused() -> None:
    url = new_database()
    upgraded(url, ["9998", "9999"])
    ledger = PostgresLedger(database(url), FakeClock(), station="old")
    with pytest.raises(LedgerUnreadable, match="newer ingestor"):
        await ledger.open()
    reader = PostgresReader(database(url), FakeClock(), station="old")
    with pytest.raises(LedgerUnreadable):
        await reader.open()
    await ledger.close()
    await reader.close()


async def test_what_is_noted_of_another_schema_counts_for_nothing() -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    ledger = PostgresLedger(database(url), FakeClock(), station="old")
    with pytest.raises(LedgerUnreadable, match="newer ingestor"):
        await ledger.open()
    await ledger.close()


def test_each_schema_says_that_the_version_before_may_work_with_it() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_revision("head")
    assert newest is not None
    assert newest.down_revision in schema.WORKS_WITH
    assert schema.WORKS_WITH[-1] == newest.revision


def test_no_migration_takes_away_what_the_version_before_still_uses() -> None:
    for migration in sorted(Path(migrate.MIGRATIONS, "versions").glob("*.py")):
        found = re.search(r"\b(drop_table|drop_column|rename_table|alter_column)\b", migration.read_text())
        assert found is None, migration

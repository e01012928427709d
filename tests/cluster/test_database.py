"""PostgreSQL's troubles, as what they mean to the flow; and what only a ledger on PostgreSQL has to get right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text

from ingestor.errors import DiskFault, LedgerError, LedgerUnreadable
from ingestor.ledger.migrate import revision_of
from ingestor.ledger.place import database_at
from ingestor.ledger.postgres.database import Database
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.ledger.postgres.reader import PostgresReader
from ingestor.model import Lane
from ingestor.settings import DatabaseUrl
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, sighting
from tests.postgres_kit import GIVEN_URL, PASSWORD, database, new_database, own_server

ours_to_stop = pytest.mark.skipif(GIVEN_URL is not None, reason="the given PostgreSQL is not ours to stop")


def ledger_at(url: str, station: str = "here") -> PostgresLedger:
    return PostgresLedger(database(url), FakeClock(), station=station)


async def fault_of(url: str) -> Exception:
    ledger = ledger_at(url)
    try:
        with pytest.raises((DiskFault, LedgerError)) as caught:
            await ledger.open()
        assert "4711" not in str(caught.value)
        return caught.value
    finally:
        await ledger.close()


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    fault = await fault_of(f"postgresql://u:{PASSWORD}@127.0.0.1:1/db")
    assert isinstance(fault, DiskFault)
    assert fault.reason == "ledger"
    assert "postgresql://u@127.0.0.1:1/db" in str(fault)


async def test_a_database_or_user_that_is_not_there_is_no_matter_of_time() -> None:
    parts = urlsplit(new_database(empty=True))
    for url in (
        parts._replace(path="/there_is_none").geturl(),
        parts._replace(netloc=f"nobody:x4711@{parts.netloc.rpartition('@')[2]}").geturl(),
    ):
        assert isinstance(await fault_of(url), LedgerUnreadable)


async def test_an_address_that_the_driver_does_not_understand_is_told_without_its_password() -> None:
    with pytest.raises(LedgerError) as caught:
        database_at(DatabaseUrl(f"postgresql://u:{PASSWORD}@h/db?nonsense={PASSWORD}"))
    assert "4711" not in str(caught.value)


async def test_a_database_of_another_program_is_left_alone() -> None:
    url = new_database(empty=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE photos (id integer)")
    fault = await fault_of(url)
    assert isinstance(fault, LedgerUnreadable)
    assert "belongs to another program" in str(fault)


async def test_a_standby_that_cannot_be_written_is_waited_for() -> None:
    url = new_database()
    ledger = ledger_at(f"{url}?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(DiskFault) as caught:
        await ledger.set_fact("x", 1)
    assert caught.value.reason == "disk_read_only"
    await ledger.close()


async def test_two_programs_that_open_a_new_database_at_once_both_can() -> None:
    url = new_database(empty=True)
    ledgers = [ledger_at(url) for _ in range(4)]
    await asyncio.gather(*(ledger.open() for ledger in ledgers))
    await ledgers[0].set_fact("x", 1)
    assert await ledgers[3].fact("x") == 1
    await asyncio.gather(*(ledger.close() for ledger in ledgers))


@ours_to_stop
async def test_a_restart_between_two_questions_is_not_noticed() -> None:
    ledger = ledger_at(new_database())
    await ledger.set_fact("x", 1)
    await asyncio.to_thread(own_server().stop)
    with pytest.raises(DiskFault):
        await ledger.set_fact("x", 2)
    with pytest.raises(DiskFault):
        await ledger.fact("x")
    await asyncio.to_thread(own_server().start)
    assert await ledger.fact("x") == 1
    await ledger.set_fact("x", 3)
    assert await ledger.fact("x") == 3
    await ledger.close()


@ours_to_stop
async def test_changes_that_come_together_are_all_told_soon_that_the_database_is_away() -> None:
    ledger = ledger_at(new_database())
    await ledger.set_fact("x", 1)
    await asyncio.to_thread(own_server().stop)
    try:
        async with asyncio.timeout(10):
            ends = await asyncio.gather(*(ledger.set_fact("x", n) for n in range(50)), return_exceptions=True)
    finally:
        await asyncio.to_thread(own_server().start)
    assert all(isinstance(end, DiskFault) for end in ends)
    await ledger.close()


async def test_numbers_become_visible_in_their_order_whoever_writes() -> None:
    url = new_database()
    ledgers = [ledger_at(url, f"station{number}") for number in range(3)]
    reader = ledger_at(url)
    seen: list[int] = []
    done = asyncio.Event()

    async def follow() -> None:
        """As the manifest's writer: whatever comes after the last line seen."""
        while not done.is_set():
            seen.extend(entry.seq for entry in await reader.lines_after(seen[-1] if seen else 0, 1000))

    async def write(ledger: PostgresLedger, number: int) -> None:
        walk = Walk(ledger, FakeClock())
        for one in range(15):
            await walk.uploaded(sighting(f"{number}-{one}.jpg"), content(number * 100 + one))

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(ledger, number) for number, ledger in enumerate(ledgers)))
    await asyncio.sleep(0.1)
    done.set()
    await following
    assert len(seen) == 45
    assert seen == sorted(seen)
    await asyncio.gather(*(ledger.close() for ledger in (*ledgers, reader)))


async def test_who_freezes_in_the_middle_of_a_change_holds_others_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "ingestor.ledger.postgres.database._OPTIONS",
        "-c lock_timeout=30s -c idle_in_transaction_session_timeout=1s",
    )
    url = new_database()
    frozen, other = ledger_at(url), ledger_at(url)
    thawed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def freeze(connection: object) -> None:
        asyncio.run_coroutine_threadsafe(thawed.wait(), loop).result()

    freezing = asyncio.create_task(frozen._write(freeze))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(15):
        await other.set_fact("x", 1)
    thawed.set()
    with pytest.raises(DiskFault):
        await freezing
    await frozen.set_fact("y", 2)
    assert await other.fact("y") == 2
    await asyncio.gather(frozen.close(), other.close())


async def test_text_is_ordered_by_its_bytes_whatever_the_database_speaks() -> None:
    ledger = ledger_at(new_database())
    names = ["B.jpg", "a.jpg", "Z.jpg", "é.jpg", "_.jpg"]
    await ledger.take([sighting(name) for name in names], Lane.FRESH, None)
    assert [entry.path for entry in await ledger.entries()] == sorted(names)
    orders = await ledger._read(
        lambda connection: (
            connection.execute(
                text(
                    "SELECT DISTINCT collation_name FROM information_schema.columns "
                    "WHERE table_name IN ('sources', 'uploads', 'history', 'facts') AND data_type = 'text'"
                )
            )
            .scalars()
            .all()
        )
    )
    assert orders == ["C"]
    await ledger.close()


async def test_a_reader_changes_nothing_and_can_be_closed_in_the_middle_of_a_question() -> None:
    reader = PostgresReader(database(new_database()), FakeClock(), station="here")
    await reader.open()
    with pytest.raises(LedgerError):
        await reader.set_fact("x", 1)
    asking = asyncio.create_task(reader._read(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(30)")))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(10):
        await reader.close()
    with pytest.raises(DiskFault):
        await asking


async def test_a_reader_of_a_database_without_a_ledger_says_so() -> None:
    reader = PostgresReader(database(new_database(empty=True)), FakeClock(), station="here")
    assert not await reader.exists()
    with pytest.raises(LedgerUnreadable, match="there is no ledger yet"):
        await reader.open()
    await reader.close()


async def test_a_ledger_of_one_schema_does_not_wait_for_that_of_another(tmp_path: Path) -> None:
    url = new_database(empty=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA one")
        connection.execute("CREATE SCHEMA two")
    one, two = (ledger_at(f"{url}?options=-csearch_path%3D{name}") for name in ("one", "two"))
    await one.open()
    await two.open()
    await one.set_fact("x", 1)
    assert await two.fact("x") is None
    assert await one.locks.try_acquire("station here")
    assert await two.locks.try_acquire("station here")
    assert await one._read(revision_of) is not None
    await asyncio.gather(one.close(), two.close())


def test_the_driver_is_asked_for_only_by_who_has_a_database() -> None:
    import subprocess
    import sys

    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; import ingestor.app, ingestor.cli, ingestor.runtime.daemon, ingestor.page; "
            "import ingestor.cli.program; ingestor.cli.program.program(); "
            "print([name for name in ('psycopg', 'procrastinate', 'psycopg_pool') if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


async def test_database_says_what_it_is_without_its_password() -> None:
    made = Database(DatabaseUrl(f"postgresql://u:{PASSWORD}@h/db"))
    assert "4711" not in f"{made} {made!r} {made.name}"


def test_the_server_gives_up_machines_that_have_gone_without_a_word() -> None:
    """Or it would keep the locks of one that lost its power for two hours, as its system's defaults are."""
    with database(new_database()).connect() as connection:
        names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
        idle, interval, count, unacknowledged_ms = (
            int(connection.execute(f"SELECT setting FROM pg_settings WHERE name = 'tcp_{name}'").fetchone()[0])
            for name in names
        )
    assert idle + interval * count <= 20
    assert 0 < unacknowledged_ms <= 20_000

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from ingestor.errors import DiskFault, LedgerError, LedgerUnreadable
from ingestor.ledger import SqliteLedger
from ingestor.model import Lane
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def opened(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(path, FakeClock())
    await ledger.open()
    return ledger


async def test_opening_makes_the_folders_and_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ledger.db"
    ledger = SqliteLedger(path, FakeClock())
    assert not ledger.exists
    await ledger.open()
    assert ledger.exists
    await ledger.set_fact("x", 1)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    await ledger.close()


@pytest.mark.parametrize(
    "name", ["a b.db", "per%20cent.db", "what?.db", "hash#.db", "new\nline.db", "é.db", "file:x.db"]
)
async def test_the_file_has_the_name_that_was_asked_for(tmp_path: Path, name: str) -> None:
    ledger = await opened(tmp_path / name)
    await ledger.set_fact("x", 1)
    await ledger.close()
    assert os.listdir(tmp_path) == [name]


async def test_what_was_changed_is_there_after_a_restart(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "ledger.db")
    await ledger.set_fact("x", 1)
    await ledger.close()
    again = await opened(tmp_path / "ledger.db")
    assert await again.fact("x") == 1
    await again.close()


async def test_changes_that_come_together_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    groups: list[int] = []
    commit = ledger._commit

    def counted(group: list) -> list:
        groups.append(len(group))
        return commit(group)

    monkeypatch.setattr(ledger, "_commit", counted)
    await asyncio.gather(*(ledger.set_fact(f"{number}", number) for number in range(50)))
    await ledger.close()
    assert sum(groups) == 50
    assert len(groups) <= 3


async def test_who_comes_back_from_a_large_transaction_shares_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    groups: list[int] = []
    commit, may_commit = ledger._commit, threading.Event()

    def counted(group: list) -> list:
        groups.append(len(group))
        assert may_commit.wait(30)
        return commit(group)

    async def twice(number: int) -> None:
        await ledger.set_fact(f"first {number}", number)
        await ledger.set_fact(f"second {number}", number)

    monkeypatch.setattr(ledger, "_commit", counted)
    callers = asyncio.gather(*(twice(number) for number in range(8)))
    while not groups:
        await asyncio.sleep(0)
    late = asyncio.ensure_future(ledger.set_fact("late", 1))
    await asyncio.sleep(0)
    may_commit.set()
    await asyncio.gather(callers, late)
    await ledger.close()
    assert groups == [8, 9]


async def test_closing_waits_for_the_changes_under_way(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    changes = [asyncio.create_task(ledger.set_fact(f"{number}", number)) for number in range(30)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*changes)
    again = await opened(tmp_path / "ledger.db")
    assert len(await again.facts()) == 30
    await again.close()


async def test_whoever_comes_after_closing_is_refused_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    closing = asyncio.create_task(ledger.close())
    await asyncio.sleep(0)
    with pytest.raises(LedgerError, match="closed"):
        await ledger.set_fact("late", 1)
    with pytest.raises(LedgerError, match="closed"):
        await ledger.fact("late")
    await closing
    await ledger.close()


async def test_nobody_waits_for_a_writer_that_was_stopped(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    change = asyncio.create_task(ledger.set_fact("x", 1))
    await asyncio.sleep(0)
    assert ledger._committing is not None
    ledger._committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await ledger.set_fact("y", 2)
    assert await ledger.fact("y") == 2
    await ledger.close()


async def test_closing_leaves_no_write_ahead_log_behind(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "ledger.db")
    await ledger.set_fact("x", 1)
    assert (tmp_path / "ledger.db-wal").exists()
    await ledger.close()
    assert os.listdir(tmp_path) == ["ledger.db"]


async def test_the_write_ahead_log_stays_small_though_somebody_reads_all_the_time(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            await ledger.entries(limit=50)

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for number in range(120):
        await ledger.take([sighting(f"{number}-{index}.jpg") for index in range(100)], Lane.BACKFILL, None)
    done.set()
    await asyncio.gather(*readers)
    log = (tmp_path / "ledger.db-wal").stat().st_size
    await ledger.close()
    assert log < 16_000_000


@pytest.mark.parametrize("state", ["waiting", "quarantined", "vanished"])
async def test_what_a_start_asks_for_is_found_without_a_look_at_every_path(tmp_path: Path, state: str) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    plans: list[str] = []

    @event.listens_for(ledger._reader, "before_cursor_execute")
    def explain(connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if not statement.startswith("BEGIN"):
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    await ledger.entries(states=[state], folder="inbox", limit=500)
    await ledger.directories("inbox")
    await ledger.close()
    assert "SEARCH sources USING PRIMARY KEY (folder=? AND directory>?)" in plans
    for_all = [plan for plan in plans if plan in ("SCAN sources", "SEARCH sources USING PRIMARY KEY (folder=?)")]
    assert for_all == ["SEARCH sources USING PRIMARY KEY (folder=?)"], "the first directory, by the least of the key"


async def test_readers_do_not_wait_for_a_writer_of_another_program(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "ledger.db")
    await ledger.set_fact("x", 1)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert await ledger.fact("x") == 1
    other.execute("ROLLBACK")
    other.close()
    await ledger.close()


async def test_a_ledger_that_another_program_keeps_locked_is_a_fault_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.ledger.sqlite._BUSY_MS", 20)
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DiskFault) as raised:
        await ledger.set_fact("x", 1)
    assert raised.value.reason == "ledger_busy"
    other.execute("ROLLBACK")
    other.close()
    await ledger.set_fact("x", 1)
    await ledger.close()


@pytest.mark.parametrize("junk", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_unreadable_and_not_touched(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(junk)
    ledger = SqliteLedger(path, FakeClock())
    with pytest.raises(LedgerUnreadable) as raised:
        await ledger.open()
    await ledger.close()
    assert str(path) in str(raised.value)
    assert "move it away" in str(raised.value)
    assert path.read_bytes() == junk


async def test_a_ledger_with_a_broken_page_is_unreadable_wherever_it_is_met(tmp_path: Path, clock: FakeClock) -> None:
    ledger = await opened(tmp_path / "ledger.db")
    walk = Walk(ledger, clock)
    for number in range(40):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
    await ledger.close()
    path = tmp_path / "ledger.db"
    data = bytearray(path.read_bytes())
    data[2 * 4096 :] = os.urandom(len(data) - 2 * 4096)
    path.write_bytes(data)
    broken = SqliteLedger(path, FakeClock())
    with pytest.raises(LedgerUnreadable, match="corrupt"):
        await broken.lines_after(0, 100)
    with pytest.raises(LedgerUnreadable, match="corrupt"):
        await broken.take([sighting(f"{number}.jpg", mtime_ns=9) for number in range(40)], Lane.FRESH, None)
    await broken.close()


async def test_a_ledger_whose_tables_are_gone_is_unreadable(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("DROP TABLE sources")
    with pytest.raises(LedgerUnreadable, match="damaged"):
        await ledger.entries()
    await ledger.close()


async def test_a_folder_in_the_place_of_the_ledger_is_a_disk_fault_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    ledger = SqliteLedger(tmp_path / "ledger.db", FakeClock())
    with pytest.raises(DiskFault, match=r"ledger\.db"):
        await ledger.open()
    await ledger.close()


async def test_a_file_in_the_place_of_its_folder_is_a_disk_fault_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    ledger = SqliteLedger(tmp_path / "var" / "ledger.db", FakeClock())
    with pytest.raises(DiskFault, match="var"):
        await ledger.open()
    await ledger.close()


async def test_a_fault_of_our_own_is_not_taken_for_the_disk_s(tmp_path: Path) -> None:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), FakeClock())
    with pytest.raises(Exception, match="NOT NULL") as raised:
        await ledger.set_fact(None, 1)  # type: ignore[arg-type]
    assert not isinstance(raised.value, DiskFault | LedgerError)
    await ledger.close()

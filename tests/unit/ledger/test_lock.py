from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingestor.errors import DiskFault, LedgerHeld
from ingestor.ledger import LedgerLock, holder_of

HOLD = """
import sys
from pathlib import Path
from ingestor.ledger import LedgerLock
LedgerLock(Path(sys.argv[1]), "ingestor watch").acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "var" / "ledger.db"


def hold(ledger: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_ledger(ledger: Path) -> None:
    process = hold(ledger)
    try:
        with pytest.raises(LedgerHeld) as raised:
            LedgerLock(ledger, "ingestor backfill").acquire()
        assert f"ingestor watch, process {process.pid} on " in str(raised.value)
        assert holder_of(ledger) in str(raised.value)
    finally:
        process.communicate("")


def test_a_process_that_was_killed_holds_nothing(ledger: Path) -> None:
    process = hold(ledger)
    process.kill()
    process.communicate()
    assert holder_of(ledger) is None
    lock = LedgerLock(ledger, "ingestor backfill")
    lock.acquire()
    assert lock.held
    lock.release()


def test_one_process_cannot_hold_it_twice_and_can_hold_it_again(ledger: Path) -> None:
    first, second = LedgerLock(ledger, "first"), LedgerLock(ledger, "second")
    first.acquire()
    with pytest.raises(LedgerHeld, match="first, process"):
        second.acquire()
    assert not second.held
    first.release()
    first.release()
    second.acquire()
    assert (holder_of(ledger) or "").startswith("second, process")
    second.release()


def test_nobody_holds_a_ledger_that_is_not_there(ledger: Path) -> None:
    assert holder_of(ledger) is None


def test_whoever_only_looks_keeps_nobody_out(ledger: Path) -> None:
    ledger.parent.mkdir()
    looking = os.open(f"{ledger}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, [looking]).start()
    lock = LedgerLock(ledger, "ingestor watch")
    lock.acquire()
    assert lock.held
    lock.release()


def test_the_lock_file_is_for_its_owner_alone(ledger: Path) -> None:
    lock = LedgerLock(ledger, "ingestor watch")
    lock.acquire()
    assert os.stat(f"{ledger}.lock").st_mode & 0o777 == 0o600
    lock.release()


def test_a_file_where_the_folder_should_be_is_a_disk_fault_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(DiskFault, match="var"):
        LedgerLock(tmp_path / "var" / "ledger.db", "ingestor watch").acquire()


def test_a_refused_lock_leaves_no_descriptor_open(ledger: Path) -> None:
    held = LedgerLock(ledger, "first")
    held.acquire()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LedgerHeld):
        LedgerLock(ledger, "second").acquire()
    assert len(os.listdir("/proc/self/fd")) == before
    held.release()

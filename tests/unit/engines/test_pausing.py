from __future__ import annotations

from ingestor.engines.pausing import DISK_SECONDS, DiskPause
from ingestor.model import Quarantined, Snoozed
from tests.fakes import FakeClock, RecordingObserver

FULL = Snoozed(reason="disk_full", message="no room", delay_seconds=5.0)
BAD = Quarantined(reason="broken", message="")


def test_a_pause_is_told_once_and_so_is_its_end() -> None:
    clock, observer = FakeClock(), RecordingObserver()
    pause = DiskPause(clock, observer)
    assert not pause.holds
    pause.notice(FULL)
    pause.notice(FULL)
    assert pause.holds
    clock.advance(DISK_SECONDS + 0.1)
    assert not pause.holds
    pause.notice(BAD)
    pause.notice(BAD)
    assert observer.events() == ["disk_paused", "disk_resumed"]


def test_a_wait_for_something_else_says_nothing_of_the_disk() -> None:
    observer = RecordingObserver()
    pause = DiskPause(FakeClock(), observer)
    pause.notice(FULL)
    pause.notice(Snoozed(reason="quota", message="", delay_seconds=1.0))
    assert observer.events() == ["disk_paused"]

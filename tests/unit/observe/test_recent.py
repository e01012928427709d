from __future__ import annotations

import json
from typing import Any

import pytest

from ingestor.observe.recent import MOST_ENDS, MOST_FOLDERS, Recent
from ingestor.observe.snapshot import Snapshot
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recent(clock: FakeClock) -> Recent:
    return Recent(clock)


def test_at_first_nothing_is_known(recent: Recent) -> None:
    held = recent.snapshot()
    assert held["at"] == held["started_at"] == "2026-11-24T10:00:00.000Z"
    assert (held["folders"], held["ends"], held["outcomes"], held["paused"]) == ({}, [], {}, {})
    assert held["quota"] == {"left": None, "capacity": None, "per_minute": None}
    assert {name: len(series) for name, series in held["minutes"].items() if name != "first_at"} == {
        "uploads": 1440,
        "quarantined": 1440,
        "rate_limited": 1440,
        "quota_left": 1440,
    }


def test_a_folder_shows_its_mode_its_last_event_and_its_last_scan(recent: Recent, clock: FakeClock) -> None:
    recent.notice("watch_mode", folder="products", mode="poll", why="NFS", degraded=True)
    recent.notice("file_event", folder="products", number=2)
    clock.advance(1)
    recent.notice("found", folder="products", number=2)
    clock.advance(59)
    recent.notice("scan_end", folder="products", files=3, seconds=0.25, rescued=1)
    recent.notice("scan_end", folder="products", files=4, seconds=0.5, rescued=2)
    assert recent.snapshot()["folders"]["products"] == {
        "path": None,
        "mode": "poll",
        "why": "NFS",
        "degraded": True,
        "present": True,
        "found": 2,
        "rescued": 3,
        "last_event_at": "2026-11-24T10:00:00.000Z",
        "last_scan_at": "2026-11-24T10:01:00.000Z",
        "last_scan_files": 4,
        "last_scan_seconds": 0.5,
    }


def test_a_folder_that_is_gone_shows_until_it_is_back(recent: Recent) -> None:
    recent.notice("folder_gone", folder="products", path="/in")
    gone = recent.snapshot()["folders"]["products"]
    assert (gone["present"], gone["path"]) == (False, "/in")
    recent.notice("folder_back", folder="products", path="/in")
    assert recent.snapshot()["folders"]["products"]["present"] is True


def test_the_last_ends_are_kept_newest_first(recent: Recent) -> None:
    for number in range(MOST_ENDS + 10):
        recent.notice("image_end", folder="f", path=f"{number}.jpg", outcome="uploaded", file_id=None, spare=1)
    ends = recent.snapshot()["ends"]
    assert len(ends) == MOST_ENDS
    assert ends[0] == {
        "at": "2026-11-24T10:00:00.000Z",
        "folder": "f",
        "path": f"{MOST_ENDS + 9}.jpg",
        "outcome": "uploaded",
    }
    assert recent.snapshot()["outcomes"] == {"uploaded": MOST_ENDS + 10}


def test_uploads_and_quota_are_kept_by_the_minute(recent: Recent, clock: FakeClock) -> None:
    for outcome in ("uploaded", "renewed", "replayed", "duplicate", "quarantined"):
        recent.notice("image_end", folder="f", path="a", outcome=outcome)
    recent.notice("quota_held", call="upload", seconds=1)
    recent.set_snapshot(Snapshot(quota_left=58, quota_capacity=60, quota_per_minute=30))
    clock.advance(120)
    recent.notice("image_end", folder="f", path="a", outcome="uploaded")
    recent.set_snapshot(Snapshot())
    held = recent.snapshot()
    minutes = held["minutes"]
    assert minutes["uploads"][-3:] == [2, None, 1]
    assert minutes["quarantined"][-3:] == [1, None, None]
    assert minutes["rate_limited"][-3:] == [1, None, None]
    assert minutes["quota_left"][-3:] == [58, None, None]
    assert minutes["first_at"] == "2026-11-23T10:03:00.000Z"
    assert held["quota"] == {"left": None, "capacity": None, "per_minute": None}


def test_a_pause_shows_with_its_reason_until_it_is_over(recent: Recent) -> None:
    recent.notice("api_paused", reason="balance", message="top up")
    recent.notice("disk_paused", reason="disk_full", message="/var")
    paused = recent.snapshot()["paused"]
    assert paused["api"] == {"since": "2026-11-24T10:00:00.000Z", "reason": "balance", "message": "top up"}
    recent.notice("api_resumed", reason="balance", seconds=2)
    assert set(recent.snapshot()["paused"]) == {"disk"}
    recent.notice("disk_resumed")
    assert recent.snapshot()["paused"] == {}


def test_a_snapshot_is_a_copy(recent: Recent) -> None:
    recent.notice("found", folder="f", number=1)
    before = recent.snapshot()
    kept = json.dumps(before)
    recent.notice("found", folder="f", number=1)
    recent.notice("image_end", folder="f", path="a", outcome="uploaded")
    assert json.dumps(before) == kept


def test_whatever_comes_it_stays_json(recent: Recent) -> None:
    odd = {"path": "caf\udce9\n", "reason": b"\xff", "message": ValueError("x"), "seconds": float("nan")}
    recent.notice("image_end", folder="f", outcome="quarantined", normalised=("webp",), **odd)
    recent.notice("scan_end", folder="f", files=object(), seconds=float("inf"), rescued=None)
    text = json.dumps(recent.snapshot(), allow_nan=False)
    assert "caf\\\\xe9" in text


def test_folders_without_end_do_not_fill_the_memory(recent: Recent) -> None:
    for number in range(MOST_FOLDERS + 10):
        recent.notice("found", folder=f"f{number}", number=1)
    assert len(recent.snapshot()["folders"]) == MOST_FOLDERS


def test_an_unknown_event_changes_nothing(recent: Recent) -> None:
    before = recent.snapshot()
    recent.notice("something_new", folder="f", path="a")
    assert recent.snapshot() == before


def test_whoever_shows_it_is_told_by_a_number_that_there_is_something_new(recent: Recent) -> None:
    seen = [recent.changes]
    recent.notice("something_new", folder="f")
    recent.set_snapshot(Snapshot())
    assert recent.changes == seen[-1], "nothing that is remembered"
    recent.notice("found", folder="f", number=1)
    seen.append(recent.changes)
    recent.set_snapshot(Snapshot(quota_left=5))
    seen.append(recent.changes)
    recent.set_snapshot(Snapshot(quota_left=5))
    assert seen == sorted(set(seen))
    assert recent.changes == seen[-1], "the same as before"


@pytest.mark.parametrize("kept", [None, 7, [], {"uploads": 3}, {"uploads": [["a", 1]]}, {"uploads": [[1]]}])
def test_kept_minutes_that_make_no_sense_are_left_alone(recent: Recent, kept: Any) -> None:
    recent.recall_minutes(kept)
    assert set(recent.snapshot()["minutes"]["uploads"]) == {None}

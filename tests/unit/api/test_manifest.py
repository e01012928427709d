from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor import Manifest

FAR = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
PAST = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def line(seq: int, path: str = "a.jpg", event: str = "uploaded", **more: Any) -> str:
    fields = {
        "v": 1,
        "seq": seq,
        "at": "2026-11-24T10:00:02Z",
        "event": event,
        "folder": "inbox",
        "path": path,
        "file_id": f"file_{seq}",
        "expires_at": FAR,
        **more,
    }
    return json.dumps(fields) + "\n"


class File:
    """A manifest file as ingestor treats it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *lines: str) -> None:
        with self.path.open("a") as file:
            file.write("".join(lines))

    def replace(self, *lines: str) -> None:
        """As compaction and repair do."""
        fresh = self.path.with_name("fresh")
        fresh.write_text("".join(lines))
        fresh.rename(self.path)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "manifest.jsonl")


@pytest.fixture
def manifest(file: File) -> Iterator[Manifest]:
    with Manifest.open(file.path) as opened:
        yield opened


def ids(manifest: Manifest) -> set[str | None]:
    return {one.file_id for one in manifest.live()}


def test_one_that_is_not_there_yet_is_empty_until_it_is(file: File, manifest: Manifest) -> None:
    assert list(manifest.live()) == []
    assert manifest.get("inbox", "a.jpg") is None
    file.append(line(1))
    assert ids(manifest) == {"file_1"}


def test_each_path_is_what_its_last_line_says(file: File, manifest: Manifest) -> None:
    file.append(line(1), line(2, "b.jpg"), line(3, event="renewed"), line(4, "c.jpg", "quarantined", reason="corrupt"))
    by_path = manifest.by_path()
    assert {place: one.seq for place, one in by_path.items()} == {
        ("inbox", "a.jpg"): 3,
        ("inbox", "b.jpg"): 2,
        ("inbox", "c.jpg"): 4,
    }
    found = manifest.get("inbox", "c.jpg")
    assert found is not None
    assert (found.reason, manifest.last_seq) == ("corrupt", 4)
    assert manifest.get("other", "a.jpg") is None


def test_only_ids_that_are_good_now_are_live(file: File, manifest: Manifest) -> None:
    file.append(
        line(1, "a"), line(2, "b", expires_at=PAST), line(3, "c"), line(4, "c", "expired"), line(5, "d", "renewed")
    )
    assert ids(manifest) == {"file_1", "file_5"}
    assert list(manifest.live(datetime.now(UTC) + timedelta(days=2))) == []


def test_a_line_that_is_still_being_written_does_not_count_yet(file: File, manifest: Manifest) -> None:
    whole = line(1)
    file.append(whole[:40])
    assert list(manifest.live()) == []
    file.append(whole[40:])
    assert ids(manifest) == {"file_1"}
    assert manifest.damaged == 0


def test_what_is_no_line_is_passed_over_and_counted(file: File, manifest: Manifest) -> None:
    file.append(line(1), "nonsense\n", "[]\n", "\n", line(2, "b"))
    assert ids(manifest) == {"file_1", "file_2"}
    assert manifest.damaged == 3


def test_a_file_that_was_compacted_is_read_anew(file: File, manifest: Manifest) -> None:
    file.append(line(1), line(2, "b"), line(3), line(4, "c"))
    assert ids(manifest) == {"file_2", "file_3", "file_4"}
    file.replace(line(2, "b"), line(3), line(5, "d"))
    assert ids(manifest) == {"file_2", "file_3", "file_5"}
    assert manifest.get("inbox", "c") is None


def test_a_file_that_was_emptied_is_read_anew(file: File, manifest: Manifest) -> None:
    file.append(line(1), line(2, "b"))
    assert len(list(manifest.live())) == 2
    os.truncate(file.path, 0)
    assert list(manifest.live()) == []
    file.append(line(3, "c"))
    assert ids(manifest) == {"file_3"}


def test_a_file_that_is_away_for_a_moment_is_what_it_was(file: File, manifest: Manifest) -> None:
    file.append(line(1))
    assert ids(manifest) == {"file_1"}
    file.path.unlink()
    assert ids(manifest) == {"file_1"}
    file.append(line(1), line(2, "b"))
    assert ids(manifest) == {"file_1", "file_2"}


def test_long_lines_and_many_of_them_are_read_whole(file: File, manifest: Manifest) -> None:
    file.append(*(line(seq, f"{seq}.jpg", metadata={"text": "é" * (seq % 3) * 20_000}) for seq in range(1, 101)))
    by_path = manifest.by_path()
    assert len(by_path) == 100
    assert all(len(one.metadata["text"]) == seq % 3 * 20_000 for seq, one in enumerate(by_path.values(), 1))


# -- following


def test_follow_gives_what_comes_from_now_on(file: File, manifest: Manifest) -> None:
    file.append(line(1))
    coming = manifest.follow(poll_seconds=0.01, idle_seconds=0.3)
    file.append(line(2, "b"), line(3, "c"))
    assert [one.seq for one in coming] == [2, 3]


def test_follow_goes_on_after_what_was_seen(file: File, manifest: Manifest) -> None:
    file.append(line(1), line(2, "b"), line(3, "c"))
    assert [one.seq for one in manifest.follow(after=0, poll_seconds=0.01, idle_seconds=0.05)] == [1, 2, 3]
    assert [one.seq for one in manifest.follow(after=2, poll_seconds=0.01, idle_seconds=0.05)] == [3]


def test_more_lines_than_are_taken_at_once_all_come(file: File, manifest: Manifest) -> None:
    file.append(*(line(seq) for seq in range(1, 1502)))
    assert [one.seq for one in manifest.follow(after=0, poll_seconds=0.01, idle_seconds=0.05)] == list(range(1, 1502))


def test_follow_survives_compaction_without_a_line_lost_or_given_twice(file: File, manifest: Manifest) -> None:
    coming = manifest.follow(poll_seconds=0.01)
    file.append(line(1), line(2, "b"))
    assert [next(coming).seq, next(coming).seq] == [1, 2]
    # Written, and compacted away, between two looks: it was there, and is told.
    file.append(line(3, "c"), line(4, "c", "renewed"))
    file.replace(line(1), line(2, "b"), line(4, "c", "renewed"), line(5, "d"))
    assert [next(coming).seq for _ in range(3)] == [3, 4, 5]
    file.replace(line(6, "e"))
    assert next(coming).seq == 6
    coming.close()


def test_follow_waits_for_a_file_that_is_not_there(file: File, manifest: Manifest) -> None:
    coming = manifest.follow(poll_seconds=0.01)
    writing = threading.Timer(0.1, file.append, [line(1)])
    writing.start()
    assert next(coming).seq == 1
    writing.join()
    coming.close()


def test_queries_and_followers_are_in_nobody_s_way(file: File, manifest: Manifest) -> None:
    coming = manifest.follow(poll_seconds=0.01)
    other = manifest.follow(poll_seconds=0.01)
    for seq in range(1, 6):
        file.append(line(seq, f"{seq}.jpg"))
        assert len(list(manifest.live())) == seq
        assert next(coming).seq == seq
    assert [next(other).seq for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_an_event_loop_can_follow_too(file: File, manifest: Manifest) -> None:
    async def write() -> None:
        for seq in range(1, 4):
            await asyncio.sleep(0.02)
            file.append(line(seq))

    writing = asyncio.create_task(write())
    seen = []
    async for one in manifest.follow_async(poll_seconds=0.01):
        seen.append(one.seq)
        if len(seen) == 3:
            break
    await writing
    assert seen == [1, 2, 3]
    assert [one.seq async for one in manifest.follow_async(after=1, poll_seconds=0.01, idle_seconds=0.05)] == [2, 3]


def test_nothing_is_left_open(file: File) -> None:
    file.append(line(1))
    before = len(os.listdir("/proc/self/fd"))
    with Manifest.open(file.path) as manifest:
        coming = manifest.follow(after=0, poll_seconds=0.01)
        next(coming)
        coming.close()
        assert list(manifest.follow(poll_seconds=0.01, idle_seconds=0.0)) == []
    assert len(os.listdir("/proc/self/fd")) == before

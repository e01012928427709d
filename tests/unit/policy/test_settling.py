from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.model import FileIdentity
from ingestor.policy.settling import (
    TRUNCATED_GRACE_FACTOR,
    Observation,
    observe,
    seconds_to_wait,
    truncation_is_final,
)

WALL = 1_800_000_000.0
IDENTITY = FileIdentity(device=1, inode=2, size_bytes=10, mtime_ns=int(WALL * 1e9), ctime_ns=int(WALL * 1e9))


def aged(seconds: float, **changes: int) -> FileIdentity:
    at = int((WALL - seconds) * 1e9)
    return replace(IDENTITY, mtime_ns=at, ctime_ns=at, **changes)


def wait(identity: FileIdentity, *, since: float = 0.0, monotonic: float = 0.0, quiet: float = 2.0) -> float | None:
    seen = Observation(identity=identity, since=since)
    return seconds_to_wait(seen, monotonic=monotonic, wall=WALL, quiet_seconds=quiet)


@pytest.mark.parametrize("field", ["size_bytes", "mtime_ns"])
def test_a_change_of_size_or_mtime_begins_anew(field: str) -> None:
    before = Observation(identity=IDENTITY, since=5.0)
    assert observe(before, replace(IDENTITY, **{field: 11}), 9.0).since == 9.0


@pytest.mark.parametrize("field", ["ctime_ns", "inode", "device"])
def test_what_does_not_tell_of_writing_does_not_begin_anew(field: str) -> None:
    before = Observation(identity=IDENTITY, since=5.0)
    after = replace(IDENTITY, **{field: 11})
    assert observe(before, after, 9.0) == Observation(identity=after, since=5.0)


def test_a_first_look_begins_now() -> None:
    assert observe(None, IDENTITY, 9.0) == Observation(identity=IDENTITY, since=9.0)


def test_an_empty_file_is_never_ready() -> None:
    assert wait(aged(99_999, size_bytes=0), since=0.0, monotonic=99_999.0) is None


def test_what_was_watched_for_long_enough_is_ready() -> None:
    assert wait(aged(0), since=10.0, monotonic=12.0) == 0
    assert wait(aged(0), since=10.0, monotonic=11.5) == pytest.approx(0.5)


def test_what_has_not_changed_for_long_enough_is_ready_at_first_sight() -> None:
    assert wait(aged(2.0)) == 0
    assert wait(aged(1.5)) == pytest.approx(0.5)


def test_an_old_mtime_of_a_file_that_was_made_just_now_proves_nothing() -> None:
    copied = replace(aged(0), mtime_ns=int((WALL - 9999) * 1e9))
    assert wait(copied) == pytest.approx(2.0)


def test_a_change_in_the_future_proves_nothing_and_does_not_hold_for_ever() -> None:
    assert wait(aged(-3600)) == pytest.approx(2.0)
    assert wait(aged(-3600), since=10.0, monotonic=12.0) == 0


@given(age=st.floats(-1e5, 1e5), watched=st.floats(0, 1e5), quiet=st.floats(0, 1e4), size=st.integers(0, 10**9))
def test_the_wait_is_never_negative_and_never_longer_than_quiet(
    age: float, watched: float, quiet: float, size: int
) -> None:
    found = wait(aged(age, size_bytes=size), monotonic=watched, quiet=quiet)
    assert (found is None) == (size == 0)
    if found is not None:
        assert 0 <= found <= quiet


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30), step=st.floats(0.01, 3.0))
def test_a_file_is_ready_only_after_a_quiet_time_in_which_nothing_was_seen_to_change(
    sizes: list[int], step: float
) -> None:
    quiet, seen, changed_at = 2.0, None, 0.0
    for number, size in enumerate(sizes):
        now = number * step
        if number == 0 or size != sizes[number - 1]:
            changed_at = now
        identity = replace(aged(-9999), size_bytes=size, mtime_ns=1, ctime_ns=int((WALL + 9999) * 1e9))
        seen = observe(seen, identity, now)
        ready = seconds_to_wait(seen, monotonic=now, wall=WALL, quiet_seconds=quiet) == 0
        assert ready == (now - changed_at >= quiet)


def test_a_truncated_image_is_final_only_when_it_has_been_quiet_for_long() -> None:
    quiet = 2.0
    assert not truncation_is_final(aged(quiet), wall=WALL, quiet_seconds=quiet)
    assert truncation_is_final(aged(quiet * TRUNCATED_GRACE_FACTOR + 0.01), wall=WALL, quiet_seconds=quiet)


def test_a_truncated_image_from_the_future_is_final_since_nothing_can_be_waited_for() -> None:
    assert truncation_is_final(aged(-10), wall=WALL, quiet_seconds=2.0)


def test_a_truncated_image_has_a_moment_also_where_nothing_settles() -> None:
    assert not truncation_is_final(aged(0.1), wall=WALL, quiet_seconds=0.0)

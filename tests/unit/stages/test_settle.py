from __future__ import annotations

from dataclasses import replace

from ingestor.policy.settling import Observation
from ingestor.stages.settle import EMPTY_LOOK_SECONDS, settle
from tests.fakes import FakeClock
from tests.ledger_kit import sighting

QUIET = 2.0


def seen_now(clock: FakeClock, size_bytes: int = 10, ago: float = 0.0):
    one = sighting()
    changed = int((clock.now().timestamp() - ago) * 1e9)
    identity = replace(one.source.identity, size_bytes=size_bytes, mtime_ns=changed, ctime_ns=changed)
    return replace(one, source=replace(one.source, identity=identity))


def test_a_file_just_written_is_looked_at_again_when_it_may_have_settled() -> None:
    clock = FakeClock()
    unsettled = settle(seen_now(clock), None, clock=clock, quiet_seconds=QUIET)
    assert unsettled is not None
    assert not unsettled.empty
    assert 0 < unsettled.look_again_seconds <= QUIET


def test_a_file_that_stays_as_it_is_has_settled_after_its_time() -> None:
    clock = FakeClock()
    one = seen_now(clock)
    first = settle(one, None, clock=clock, quiet_seconds=QUIET)
    assert first is not None
    clock.advance(first.look_again_seconds)
    assert settle(one, first.observation, clock=clock, quiet_seconds=QUIET) is None


def test_a_file_that_grows_begins_anew() -> None:
    clock = FakeClock()
    first = settle(seen_now(clock), None, clock=clock, quiet_seconds=QUIET)
    assert first is not None
    clock.advance(1.5)
    second = settle(seen_now(clock, 20), first.observation, clock=clock, quiet_seconds=QUIET)
    assert second is not None
    assert second.observation.since > first.observation.since
    clock.advance(1.5)
    assert settle(seen_now(clock, 20, ago=1.5), second.observation, clock=clock, quiet_seconds=QUIET) is not None


def test_an_old_file_needs_no_second_look() -> None:
    clock = FakeClock()
    assert settle(seen_now(clock, ago=3600), None, clock=clock, quiet_seconds=QUIET) is None


def test_an_empty_file_never_settles_and_is_not_looked_at_all_the_time() -> None:
    clock = FakeClock()
    before: Observation | None = None
    for _ in range(3):
        unsettled = settle(seen_now(clock, 0, ago=9999), before, clock=clock, quiet_seconds=0.0)
        assert unsettled is not None
        assert unsettled.empty
        assert unsettled.look_again_seconds == EMPTY_LOOK_SECONDS
        before = unsettled.observation
        clock.advance(60)

import math
from types import SimpleNamespace

import pytest

from ingestor.sandbox import clock as module
from ingestor.sandbox.clock import Clock, http_date, rfc3339


@pytest.fixture
def ours(monkeypatch):
    """Our own time: wall seconds and monotonic seconds, as the test says."""
    now = SimpleNamespace(wall=1_700_000_000.0, steady=50.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now.wall, monotonic=lambda: now.steady))
    return now


def test_a_clock_runs_as_many_times_faster_as_it_is_told(ours):
    clock = Clock(60.0)
    ours.steady += 2
    assert clock.now() == ours.wall + 120
    assert clock.real_seconds(120) == 2


def test_a_clock_does_not_jump_when_the_system_clock_does(ours):
    clock = Clock(1.0)
    before = clock.now()
    ours.wall += 86_400
    assert clock.now() == before


def test_a_clock_can_be_moved_forward(ours):
    clock = Clock(1.0)
    before = clock.now()
    clock.advance(3600)
    assert clock.now() == before + 3600


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_clock_moves_neither_back_nor_to_the_end_of_time(ours, seconds):
    with pytest.raises(ValueError, match="forward"):
        Clock(1.0).advance(seconds)


def test_a_clock_goes_on_while_nobody_serves(ours):
    first = Clock(10.0)
    ours.steady += 5
    kept = first.state()
    ours.wall += 5 + 100
    ours.steady = 0.0
    assert Clock(10.0, kept).now() == pytest.approx(1_700_000_000 + 50 + 1000)


def test_a_system_clock_that_was_set_back_does_not_take_the_clock_along(ours):
    first = Clock(1.0)
    first.advance(500)
    kept = first.state()
    ours.wall -= 10_000
    assert Clock(1.0, kept).now() == kept["seen"]


def test_instants_are_written_as_the_api_writes_them():
    assert rfc3339(1777809600.9) == "2026-05-03T12:00:00Z"
    assert http_date(1777809600.9) == "Sun, 03 May 2026 12:00:00 GMT"

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.breaking import FAILURES, Closed, Open, after_fault, after_refusal

WALL = datetime(2026, 11, 24, tzinfo=UTC)


def fault(state, source=1, at=0.0):
    return after_fault(state, source, "down", wall=WALL, monotonic=at, chance=0.0)


def test_some_faults_in_a_row_of_several_requests_open_it():
    state = Closed()
    for n in range(FAILURES):
        assert isinstance(state, Closed)
        state = fault(state, source=n)
    assert state == Open(reason="api", message="down", since=WALL, probes=0, probe_at=1.0)


def test_one_request_that_fails_alone_never_opens_it():
    state = Closed()
    for _ in range(10 * FAILURES):
        state = fault(state, source=1)
    assert isinstance(state, Closed)
    assert isinstance(fault(state, source=2), Open)


def test_probes_come_less_and_less_often_but_at_least_each_minute():
    state = Open(reason="api", message="down", since=WALL, probes=0, probe_at=1.0)
    waits = []
    for _ in range(8):
        state = fault(state, at=100.0)
        waits.append(state.probe_at - 100.0)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert state.since == WALL


@pytest.mark.parametrize("reason", ["key", "scope", "balance", "route", "redirect", "settings"])
def test_one_refusal_opens_it_and_is_probed_soon_then_ever_less_often(reason):
    state = after_refusal(Closed(), reason, "no", wall=WALL, monotonic=0.0, chance=0.0)
    waits = []
    for _ in range(8):
        assert isinstance(state, Open)
        waits.append(state.probe_at)
        state = after_refusal(state, reason, "no", wall=WALL, monotonic=0.0, chance=0.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_refusal_counts_whatever_faults_there_were_before():
    state = after_refusal(fault(Closed()), "key", "no", wall=WALL, monotonic=5.0, chance=0.0)
    assert state == Open(reason="key", message="no", since=WALL, probes=0, probe_at=6.0)


def test_a_probe_that_fails_otherwise_keeps_the_instant_it_all_began():
    down = Open(reason="api", message="down", since=WALL, probes=3, probe_at=1.0)
    refused = after_refusal(down, "key", "no", wall=WALL + timedelta(hours=1), monotonic=9.0, chance=0.0)
    assert (refused.reason, refused.since, refused.probes) == ("key", WALL, 4)
    assert fault(refused).reason == "key"


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_next_probe_is_always_ahead_and_within_a_minute(probes, chance):
    state = Open(reason="api", message="down", since=WALL, probes=probes, probe_at=0.0)
    after = after_fault(state, 1, "down", wall=WALL, monotonic=100.0, chance=chance)
    assert 100.0 < after.probe_at <= 160.0

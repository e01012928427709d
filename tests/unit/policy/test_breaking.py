from datetime import UTC, datetime

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


def test_a_refused_account_opens_it_at_once_and_is_probed_steadily():
    for reason, seconds in (("key", 5.0), ("scope", 60.0), ("balance", 60.0), ("route", 60.0)):
        state = after_refusal(Closed(), reason, "no", wall=WALL, monotonic=0.0, chance=0.0)
        assert isinstance(state, Open)
        assert state.probe_at == seconds
        again = after_refusal(state, reason, "no", wall=WALL, monotonic=10.0, chance=0.0)
        assert again.probe_at == 10.0 + seconds

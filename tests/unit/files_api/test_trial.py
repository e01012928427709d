from __future__ import annotations

import random

from ingestor.errors import ApiUnavailable, KeyConflict, KeyInFlight, RateLimited, ServerFault
from ingestor.files_api.trial import MOST_SERVER_WAIT_SECONDS, Again, Trial


class NoChance(random.Random):
    """Always the longest wait."""

    def random(self) -> float:
        return 0.0


def trial(attempts: int = 5, in_flight_seconds: float = 120.0) -> Trial:
    return Trial(attempts=attempts, in_flight_seconds=in_flight_seconds, rng=NoChance())


def fault(retry_after_seconds: float | None = None) -> ServerFault:
    return ServerFault("down", request_id="req_9", retry_after_seconds=retry_after_seconds)


def test_server_faults_are_retried_ever_later_until_the_attempts_are_used_up() -> None:
    it, waits = trial(attempts=8), []
    while isinstance(outcome := it.after_fault(fault(), paused=False), Again):
        waits.append(outcome.seconds)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert isinstance(outcome, ApiUnavailable)
    assert (outcome.reason, outcome.request_id) == ("api", "req_9")
    assert str(outcome) == "given up for now after 8 attempts: down"


def test_what_the_api_asks_for_counts_where_it_is_longer_and_within_reason() -> None:
    for told, waited in ((20.0, 20.0), (0.2, 1.0), (1e6, MOST_SERVER_WAIT_SECONDS)):
        outcome = trial().after_fault(fault(told), paused=False)
        assert isinstance(outcome, Again)
        assert outcome.seconds == waited


def test_faults_of_an_api_that_is_down_cost_no_attempt() -> None:
    it = trial(attempts=2)
    for _ in range(100):
        outcome = it.after_fault(fault(), paused=True)
        assert isinstance(outcome, Again)
        assert outcome.seconds == 0.0
    assert isinstance(it.after_fault(fault(), paused=False), Again)


def test_a_key_in_flight_is_believed_for_a_while_and_then_it_is_a_conflict() -> None:
    it, waits = trial(in_flight_seconds=30.0), []
    conflict = KeyInFlight("in use", status=409, code="idempotency_key_in_use", request_id="req_2")
    while isinstance(outcome := it.after_conflict(conflict), Again):
        waits.append(outcome.seconds)
    assert waits == [0.5, 1, 2, 4, 8, 8]
    assert isinstance(outcome, KeyConflict)
    assert (outcome.status, outcome.code, outcome.request_id) == (409, "idempotency_key_in_use", "req_2")


def test_a_call_that_may_have_happened_begins_the_wait_for_a_key_in_flight_anew() -> None:
    it = trial(attempts=100, in_flight_seconds=10.0)
    for _ in range(20):
        assert isinstance(it.after_conflict(KeyInFlight("in use")), Again)
        assert isinstance(it.after_conflict(KeyInFlight("in use")), Again)
        it.after_fault(fault(), paused=False)


def test_crowding_waits_longer_each_time_and_at_least_as_long_as_told() -> None:
    it = trial()
    assert [it.after_crowding(RateLimited("many")).seconds for _ in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert trial().after_crowding(RateLimited("many", retry_after_seconds=5.0)).seconds == 5.0


def test_crowding_and_conflicts_use_up_no_attempt() -> None:
    it = trial(attempts=2)
    for _ in range(15):
        it.after_crowding(RateLimited("many"))
        assert isinstance(it.after_conflict(KeyInFlight("in use")), Again)
    assert isinstance(it.after_fault(fault(), paused=False), Again)

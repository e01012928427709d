from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.backoff import CROWDED, KEY_IN_FLIGHT, MOST_RETRY_AFTER_SECONDS, SERVER_FAULT, Backoff, retry_after


def test_server_faults_wait_from_one_second_doubling_to_thirty():
    assert [SERVER_FAULT.seconds(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_key_in_flight_waits_from_half_a_second_doubling_to_eight():
    assert [KEY_IN_FLIGHT.seconds(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_only_shortens_and_never_to_nothing(failures, chance, jitter):
    backoff = Backoff(first_seconds=1, most_seconds=30, jitter=jitter)
    assert 0 < backoff.seconds(failures, chance) <= backoff.seconds(failures) <= 30


def test_crowding_waits_from_half_a_second_doubling_to_eight_and_apart():
    assert [CROWDED.seconds(n) for n in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
    assert CROWDED.seconds(3, 0.5) < CROWDED.seconds(3)


def test_no_failure_at_all_waits_like_the_first():
    assert SERVER_FAULT.seconds(0) == SERVER_FAULT.seconds(1) == 1


def test_what_the_api_tells_counts_within_reason():
    assert retry_after(None, 7.0) == 7.0
    assert retry_after(12.0, 7.0) == 12.0
    assert retry_after(-3.0, 7.0) == 0.0
    assert retry_after(1e12, 7.0) == MOST_RETRY_AFTER_SECONDS

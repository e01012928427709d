from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.forecast import ID_SECONDS
from ingestor.policy.renewing import MARGIN_SECONDS, SHARE, cannot_be_kept, due_now, most_kept_alive

PER_SECOND = 0.5
PACE = 1 / (PER_SECOND * SHARE)


def test_an_id_with_time_left_is_not_renewed() -> None:
    assert due_now([MARGIN_SECONDS + 1], PER_SECOND) == 0


def test_an_id_is_renewed_before_its_margin_begins() -> None:
    assert due_now([MARGIN_SECONDS], PER_SECOND) == 1


def test_many_that_end_together_begin_early_and_one_after_another() -> None:
    ends = [10_000.0] * 4000
    room = (10_000 - MARGIN_SECONDS) / PACE
    assert due_now(ends, PER_SECOND) == 4000 - int(room)


def test_nothing_to_renew_is_nothing_due() -> None:
    assert due_now([], PER_SECOND) == 0


@given(st.lists(st.floats(0, 90_000), max_size=300))
def test_by_following_the_plan_every_id_is_renewed_in_time(ends: list[float]) -> None:
    """A sender that sends what is due at the planned pace never sends one after its margin, if that can be done."""
    left = sorted(ends)
    feasible = all(end - MARGIN_SECONDS >= (number + 1) * PACE for number, end in enumerate(left))
    now, sent = 0.0, 0
    while sent < len(left):
        due = due_now([end - now for end in left[sent:]], PER_SECOND)
        if due:
            if feasible:
                assert left[sent] - now >= MARGIN_SECONDS - PACE
            sent += 1
        now += PACE


def test_what_a_quota_can_keep_alive_is_told_with_the_arithmetic() -> None:
    most = most_kept_alive(30)
    assert most < 30 * 60 * 24
    assert cannot_be_kept(most, 30) is None
    told = cannot_be_kept(50_000, 30)
    assert told is not None
    assert f"{most:,}" in told
    assert told.startswith("50,000 different images")
    assert (cannot_be_kept(50_000, 30, at_least=True) or "").startswith("at least 50,000 different images")


def test_the_margin_is_a_small_part_of_a_life() -> None:
    assert MARGIN_SECONDS < ID_SECONDS / 20

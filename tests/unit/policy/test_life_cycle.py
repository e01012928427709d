from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.errors import IngestorError
from ingestor.model import State
from ingestor.policy.life_cycle import HAS_LIVE_ID, MOVES, IllegalMove, move


@pytest.mark.parametrize(("present", "wanted"), list(itertools.product(State, State)))
def test_a_move_is_in_the_table_or_raises(present: State, wanted: State) -> None:
    if (present, wanted) in MOVES:
        assert move(present, wanted) is wanted
    else:
        with pytest.raises(IllegalMove, match=f"{present} cannot become {wanted}"):
            move(present, wanted)


def test_an_illegal_move_is_a_fault_of_ours() -> None:
    assert issubclass(IllegalMove, IngestorError)


def test_every_state_can_be_reached_from_the_first_and_left_again() -> None:
    reached = {State.WAITING}
    while further := {new for old, new in MOVES if old in reached} - reached:
        reached |= further
    assert reached == set(State)
    assert {old for old, _ in MOVES} == set(State)


def test_an_id_appears_only_by_an_answer_to_what_was_sent() -> None:
    assert {old for old, new in MOVES if new in HAS_LIVE_ID and old not in HAS_LIVE_ID} == {State.SENDING}


def test_what_has_a_live_id_is_never_quarantined() -> None:
    assert not any(old in HAS_LIVE_ID and new is State.QUARANTINED for old, new in MOVES)


def test_the_docstring_names_every_move() -> None:
    from ingestor.policy import life_cycle

    text = life_cycle.__doc__ or ""
    for old, new in MOVES:
        lines = [line for line in text.splitlines() if "->" in line]
        assert any(old in line.split("->")[0] and new in line.split("->")[1] for line in lines), (old, new)


@given(st.lists(st.sampled_from(State), max_size=30))
def test_whatever_is_asked_for_no_walk_leaves_the_table(wishes: list[State]) -> None:
    state = State.WAITING
    for wish in wishes:
        before = state
        try:
            state = move(state, wish)
        except IllegalMove:
            assert state is before
        else:
            assert (before, state) in MOVES

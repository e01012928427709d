from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.expiry import REPLAY_MARGIN, REPLAY_WINDOW, is_live, is_worth_listing, key_may_replay

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def test_an_id_is_live_until_the_instant_of_its_purge() -> None:
    assert is_live(NOW + TICK, NOW)
    assert not is_live(NOW, NOW)
    assert not is_live(None, NOW)


def test_a_key_replays_for_a_day_from_its_first_request() -> None:
    assert key_may_replay(NOW, NOW + REPLAY_WINDOW - TICK)
    assert not key_may_replay(NOW, NOW + REPLAY_WINDOW)


def test_an_id_about_to_end_is_not_worth_listing() -> None:
    assert not is_worth_listing(NOW + REPLAY_MARGIN, NOW)
    assert is_worth_listing(NOW + REPLAY_MARGIN + TICK, NOW)


@given(st.timedeltas(timedelta(-2), timedelta(2)))
def test_what_is_worth_listing_is_live(left: timedelta) -> None:
    if is_worth_listing(NOW + left, NOW):
        assert is_live(NOW + left, NOW)

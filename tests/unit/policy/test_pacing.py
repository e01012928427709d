import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.model import RateHeaders
from ingestor.policy.pacing import MARK_ANSWERS, Mark, RateRange, TokenBucket, refill_range


def headers(limit=60, remaining=59, reset_in=2.0, now=1_000_000_000.0):
    return RateHeaders(limit=limit, remaining=remaining, reset_at=now + reset_in, server_now=now)


def bucket(**changes):
    return TokenBucket(**{"capacity": 60.0, "guess_per_second": 0.5, "at": 0.0, "tokens": 60.0, **changes})


def test_a_token_taken_is_gone_and_comes_back_with_time():
    taken = bucket(tokens=1.0).take(0.0)
    assert taken.tokens == 0.0
    assert not taken.has_token(1.0)
    assert taken.next_free_at() == pytest.approx(2.0, rel=0.01)
    assert taken.to(1000.0).tokens == 60.0


def test_a_full_bucket_stands_still_until_the_first_answer():
    taken = bucket().take(0.0)
    assert taken.to(100.0).tokens == 59.0
    answered, _ = taken.learn(headers(), 0.4, oldest_at=0.0)
    assert answered.tokens == 59.0
    assert answered.to(2.4).tokens == pytest.approx(60.0, abs=0.01)


def test_remaining_only_lowers_the_count():
    known, _ = bucket(tokens=10.0).learn(headers(remaining=59), 0.0, oldest_at=0.0)
    assert known.tokens == 10.0
    known, _ = bucket(tokens=10.0).learn(headers(remaining=3), 0.0, oldest_at=0.0)
    assert known.tokens == 3.0


def test_a_capacity_that_was_guessed_too_low_is_put_right_at_once():
    known, _ = bucket(capacity=10.0, tokens=9.0).learn(headers(limit=60, remaining=59), 0.0, oldest_at=0.0)
    assert (known.capacity, known.tokens) == (60.0, 59.0)


def test_a_capacity_that_was_guessed_too_high_is_put_right_at_once():
    known, _ = bucket(capacity=600.0, tokens=599.0).learn(headers(limit=60, remaining=59), 0.0, oldest_at=0.0)
    assert (known.capacity, known.tokens) == (60.0, 59.0)


def test_tokens_that_went_elsewhere_are_noticed():
    known = bucket(tokens=40.0, learned=True)
    after, taken = known.learn(headers(remaining=20, reset_in=80.0), 0.0, oldest_at=0.0)
    assert taken == pytest.approx(19.0)
    assert after.tokens == pytest.approx(21.0)


def test_an_answer_older_than_the_refill_since_is_no_sign_of_another_spender():
    known = bucket(tokens=6.0, learned=True)
    after, taken = known.learn(headers(remaining=1, reset_in=118), 10.0, oldest_at=0.0)
    assert taken <= known.to(10.0).tokens - 7.0 + 1e-9
    assert after.tokens <= 7.0


def test_a_hold_empties_the_bucket_and_promises_one_token_at_its_end():
    held = bucket(tokens=12.0).hold(0.0, 4.0)
    assert held.next_free_at() == pytest.approx(4.0)
    assert not held.has_token(3.9)
    assert held.to(4.0).tokens >= 1.0 - 1e-6
    assert held.hold(0.0, 1.0).held_until == 4.0


def test_a_long_hold_lets_the_bucket_refill_meanwhile():
    assert bucket().hold(0.0, 60.0).to(60.0).tokens == pytest.approx(30.0, rel=0.01)


def test_the_headers_of_an_empty_bucket_pin_the_refill_down():
    seen = refill_range(headers(remaining=0, reset_in=120.0))
    assert seen.low < 0.5 < seen.high
    assert seen.is_narrow


@pytest.mark.parametrize(
    "odd",
    [
        RateHeaders(),
        RateHeaders(limit=60, remaining=60, reset_at=10.0, server_now=10.0),
        RateHeaders(limit=60, remaining=61, reset_at=20.0, server_now=10.0),
        RateHeaders(limit=60, remaining=5, reset_at=5.0, server_now=10.0),
        RateHeaders(limit=60, remaining=5, reset_at=20.0),
    ],
)
def test_headers_that_say_nothing_of_the_refill_teach_nothing(odd):
    assert refill_range(odd) == RateRange()


@given(
    capacity=st.integers(1, 5000),
    per_minute=st.floats(1, 6000),
    fill=st.floats(0, 1),
    now=st.floats(1e9, 2e9),
    rounding=st.sampled_from([math.floor, math.ceil, round]),
)
def test_the_true_refill_is_always_within_what_the_headers_say(capacity, per_minute, fill, now, rounding):
    tokens, rate = capacity * fill, per_minute / 60
    reset_at = rounding(now + (capacity - tokens) / rate)
    seen = refill_range(
        RateHeaders(
            limit=capacity, remaining=math.floor(tokens), reset_at=float(reset_at), server_now=float(math.floor(now))
        )
    )
    assert seen.low * (1 - 1e-6) <= rate <= seen.high * (1 + 1e-6)


def test_the_guess_is_kept_while_it_fits_and_else_a_round_number_is_chosen():
    assert RateRange(low=0.48, high=0.51).choose(0.5) == 0.5
    assert RateRange(low=0.48, high=0.51).choose(9.0) == 0.5
    assert RateRange(low=9.9, high=10.2).choose(0.5) == 10.0
    assert RateRange(low=0.4001, high=0.4002).choose(9.0) == pytest.approx(0.4, abs=0.001)


@given(st.floats(0.001, 100), st.floats(1.0, 3.0), st.floats(0.001, 100))
def test_what_is_chosen_is_always_within_the_range(low, factor, guess):
    seen = RateRange(low=low, high=low * factor)
    assert seen.low <= seen.choose(guess) <= seen.high


def test_ranges_that_contradict_each_other_leave_the_newer_one():
    newer = RateRange(low=2.0, high=3.0)
    assert RateRange(low=0.4, high=0.6).narrowed(newer) == newer


def test_reset_moves_by_one_refill_for_each_token_taken():
    before = Mark(answers=10, unanswered=0, reset_at=100.0)
    seen = Mark(answers=40, unanswered=0, reset_at=160.0).refill_range(before)
    assert seen.low < 0.5 < seen.high
    assert seen.is_narrow


def told(remaining, reset_at):
    return RateHeaders(limit=60, remaining=remaining, reset_at=reset_at)


def learned_one_by_one(answers):
    """Each answer as (remaining, reset, requests still under way)."""
    it = bucket(tokens=20.0, learned=True)
    for remaining, reset_at, unanswered in answers:
        it, taken = it.learn(told(remaining, reset_at), 0.0, oldest_at=0.0, unanswered=unanswered)
        assert taken == 0
    return it


def test_answers_that_overtook_each_other_teach_no_wrong_refill():
    in_order = [(30, 1000.0 + 2 * n, 0) for n in range(41)]
    overtaken = [in_order[0]]
    for first, second in zip(in_order[1::2], in_order[2::2], strict=True):
        overtaken += [(*second[:2], 1), first]
    for answers in (in_order, overtaken):
        refill = learned_one_by_one(answers).refill
        assert refill.low <= 0.5 <= refill.high
        assert refill.is_narrow


def test_an_overtaken_answer_is_counted_and_measures_nothing():
    before = learned_one_by_one([(30, 1000.0, 0), (30, 1010.0, 0)])
    after, _ = before.learn(told(30, 1004.0), 0.0, oldest_at=0.0)
    assert after.answers == before.answers + 1
    assert (after.mark, after.newest_reset_at) == (before.mark, 1010.0)


def test_a_reset_that_stays_behind_is_believed_in_the_end():
    it = learned_one_by_one([(30, 9000.0, 0)])
    for _ in range(MARK_ANSWERS + 1):
        it, _ = it.learn(told(30, 1000.0), 0.0, oldest_at=0.0)
    assert it.newest_reset_at == 1000.0


def test_two_requests_at_once_after_the_bucket_was_full_for_long_are_nobody_elses():
    known, _ = bucket().take(0.0).learn(headers(remaining=59, reset_in=2.0, now=1000.0), 0.5, oldest_at=0.0)
    known = known.take(300.0).take(300.0)
    later = headers(remaining=58, reset_in=4.0, now=1300.0)
    known, taken = known.learn(later, 300.5, oldest_at=300.0, unanswered=1)
    assert taken == 0.0
    known, taken = known.learn(later, 300.5, oldest_at=300.0)
    assert taken == 0.0


def test_an_unexplained_429_slows_down_and_answers_speed_up_again():
    eased = bucket().ease()
    assert eased.per_second == pytest.approx(0.49)
    for _ in range(200):
        eased, _ = eased.learn(RateHeaders(), 0.0, oldest_at=0.0)
    assert eased.per_second == pytest.approx(0.5)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("take"), st.just(0.0)),
            st.tuples(st.just("wait"), st.floats(0, 50)),
            st.tuples(st.just("hold"), st.floats(0, 20)),
            st.tuples(st.just("learn"), st.integers(0, 60)),
        ),
        max_size=40,
    )
)
def test_the_count_never_leaves_its_bounds(steps):
    now, it = 0.0, bucket()
    for what, amount in steps:
        if what == "take" and it.has_token(now):
            it = it.take(now)
        elif what == "wait":
            now += amount
        elif what == "hold":
            it = it.hold(now, amount)
        elif what == "learn":
            it, taken = it.learn(headers(remaining=int(amount)), now, oldest_at=now)
            assert taken >= 0
        assert -1e-6 - 20 <= it.to(now).tokens <= it.capacity

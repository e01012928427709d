import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.sandbox.buckets import Buckets, TokenBucket
from ingestor.sandbox.options import Bucket

NOW = 1_800_000_000.3


def test_a_bucket_starts_full_and_tells_what_is_left_after_each_call():
    bucket = TokenBucket(Bucket(3, 60), NOW)
    assert [bucket.take(NOW).remaining for _ in range(3)] == [2, 1, 0]


def test_an_empty_bucket_tells_how_long_until_the_next_token():
    bucket = TokenBucket(Bucket(1, 30), NOW)
    bucket.take(NOW)
    assert bucket.take(NOW).wait_seconds == pytest.approx(2.0)
    assert bucket.take(NOW + 1.5).wait_seconds == pytest.approx(0.5)


def test_a_refused_call_spends_nothing():
    bucket = TokenBucket(Bucket(1, 30), NOW)
    bucket.take(NOW)
    for _ in range(10):
        bucket.take(NOW)
    assert bucket.take(NOW + 2).wait_seconds == 0


@given(st.integers(1, 60))
def test_whoever_waits_as_long_as_told_gets_a_token_in_spite_of_rounding(per_minute):
    bucket = TokenBucket(Bucket(1, per_minute), NOW)
    bucket.take(NOW)
    now = NOW
    for _ in range(20):
        now += bucket.take(now).wait_seconds
        assert bucket.take(now).wait_seconds == 0


def test_the_reset_is_the_second_at_which_the_bucket_is_full_again():
    bucket = TokenBucket(Bucket(60, 30), NOW)
    for _ in range(5):
        level = bucket.take(NOW)
    assert level.headers() == {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "55",
        "X-RateLimit-Reset": str(math.ceil(NOW + 10)),
    }


def test_the_level_can_be_asked_for_without_taking():
    buckets = Buckets(Bucket(3, 1), Bucket(9, 1))
    buckets.take("a", NOW, upload=True)
    assert [buckets.level("a", NOW, upload=True).remaining for _ in range(3)] == [2, 2, 2]


def test_uploads_and_other_calls_and_other_teams_have_buckets_of_their_own():
    buckets = Buckets(Bucket(3, 1), Bucket(9, 1))
    buckets.take("a", NOW, upload=True)
    assert buckets.level("a", NOW, upload=True).remaining == 2
    assert buckets.level("a", NOW, upload=False).remaining == 9
    assert buckets.level("b", NOW, upload=True).remaining == 3
    assert buckets.level(None, NOW, upload=True).remaining == 3


def test_buckets_go_on_after_a_restart_where_they_were():
    before = Buckets(Bucket(10, 60), Bucket(9, 1))
    for _ in range(10):
        before.take("a", NOW, upload=True)
    after = Buckets(Bucket(10, 60), Bucket(9, 1), before.state())
    assert after.level("a", NOW + 4, upload=True).remaining == 4
    assert after.state().keys() == before.state().keys()


def test_buckets_that_nobody_asked_for_since_the_restart_are_kept_too():
    before = Buckets(Bucket(10, 60), Bucket(9, 1))
    before.take("a", NOW, upload=True)
    again = Buckets(Bucket(10, 60), Bucket(9, 1), before.state())
    assert again.state() == before.state()


@given(
    burst=st.integers(1, 50),
    per_minute=st.floats(0.5, 600),
    pauses=st.lists(st.floats(0, 30), min_size=1, max_size=200),
)
def test_no_more_calls_pass_than_burst_and_refill_allow(burst, per_minute, pauses):
    bucket = TokenBucket(Bucket(burst, per_minute), NOW)
    now, passed = NOW, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now).wait_seconds == 0
        assert passed <= math.floor(burst + (now - NOW) * per_minute / 60 + 1e-3)


@given(st.lists(st.floats(-5, 5), max_size=50))
def test_a_clock_that_stumbles_makes_no_tokens(steps):
    bucket = TokenBucket(Bucket(5, 60), NOW)
    furthest, now, passed = NOW, NOW, 0
    for step in steps:
        now += step
        furthest = max(furthest, now)
        passed += bucket.take(now).wait_seconds == 0
    assert passed <= 5 + (furthest - NOW) + 1e-3


@pytest.mark.parametrize("shape", [(0, 1), (1, 0), (1, -1), (1, math.inf), (1, math.nan)])
def test_a_bucket_that_never_gives_or_never_ends_is_refused(shape):
    with pytest.raises(ValueError, match="bucket"):
        Bucket(*shape)

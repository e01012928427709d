from __future__ import annotations

import pytest

from ingestor.observe.course import MOST_ENDS, WINDOW_SECONDS, Course
from ingestor.observe.forecast import QuotaView


def ended(course: Course, outcome: str, now: float = 1.0, path: str = "a.jpg", **facts: object) -> None:
    course.notice("image_end", {"folder": "f", "path": path, "outcome": outcome, **facts}, now)


def test_only_ends_count_as_done() -> None:
    course = Course(0.0, total=10)
    for outcome in ("uploaded", "replayed", "renewed", "duplicate", "already_live", "quarantined", "retry", "snoozed"):
        ended(course, outcome)
    assert course.done == 6
    assert course.outcomes["retry"] == course.outcomes["snoozed"] == 0


def test_a_file_that_vanished_came_to_its_end() -> None:
    course = Course(0.0, total=1)
    ended(course, "snoozed", reason="vanished")
    assert (course.done, course.outcomes["vanished"]) == (1, 1)


def test_bytes_add_up_whatever_is_missing() -> None:
    course = Course(0.0)
    ended(course, "uploaded", bytes_read=10, bytes_sent=5)
    ended(course, "quarantined", bytes_read=None)
    assert (course.bytes_read, course.bytes_sent) == (10, 5)


def test_what_is_worked_on_shows_with_its_stage_until_it_ends() -> None:
    course = Course(0.0)
    course.notice("stage", {"stage": "fingerprint", "folder": "f", "path": "a.jpg"}, 1.0)
    course.notice("stage", {"stage": "fingerprint", "folder": "f", "path": "b.jpg"}, 2.0)
    course.notice("stage", {"stage": "upload", "folder": "f", "path": "a.jpg"}, 3.0)
    assert [(work.path, work.stage, work.began_at) for work in course.working] == [
        ("a.jpg", "upload", 1.0),
        ("b.jpg", "fingerprint", 2.0),
    ]
    ended(course, "snoozed", path="a.jpg")
    assert [work.path for work in course.working] == ["b.jpg"]


def test_the_total_is_unknown_until_it_is_said_and_never_below_what_is_done() -> None:
    course = Course(0.0)
    course.notice("found", {"folder": "f", "number": 3}, 0.0)
    assert (course.expected, course.found) == (None, 3)
    course.total = 1
    ended(course, "uploaded")
    ended(course, "uploaded")
    assert course.expected == 2


def test_the_rate_is_that_of_the_last_two_minutes() -> None:
    course = Course(0.0)
    for second in range(10):
        ended(course, "uploaded", now=float(second))
    assert course.per_second(10.0) == pytest.approx(1.0)
    assert course.per_second(100.0) == pytest.approx(0.1)
    assert course.per_second(WINDOW_SECONDS + 50) == 0.0


def test_the_rate_of_a_fast_run_is_measured_over_what_is_remembered() -> None:
    course = Course(0.0)
    for number in range(2 * MOST_ENDS):
        ended(course, "duplicate", now=number / 1000)
    assert course.per_second(2 * MOST_ENDS / 1000) == pytest.approx(1000, rel=0.01)


def test_a_pause_shows_until_it_is_over() -> None:
    course = Course(0.0)
    course.notice("api_paused", {"reason": "balance", "message": "top up"}, 0.0)
    course.notice("disk_paused", {"reason": "disk_full", "message": None}, 0.0)
    assert course.pauses == {"api": "balance: top up", "disk": "disk_full"}
    course.notice("api_resumed", {"reason": "balance"}, 1.0)
    course.notice("disk_resumed", {}, 1.0)
    course.notice("api_resumed", {}, 1.0)
    assert course.pauses == {}


def test_while_everything_is_paused_nothing_is_promised() -> None:
    course = Course(0.0, total=10)
    ended(course, "uploaded")
    course.notice("api_paused", {"reason": "key", "message": ""}, 1.0)
    assert course.forecast(2.0).seconds is None


def test_at_first_every_image_is_expected_to_cost_a_token() -> None:
    course = Course(0.0, total=1000)
    course.quota = QuotaView(per_minute=60, left=0)
    ended(course, "duplicate")
    assert course.forecast(1.0).seconds == pytest.approx(999, rel=0.1)


def test_later_the_share_that_costs_one_is_known() -> None:
    course = Course(0.0, total=2000)
    course.quota = QuotaView(per_minute=60, left=0)
    for number in range(1000):
        ended(course, "uploaded" if number % 4 == 0 else "duplicate", now=number / 100)
    assert course.forecast(10.0).seconds == pytest.approx(250, rel=0.1)


def test_how_long_nothing_ended_is_known() -> None:
    course = Course(0.0)
    ended(course, "uploaded", now=10.0)
    ended(course, "snoozed", now=50.0)
    assert course.quiet_seconds(70.0) == 60.0

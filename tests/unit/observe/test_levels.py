from __future__ import annotations

import logging

import pytest

from ingestor.observe.levels import DETAIL, LEVELS, level_of


@pytest.mark.parametrize(
    ("event", "facts", "level"),
    [
        ("image_end", {"outcome": "uploaded"}, logging.INFO),
        ("image_end", {"outcome": "snoozed"}, logging.INFO),
        ("image_end", {"outcome": "retry"}, logging.WARNING),
        ("image_end", {"outcome": "quarantined"}, logging.WARNING),
        ("stage", {"stage": "upload"}, logging.DEBUG),
        ("skipped", {"reason": "ignored"}, logging.DEBUG),
        ("skipped", {"reason": "unreadable_directory"}, logging.WARNING),
        ("watch_mode", {"degraded": False}, logging.INFO),
        ("watch_mode", {"degraded": True}, logging.WARNING),
        ("api_paused", {"reason": "unreachable"}, logging.WARNING),
        ("api_paused", {"reason": "balance"}, logging.ERROR),
        ("api_paused", {}, logging.WARNING),
        ("disk_paused", {}, logging.ERROR),
        ("internal_fault", {}, logging.ERROR),
        ("something_new", {}, logging.INFO),
    ],
)
def test_the_most_exact_row_decides(event: str, facts: dict[str, object], level: int) -> None:
    assert level_of(event, facts) == level


def test_every_exact_row_is_of_an_event_that_has_a_deciding_fact() -> None:
    assert {name.partition("/")[0] for name in LEVELS if "/" in name} <= set(DETAIL)

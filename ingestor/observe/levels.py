"""How important each event is: one table, most exact row first. What is not in it is info."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

DETAIL: Mapping[str, str] = MappingProxyType(
    {
        "api_paused": "reason",
        "image_end": "outcome",
        "skipped": "reason",
        "watch_mode": "degraded",
    }
)
"""The fact that decides along with the event: its value is looked up as `event/value`."""

LEVELS: Mapping[str, int] = MappingProxyType(
    {
        # one image; snoozes and retries are told once, see `logs.LogObserver`
        "stage": logging.DEBUG,
        "image_end/quarantined": logging.WARNING,
        "image_end/retry": logging.WARNING,
        "fresh_generation": logging.INFO,
        # what is passed over; a name that no image has is nothing to tell, what cannot be read is
        "skipped": logging.DEBUG,
        "skipped/symlink": logging.INFO,
        "skipped/not_a_file": logging.INFO,
        "skipped/unreadable": logging.WARNING,
        "skipped/unreadable_directory": logging.WARNING,
        # folders
        "found": logging.DEBUG,
        "file_event": logging.DEBUG,
        "put_away_failed": logging.WARNING,
        "scan_end": logging.INFO,
        "watch_mode/True": logging.WARNING,
        "folder_gone": logging.WARNING,
        "folder_back": logging.WARNING,
        # the API and its quota: an account that refuses us needs somebody, an outage only time
        "api_paused": logging.WARNING,
        "api_paused/key": logging.ERROR,
        "api_paused/scope": logging.ERROR,
        "api_paused/balance": logging.ERROR,
        "api_deprecated": logging.WARNING,
        "key_unusual": logging.WARNING,
        "quota_shared": logging.WARNING,
        "renewals_beyond_quota": logging.ERROR,
        # hooks
        "hook_told": logging.DEBUG,
        "hook_failed": logging.DEBUG,
        "hook_failing": logging.WARNING,
        "hook_given_up": logging.ERROR,
        "hooks_forgotten": logging.WARNING,
        # this machine
        "settings_refused": logging.ERROR,
        "clock_wrong": logging.WARNING,
        "clock_unconfirmed": logging.WARNING,
        "disk_paused": logging.ERROR,
        "worker_lost": logging.WARNING,
        "page_unavailable": logging.WARNING,
        "internal_fault": logging.ERROR,
        "observer_failed": logging.ERROR,
    }
)


def level_of(event: str, facts: Mapping[str, Any]) -> int:
    """The level of an event, as `logging` numbers them."""
    detail = DETAIL.get(event)
    if detail is not None:
        exact = LEVELS.get(f"{event}/{facts.get(detail)}")
        if exact is not None:
            return exact
    return LEVELS.get(event, logging.INFO)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestor.cli.supply import supply_numbers, supply_words
from ingestor.runtime.supply import supply_of
from ingestor.settings import QuotaSettings

NOW = datetime.now(UTC)

QUOTA = QuotaSettings(burst=60, per_minute=30)


def state(**changes: Any) -> dict[str, Any]:
    told = {
        "v": 1,
        "at": NOW.isoformat(),
        "tokens": 12.0,
        "capacity": 120.0,
        "learned": True,
        "low": 1.0,
        "high": 1.0,
        "held_seconds": 0.0,
        "others": 3,
        "reserve": 0.0,
    }
    return {**told, **changes}


def test_without_a_memory_the_bucket_is_full_by_the_settings() -> None:
    supply = supply_of(QUOTA, None, NOW)
    assert (supply.tokens, supply.capacity, supply.per_minute, supply.learned) == (60, 60, pytest.approx(30), False)


def test_the_ledgers_memory_goes_before_the_settings() -> None:
    supply = supply_of(QUOTA, state(), NOW)
    assert supply.tokens == pytest.approx(12.0, abs=0.1)
    assert (supply.capacity, supply.per_minute) == (120, pytest.approx(60))
    assert (supply.learned, supply.others_spending) == (True, 3)


@pytest.mark.parametrize(
    ("changes", "is_exact"),
    [
        ({}, True),
        ({"low": 0.5, "high": 4.0}, False),
        ({"low": 0.0, "high": None}, False),
        ({"low": 0.0, "high": None, "learned": False}, True),
    ],
)
def test_a_rate_that_the_api_has_hardly_told_is_a_guess(changes: dict[str, Any], is_exact: bool) -> None:
    supply = supply_of(QUOTA, state(**changes), NOW)
    assert supply.is_exact is is_exact
    assert ("about" in supply_words(supply_numbers(supply))) is not is_exact


def test_tokens_have_grown_since_the_ledger_was_written() -> None:
    assert supply_of(QUOTA, state(), NOW + timedelta(seconds=30)).tokens == pytest.approx(42, abs=0.2)


def test_a_hold_lasts_until_its_end() -> None:
    held = state(held_seconds=40.0)
    assert supply_of(QUOTA, held, NOW + timedelta(seconds=10)).held_seconds == pytest.approx(30, abs=0.1)
    assert supply_of(QUOTA, held, NOW + timedelta(seconds=50)).held_seconds == 0.0


@pytest.mark.parametrize("nonsense", [{}, {"v": 99}, [], "full", 3, {**state(), "capacity": "many"}])
def test_a_memory_that_makes_no_sense_counts_as_none(nonsense: Any) -> None:
    assert supply_of(QUOTA, nonsense, NOW).capacity == 60

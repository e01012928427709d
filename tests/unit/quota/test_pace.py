"""How near the pacing comes to what the server's bucket allows, in simulated time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.quota import CASES, Case, Result, simulate

SEEDS = (1, 2)


def within(result: Result, ratio: float, refused: int) -> None:
    assert result.ratio <= ratio, result
    assert result.refused <= refused, result


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "case",
    [
        Case(name="the usual tier"),
        Case(name="many at once", concurrency=64),
        Case(name="one at a time", concurrency=1, latency=(0.2, 1.5)),
        Case(name="no latency", latency=(0.0, 0.0)),
        Case(name="answers that overtake each other", latency=(0.01, 4.0), concurrency=32),
        Case(name="a fast tier", per_minute=3000, set_per_minute=3000, latency=(0.002, 0.02), concurrency=32),
        Case(
            name="a large tier",
            burst=300,
            per_minute=150,
            set_burst=300,
            set_per_minute=150,
            images=1000,
            latency=(0.1, 0.8),
        ),
        Case(name="a clock that runs slow", drift=0.001),
        Case(name="a restart in the middle", restart_at=0.5),
    ],
    ids=lambda case: case.name,
)
def test_with_the_right_setting_it_is_as_fast_as_can_be_without_a_single_429(case: Case, seed: int) -> None:
    within(simulate(seeded(case, seed)), 1.01, 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "case",
    [
        Case(name="a smaller bucket", burst=20, per_minute=12, images=300),
        Case(name="a slower refill", per_minute=10, images=300),
        Case(name="a lower burst", burst=5, images=300),
        Case(name="a larger bucket", burst=300, per_minute=150, images=900),
        Case(name="a faster refill", per_minute=60),
        Case(name="a faster refill with many at once", per_minute=60, concurrency=64),
        Case(name="a smaller bucket and a restart", burst=20, per_minute=12, images=300, restart_at=0.5),
        Case(name="a larger bucket and a restart", burst=300, per_minute=150, images=900, restart_at=0.3),
        Case(name="a restart that forgot everything", restart_at=0.5, forgets=True),
        Case(name="a restart within the burst that forgot everything", restart_at=0.05, forgets=True),
        Case(name="another spender", others_per_minute=10),
        Case(name="another spender and a restart", others_per_minute=10, restart_at=0.5),
        Case(name="another spender, five at a time", others_per_minute=10, others_burst=5),
        Case(
            name="another spender in a bucket to be learned", others_per_minute=4, burst=30, per_minute=12, images=200
        ),
    ],
    ids=lambda case: case.name,
)
def test_what_has_to_be_learned_costs_little(case: Case, seed: int) -> None:
    within(simulate(seeded(case, seed)), 1.05, 2)


def seeded(case: Case, seed: int) -> Case:
    return replace(case, seed=seed)


def test_the_cases_of_the_benchmark_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)

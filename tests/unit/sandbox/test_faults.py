from collections import Counter

import pytest

from ingestor.sandbox import misbehaviour
from ingestor.sandbox.faults import FAULTS, UPLOADS_ONLY, FaultPlan, checked_rates
from ingestor.sandbox.mishaps import AFTER, BEFORE
from ingestor.sandbox.spoiling import SPOILERS


def test_every_fault_is_made_in_exactly_one_place():
    made = [*misbehaviour.REFUSALS, *misbehaviour.CIRCUMSTANCES, *BEFORE, *AFTER, *SPOILERS]
    assert sorted(made) == sorted(FAULTS)


def test_the_table_says_which_faults_meet_uploads_only():
    assert {kind for kind, text in FAULTS.items() if "uploads only" in text} == UPLOADS_ONLY


def test_the_table_says_whether_the_call_had_its_effect():
    assert all("it happened" in FAULTS[kind] for kind in [*AFTER, *SPOILERS])
    assert not any("it happened" in FAULTS[kind] for kind in [*BEFORE, *misbehaviour.REFUSALS])


@pytest.mark.parametrize(
    ("rates", "complaint"),
    [
        ({"http_501": 0.1}, "no fault is called 'http_501'; there are http_500"),
        ({"http_500": -0.1}, "the rate of http_500"),
        ({"http_500": 1.1}, "the rate of http_500"),
        ({"http_500": float("nan")}, "the rate of http_500"),
        ({"http_500": "0.1"}, "the rate of http_500"),
        ({"http_500": 0.6, "html": 0.6}, "together are above 1"),
    ],
)
def test_rates_that_cannot_be_are_refused_with_what_would_be_right(rates, complaint):
    with pytest.raises(ValueError, match=complaint):
        checked_rates(rates)


def test_the_same_seed_gives_the_same_faults():
    def drawn():
        plan = FaultPlan({"http_500": 0.3, "slow": 0.2}, seed=5)
        return [plan.draw(upload=True) for _ in range(200)]

    assert drawn() == drawn()
    assert set(drawn()) == {"http_500", "slow", None}


def test_faults_come_about_as_often_as_their_rates_say():
    plan = FaultPlan({"http_500": 0.25, "html": 0.1}, seed=1)
    drawn = Counter(plan.draw(upload=False) for _ in range(10_000))
    assert 2300 < drawn["http_500"] < 2700
    assert 850 < drawn["html"] < 1150


def test_a_rate_of_one_leaves_no_call_alone_and_a_rate_of_zero_every_one():
    always, never = FaultPlan({"html": 1.0}, seed=1), FaultPlan({"html": 0.0}, seed=1)
    assert {always.draw(upload=False) for _ in range(100)} == {"html"}
    assert {never.draw(upload=False) for _ in range(100)} == {None}


def test_a_script_names_the_faults_of_the_next_uploads_in_order():
    plan = FaultPlan({"html": 1.0}, seed=1)
    plan.script(["http_500", "ok", "slow"])
    assert [plan.draw(upload=True) for _ in range(4)] == ["http_500", None, "slow", "html"]


def test_other_calls_leave_the_script_alone():
    plan = FaultPlan({}, seed=1)
    plan.script(["http_500"])
    assert [plan.draw(upload=False) for _ in range(3)] == [None, None, None]
    assert plan.draw(upload=True) == "http_500"


def test_a_script_with_an_unknown_fault_is_refused_whole():
    plan = FaultPlan({}, seed=1)
    with pytest.raises(ValueError, match="no fault is called 'oops'"):
        plan.script(["http_500", "oops"])
    assert plan.draw(upload=True) is None


def test_faults_of_uploads_never_meet_another_call():
    plan = FaultPlan({"balance": 1.0}, seed=1)
    assert plan.draw(upload=False) is None
    assert plan.draw(upload=True) == "balance"


def test_changed_rates_leave_the_others_as_they_are():
    plan = FaultPlan({"html": 0.5, "slow": 0.5}, seed=1)
    plan.change({"slow": 0.0})
    assert plan.rates == {"html": 0.5, "slow": 0.0}
    with pytest.raises(ValueError, match="above 1"):
        plan.change({"slow": 0.6})
    assert plan.rates == {"html": 0.5, "slow": 0.0}

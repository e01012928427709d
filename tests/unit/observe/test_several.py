from __future__ import annotations

import pytest

from ingestor.observe.several import Observers
from tests.fakes import RecordingObserver
from tests.unit.observe.kit import Lines


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def notice(self, event: str, **facts: object) -> None:
        raise self.error


def test_every_observer_is_told_in_order() -> None:
    first, second = RecordingObserver(), RecordingObserver()
    Observers(first, second).notice("start", folders=2)
    assert first.notices == second.notices == [("start", {"folders": 2})]


def test_one_that_fails_hurts_neither_the_flow_nor_the_others_and_is_told_of_once(logged: Lines) -> None:
    last = RecordingObserver()
    observers = Observers(Failing(ValueError("no")), last)
    for _ in range(3):
        observers.notice("start")
    assert last.events() == ["start"] * 3
    (line,) = logged.objects()
    assert (line["event"], line["observer"], line["told"], line["error"]) == (
        "observer_failed",
        "Failing",
        "start",
        "ValueError: no",
    )


def test_each_failing_observer_is_told_of(logged: Lines) -> None:
    observers = Observers(Failing(ValueError("no")), Failing(ValueError("no")), Failing(KeyError("no")))
    observers.notice("start")
    assert len(logged.lines()) == 3


def test_an_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        Observers(Failing(KeyboardInterrupt())).notice("start")


def test_nobody_may_listen() -> None:
    Observers().notice("start")

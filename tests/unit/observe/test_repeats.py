from __future__ import annotations

from ingestor.observe.repeats import Told


def test_the_same_is_news_once() -> None:
    told = Told()
    assert told.is_new("a", "full")
    assert not told.is_new("a", "full")
    assert told.is_new("a", "busy")
    assert told.is_new("b", "full")
    assert not told.is_new("a", "full")


def test_it_is_news_again_after_it_was_settled() -> None:
    told = Told()
    told.is_new("a", "full")
    told.forget("a")
    told.forget("never seen")
    assert told.is_new("a", "full")


def test_memory_is_bounded_and_who_was_quiet_longest_is_forgotten_first() -> None:
    told = Told(most=2)
    for subject in ("a", "b", "a", "c"):
        told.is_new(subject, "full")
    assert len(told) == 2
    assert not told.is_new("a", "full")
    assert told.is_new("b", "full")

from __future__ import annotations

import pytest

from ingestor.model import Lane
from ingestor.policy.jobs import PRIORITIES, lane_of_queue, queue_of_run, queue_of_station, queues


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("base", ["ingest", queue_of_station("web1"), queue_of_run("0123456789abcdef")])
def test_a_queue_says_its_lane(base: str, lane: Lane) -> None:
    (queue,) = queues([base], [lane])
    assert queue.startswith(base)
    assert lane_of_queue(queue) is lane


def test_queues_are_named_once() -> None:
    assert len(queues(["ingest", "ingest"])) == len(Lane)


def test_fresh_drops_go_before_renewals_and_those_before_the_backlog() -> None:
    assert PRIORITIES[Lane.FRESH] > PRIORITIES[Lane.RENEWAL] > PRIORITIES[Lane.BACKFILL]

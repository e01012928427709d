"""How a path in line is a job for several machines: its queue, its priority, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingestor.model import Lane

TASK = "ingest"
SHARED_QUEUE = "ingest"
"""Base name of the queues of folders that every machine has."""

PRIORITIES = {Lane.FRESH: 20, Lane.RENEWAL: 10, Lane.BACKFILL: 0}
"""The higher goes first."""

SUFFIXES = {Lane.FRESH: "", Lane.RENEWAL: "/renewal", Lane.BACKFILL: "/backfill"}
"""Each lane has a queue of its own, so that a worker can leave places free for fresh drops."""

MOST_LETTERS = 40
"""Of a queue's name: PostgreSQL takes 63 for a channel of notifications, of which procrastinate uses 23."""


def queue_of_station(station: str) -> str:
    """Base name of the queues of folders that only this machine has."""
    return f"{SHARED_QUEUE}@{station}"


def queue_of_run(token: str) -> str:
    """Base name of the queues of one run over paths that no settings name: nobody else knows what they are for."""
    return f"{SHARED_QUEUE}@~{token[:12]}"


def queues(bases: Iterable[str], lanes: Iterable[Lane] = tuple(Lane)) -> Sequence[str]:
    """The queues of these lanes."""
    wanted = list(lanes)
    return [f"{base}{SUFFIXES[lane]}" for base in dict.fromkeys(bases) for lane in wanted]


def lane_of_queue(queue: str) -> Lane:
    """The lane that a queue is for."""
    return next((lane for lane, suffix in SUFFIXES.items() if suffix and queue.endswith(suffix)), Lane.FRESH)

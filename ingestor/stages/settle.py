"""Decide whether a file that was seen has been quiet for long enough to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from ingestor.model import Sighting
from ingestor.policy.settling import Observation, observe, seconds_to_wait
from ingestor.ports import Clock

EMPTY_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """Not yet: what was seen, and when to look again."""

    observation: Observation
    look_again_seconds: float
    empty: bool


def settle(sighting: Sighting, before: Observation | None, *, clock: Clock, quiet_seconds: float) -> Unsettled | None:
    """None when the file has settled; else what to remember until the next look."""
    monotonic = clock.monotonic()
    seen = observe(before, sighting.source.identity, monotonic)
    wait = seconds_to_wait(seen, monotonic=monotonic, wall=clock.now().timestamp(), quiet_seconds=quiet_seconds)
    if wait == 0:
        return None
    if wait is None:
        again = max(quiet_seconds, EMPTY_LOOK_SECONDS)
        return Unsettled(observation=seen, look_again_seconds=again, empty=True)
    return Unsettled(observation=seen, look_again_seconds=wait, empty=False)

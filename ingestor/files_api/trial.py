"""One request over all its attempts: what each failure costs it, and how long it waits before the next."""

from __future__ import annotations

import random

from ingestor.errors import ApiUnavailable, KeyConflict, KeyInFlight, RateLimited, ServerFault
from ingestor.policy.backoff import CROWDED, KEY_IN_FLIGHT, SERVER_FAULT, retry_after

MOST_SERVER_WAIT_SECONDS = 60.0
"""A 503 with a longer `Retry-After` is tried before: the breaker waits where waiting is due."""


class Again(Exception):
    """Try once more after so many seconds."""

    def __init__(self, seconds: float, cause: Exception) -> None:
        super().__init__(str(cause))
        self.seconds = seconds
        self.cause = cause


class Trial:
    """Counts what counts: only server faults of a working API use up attempts."""

    def __init__(self, *, attempts: int, in_flight_seconds: float, rng: random.Random) -> None:
        self._attempts = attempts
        self._in_flight_seconds = in_flight_seconds
        self._rng = rng
        self.faults = 0
        self._crowdings = 0
        self._conflicts = 0
        self._conflict_seconds = 0.0

    def after_fault(self, fault: ServerFault, *, paused: bool) -> Again | ApiUnavailable:
        """`paused`: the breaker is open, so it is the API's own trouble and costs this request nothing."""
        # It may have happened, whatever came back: a conflict that follows may be with that very call of ours.
        self._conflicts, self._conflict_seconds = 0, 0.0
        if paused:
            self.faults = 0
            return Again(0.0, fault)
        self.faults += 1
        if self.faults >= self._attempts:
            return ApiUnavailable(
                "api",
                f"given up for now after {self.faults} attempts: {fault}",
                retry_seconds=SERVER_FAULT.most_seconds,
                request_id=fault.request_id,
            )
        wait = SERVER_FAULT.seconds(self.faults, self._rng.random())
        told = min(retry_after(fault.retry_after_seconds, 0.0), MOST_SERVER_WAIT_SECONDS)
        return Again(max(wait, told), fault)

    def after_crowding(self, limited: RateLimited) -> Again:
        """Too many requests in flight, which is nobody's fault: later, and apart from the others that met it."""
        self._crowdings += 1
        wait = CROWDED.seconds(self._crowdings, self._rng.random())
        return Again(max(wait, retry_after(limited.retry_after_seconds, 0.0)), limited)

    def after_conflict(self, conflict: KeyInFlight) -> Again | KeyConflict:
        """The first request under the key may still be running; asked about for long enough, it is no longer believed.

        What counts is how long this request has waited for it, not what time has passed: it may have been held up by
        other things, and a key that is given up too early makes a second file.
        """
        self._conflicts += 1
        wait = KEY_IN_FLIGHT.seconds(self._conflicts)
        if self._conflict_seconds + wait <= self._in_flight_seconds:
            self._conflict_seconds += wait
            return Again(wait, conflict)
        return KeyConflict(
            str(conflict),
            status=conflict.status,
            error_type=conflict.error_type,
            code=conflict.code,
            request_id=conflict.request_id,
        )

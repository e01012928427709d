"""One gate for all while the API is down or refuses us: wait in place, one probe at a time, then resume."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestor.errors import EnvironmentFault
from ingestor.files_api.keys import ApiKey
from ingestor.policy.breaking import UPLOADS_ONLY, BreakerState, Closed, Open, after_fault, after_refusal
from ingestor.ports import Clock, Observer

LOOK_SECONDS = 1.0
"""Between looks at what changes without telling us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """What `status` says of the API. The last four are None while all is well."""

    is_open: bool
    reason: str | None = None
    """`api`, `key`, `scope`, `balance`, `route`, `redirect` or `settings`."""
    message: str | None = None
    since: datetime | None = None
    next_probe_at: datetime | None = None


class Ticket:
    """One request at the breaker, over all its attempts."""

    __slots__ = ("id", "probes_failed", "reads")

    def __init__(self, id: int, reads: bool) -> None:
        self.id = id
        self.reads = reads
        self.probes_failed = 0


class Breaker:
    """Closed: everyone passes. Open: all wait in place, and one at a time goes ahead, ever less often."""

    def __init__(self, *, clock: Clock, observer: Observer, rng: random.Random, key: ApiKey | None = None) -> None:
        self._clock = clock
        self._observer = observer
        self._rng = rng
        self._key = key
        self._state: BreakerState = Closed()
        self._prober: Ticket | None = None
        self._waiting: list[Ticket] = []
        self._changed = asyncio.Event()
        self._tickets = 0

    @property
    def state(self) -> BreakerStatus:
        if isinstance(self._state, Closed):
            return BreakerStatus(is_open=False)
        wait = max(0.0, self._state.probe_at - self._clock.monotonic())
        return BreakerStatus(
            is_open=True,
            reason=self._state.reason,
            message=self._state.message,
            since=self._state.since,
            next_probe_at=self._clock.now() + timedelta(seconds=wait),
        )

    @property
    def is_open(self) -> bool:
        return isinstance(self._state, Open)

    def ticket(self, *, reads: bool = False) -> Ticket:
        """For a request that is about to begin; `reads`: it asks about a file that is there already."""
        self._tickets += 1
        return Ticket(self._tickets, reads)

    # -- waiting -----------------------------------------------------------------------------------

    async def closed(self) -> None:
        """Return when new work is wanted: for the gate before the intake.

        That is also when a probe is due and every request that waits here has failed one since: one image
        that the API chokes on must not keep the others from showing that it is only that one.
        """
        while isinstance(self._state, Open):
            fresh = any(not ticket.probes_failed for ticket in self._waiting)
            if self._is_due(self._state) and self._prober is None and not fresh:
                return
            await self._look_again(self._state)

    async def passable(self, ticket: Ticket) -> None:
        """Return when a token is worth waiting for: closed, or a probe is due."""
        with _Waiting(self._waiting, ticket):
            while self._holds(ticket) and not self._may_probe(ticket):
                await self._look_again(self._state)

    async def admit(self, ticket: Ticket) -> None:
        """Return when this request may be sent: closed, or it is the one probe. Tell what became of it."""
        with _Waiting(self._waiting, ticket):
            while self._holds(ticket):
                if self._may_probe(ticket):
                    self._prober = ticket
                    return
                await self._look_again(self._state)

    def _holds(self, ticket: Ticket) -> bool:
        if isinstance(self._state, Closed):
            return False
        return not (ticket.reads and self._state.reason in UPLOADS_ONLY)

    def _may_probe(self, ticket: Ticket) -> bool:
        """Whoever has failed fewest probes goes first; among those, who waits longest."""
        if not isinstance(self._state, Open) or self._prober is not None or not self._is_due(self._state):
            return False
        return all(ticket.probes_failed <= other.probes_failed for other in self._waiting)

    def _is_due(self, state: Open) -> bool:
        if self._clock.monotonic() >= state.probe_at:
            return True
        return state.reason == "key" and self._key is not None and not self._key.is_refused()

    async def _look_again(self, state: BreakerState) -> None:
        """Until something changes, or the next probe is due."""
        assert isinstance(state, Open)
        wait = state.probe_at - self._clock.monotonic()
        if wait <= 0 or (state.reason == "key" and self._key is not None):
            # a key file changes without telling, and who was to probe may have gone
            wait = LOOK_SECONDS
        sleep = asyncio.ensure_future(self._clock.sleep(wait))
        change = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sleep, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            change.cancel()

    # -- what became of a request ------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """The API answered as it should: with a receipt, or with something to say about this one request."""
        was_probe = self._end_probe(ticket)
        ticket.probes_failed = 0
        if isinstance(self._state, Open) and (was_probe or self._state.reason == "api"):
            self._observer.notice(
                "api_resumed",
                reason=self._state.reason,
                seconds=(self._clock.now() - self._state.since).total_seconds(),
            )
            self._move(Closed())
        elif isinstance(self._state, Closed) and self._state.failures:
            self._state = Closed()

    def failed(self, ticket: Ticket, message: str) -> None:
        """A server fault or no answer at all."""
        was_probe = self._end_probe(ticket)
        if self.is_open and not was_probe:
            return
        ticket.probes_failed += was_probe
        self._move(
            after_fault(
                self._state,
                ticket.id,
                message,
                wall=self._clock.now(),
                monotonic=self._clock.monotonic(),
                chance=self._rng.random(),
            )
        )

    def refused(self, ticket: Ticket, fault: EnvironmentFault) -> None:
        """The account, the key or the address is at fault: the others would fare no better."""
        was_probe = self._end_probe(ticket)
        if self.is_open and not was_probe:
            return
        ticket.probes_failed += was_probe
        self._move(
            after_refusal(
                self._state,
                fault.reason,
                str(fault),
                wall=self._clock.now(),
                monotonic=self._clock.monotonic(),
                chance=self._rng.random(),
            )
        )

    def undecided(self, ticket: Ticket) -> None:
        """The request ended before the API could say anything (cancelled, or its file vanished)."""
        if self._end_probe(ticket):
            self._tell()

    def _end_probe(self, ticket: Ticket) -> bool:
        if self._prober is not ticket:
            return False
        self._prober = None
        return True

    def _move(self, state: BreakerState) -> None:
        opened = isinstance(state, Open) and not self.is_open
        self._state = state
        if opened and isinstance(state, Open):
            self._observer.notice("api_paused", reason=state.reason, message=state.message)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _Waiting:
    """Is in the queue of the breaker while it waits there."""

    __slots__ = ("_queue", "_ticket")

    def __init__(self, queue: list[Ticket], ticket: Ticket) -> None:
        self._queue = queue
        self._ticket = ticket

    def __enter__(self) -> None:
        self._queue.append(self._ticket)

    def __exit__(self, *_: object) -> None:
        self._queue.remove(self._ticket)

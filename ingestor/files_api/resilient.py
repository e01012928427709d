"""The Files API with patience: the same protocol, paced, retried and held back, around another one.

Every attempt of every request goes the same way: past the breaker, through the quota in the order of its
lane, into one of the slots, past the breaker once more, out. What comes back is told to all three.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar, cast

from ingestor.errors import (
    AccountRefused,
    ApiError,
    ApiUnavailable,
    EnvironmentFault,
    KeyInFlight,
    RateLimited,
    ServerFault,
)
from ingestor.files_api.breaker import Breaker, Ticket
from ingestor.files_api.gates import Claim, Gate, Turn
from ingestor.files_api.keys import ApiKey
from ingestor.files_api.rates import TellsRates
from ingestor.files_api.slots import SLOW_LINK, Slots
from ingestor.files_api.stopping import Waits
from ingestor.files_api.trial import Again, Trial
from ingestor.model import FileId, Lane, RateHeaders, Receipt, RemoteFile, UploadRequest
from ingestor.policy.breaking import UPLOADS_ONLY
from ingestor.policy.renewing import URGENT_SECONDS
from ingestor.policy.verdicts import Call
from ingestor.ports import Clock, FilesApi, Observer, Quota

T = TypeVar("T")


class ResilientFilesApi:
    """A `FilesApi` above which nobody meets `RateLimited`, `KeyInFlight` or `ServerFault`.

    `patient`: what the account or the address is refused for is waited out in place (the daemon); else it is
    raised at once (`backfill`). An API that is down is waited for in both: the caller has its own deadline.
    """

    def __init__(
        self,
        inner: FilesApi,
        *,
        upload_quota: Quota,
        read_quota: Quota,
        breaker: Breaker,
        clock: Clock,
        observer: Observer,
        rng: random.Random,
        attempts: int = 5,
        concurrency: int = 8,
        patient: bool = True,
        key: ApiKey | None = None,
        in_flight_seconds: float = 120.0,
    ) -> None:
        self._inner = inner
        self.breaker = breaker
        self.slots = Slots(concurrency, observer)
        self._uploads = Gate(quota=upload_quota)
        self._reads = Gate(quota=read_quota)
        self._clock = clock
        self._observer = observer
        self._rng = rng
        self._attempts = attempts
        self._patient = patient
        self._key = key
        self._in_flight_seconds = in_flight_seconds
        self._waits = Waits()
        self._sending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._inner_tells = hasattr(inner, "listen")
        if self._inner_tells:
            cast(TellsRates, inner).listen(self._observed)

    # -- FilesApi ----------------------------------------------------------------------------------

    async def upload(self, request: UploadRequest) -> Receipt:
        return await self._persist(
            Call.UPLOAD, request.lane, lambda: self._inner.upload(request), urgent_at=self._urgent_at(request)
        )

    async def fetch(self, file_id: FileId) -> RemoteFile:
        return await self._persist(Call.FETCH, Lane.FRESH, lambda: self._inner.fetch(file_id))

    async def delete(self, file_id: FileId) -> None:
        await self._persist(Call.DELETE, Lane.FRESH, lambda: self._inner.delete(file_id))

    async def close(self) -> None:
        """Stop, let what is in flight finish, and close the inner API."""
        self.stop()
        await self._idle.wait()
        await self._inner.close()

    def stop(self, why: EnvironmentFault | None = None) -> None:
        """All that wait raise `why`, or `EnvironmentFault("stopping")`, now; what is in flight finishes."""
        self._waits.stop(why)

    @property
    def is_ready(self) -> bool:
        """Whether new work is wanted now."""
        return not self._waits.stopped and not self.breaker.is_open

    async def ready(self) -> None:
        """Return when new work is wanted: the gate before the intake. Raises when everything stops."""
        await self._waits.on(self.breaker.closed())

    # -- one request, all its attempts -------------------------------------------------------------

    def _urgent_at(self, request: UploadRequest) -> float:
        """From when on it goes before all others (monotonic)."""
        if request.replaces_until is None:
            return math.inf
        left = (request.replaces_until - self._clock.now()).total_seconds()
        return self._clock.monotonic() + max(0.0, left - URGENT_SECONDS)

    async def _persist(
        self, call: Call, lane: Lane, send: Callable[[], Awaitable[T]], *, urgent_at: float = math.inf
    ) -> T:
        trial = Trial(attempts=self._attempts, in_flight_seconds=self._in_flight_seconds, rng=self._rng)
        ticket = self.breaker.ticket(reads=call is not Call.UPLOAD)
        while True:
            try:
                return await self._attempt(Claim(call, lane, urgent_at), send, trial, ticket)
            except Again as again:
                await self._sleep(again.seconds)

    async def _attempt(self, claim: Claim, send: Callable[[], Awaitable[T]], trial: Trial, ticket: Ticket) -> T:
        turn = Turn()
        try:
            await self._waits.on(self._await_turn(turn, claim, ticket))
            return await self._send(turn, claim.call, send, trial, ticket)
        finally:
            # whatever happened, and wherever a cancellation struck
            self.breaker.undecided(ticket)
            if turn.has_slot:
                self.slots.leave()
            if turn.has_token and not (turn.is_sent and self._inner_tells):
                self._gate(claim.call).quota.observe(RateHeaders())

    async def _await_turn(self, turn: Turn, claim: Claim, ticket: Ticket) -> None:
        """Return when this attempt may be sent; `turn` knows at any time what it holds."""
        gate = self._gate(claim.call)
        await self.breaker.passable(ticket)
        await gate.quota.acquire(claim.lane, urgent_in=claim.urgent_at - self._clock.monotonic())
        turn.has_token = True
        if claim.call is Call.UPLOAD:
            turn.entered = await self.slots.enter(claim.lane)
            turn.has_slot = True
        await self.breaker.admit(ticket)
        if self._clock.monotonic() < gate.until:
            # while this one waited for its slot, another met an empty bucket
            raise Again(0.0, EnvironmentFault("quota", "the team's quota is used up"))

    async def _send(self, turn: Turn, call: Call, send: Callable[[], Awaitable[T]], trial: Trial, ticket: Ticket) -> T:
        self._sending += 1
        self._idle.clear()
        turn.is_sent = True
        try:
            result = await send()
        except Exception as error:
            self._failed(error, call, trial, ticket, turn.entered)
        finally:
            self._sending -= 1
            if not self._sending:
                self._idle.set()
        self.breaker.succeeded(ticket)
        self._gate(call).went_well()
        if call is Call.UPLOAD:
            self.slots.went_well()
        return result

    def _gate(self, call: Call) -> Gate:
        return self._uploads if call is Call.UPLOAD else self._reads

    def _observed(self, call: Call, headers: RateHeaders) -> None:
        # no page says which bucket DELETE is counted in: it waits with the reads and teaches nothing
        self._gate(call).quota.observe(RateHeaders() if call is Call.DELETE else headers)

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._waits.on(self._clock.sleep(seconds))

    # -- what a failure means ----------------------------------------------------------------------

    def _failed(self, error: Exception, call: Call, trial: Trial, ticket: Ticket, entered: int) -> NoReturn:
        """Tell whom it concerns, and raise `Again` or what the caller has to know."""
        match error:
            case ServerFault():
                self.breaker.failed(ticket, str(error))
                if error.code in SLOW_LINK and call is Call.UPLOAD:
                    self.slots.too_many(entered)
                outcome: Exception = trial.after_fault(error, paused=self.breaker.is_open)
            case RateLimited():
                self.breaker.succeeded(ticket)
                outcome = self._limited(error, call, trial, entered)
            case KeyInFlight():
                self.breaker.succeeded(ticket)
                outcome = trial.after_conflict(error)
            case AccountRefused() | ApiUnavailable():
                outcome = self._refused(error, ticket)
            case ApiError():
                self.breaker.succeeded(ticket)
                outcome = error
            case _:
                outcome = error
        if isinstance(outcome, Again):
            self._tell(call, outcome, trial)
        raise outcome from None

    def _limited(self, error: RateLimited, call: Call, trial: Trial, entered: int) -> Again:
        if error.code == "concurrency_limit_exceeded":
            if call is Call.UPLOAD:
                self.slots.too_many(entered)
            return trial.after_crowding(error)
        held = self._gate(call).hold(error.retry_after_seconds, self._clock.monotonic())
        self._observer.notice("quota_held", call=call.value, seconds=round(held, 3))
        return Again(0.0, error)

    def _refused(self, error: EnvironmentFault, ticket: Ticket) -> Exception:
        if error.reason == "key" and self._key is not None and not self._key.is_refused():
            self._observer.notice("key_read_again", origin=self._key.origin)
            return Again(0.0, error)
        if ticket.reads and error.reason in UPLOADS_ONLY:
            return error
        if not self._patient:
            return error
        self.breaker.refused(ticket, error)
        return Again(0.0, error)

    def _tell(self, call: Call, again: Again, trial: Trial) -> None:
        cause = again.cause
        self._observer.notice(
            "api_retry",
            call=call.value,
            why=str(cause),
            faults=trial.faults,
            seconds=round(again.seconds, 3),
            request_id=getattr(cause, "request_id", None),
        )

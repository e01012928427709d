"""The parts that every answer is made with, and what is known of one call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from ingestor.sandbox.buckets import Buckets, Level
from ingestor.sandbox.clock import Clock
from ingestor.sandbox.faults import FaultPlan
from ingestor.sandbox.options import ApiKey, SandboxOptions
from ingestor.sandbox.signing import Signer
from ingestor.sandbox.store import Store


class Tally:
    """Counts since this start."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self.replays = 0
        self.redirects_followed = 0
        self.uploads_in_flight = 0
        self.uploads_in_flight_peak = 0

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Counts an upload as in flight."""
        self.uploads_in_flight += 1
        self.uploads_in_flight_peak = max(self.uploads_in_flight_peak, self.uploads_in_flight)
        try:
            yield
        finally:
            self.uploads_in_flight -= 1

    def by_route(self) -> dict[str, dict[str, int]]:
        """How often each route gave each status."""
        routes: dict[str, dict[str, int]] = {}
        for (route, status), count in sorted(self.answers.items()):
            routes.setdefault(route, {})[status] = count
        return routes


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that handlers share."""

    options: SandboxOptions
    clock: Clock
    store: Store
    signer: Signer
    buckets: Buckets
    plan: FaultPlan
    keys: Mapping[str, ApiKey]
    base_url: str
    tally: Tally = field(default_factory=Tally)
    flights: set[tuple[str, str]] = field(default_factory=set)
    """Team and idempotency key of the uploads that have no answer yet."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def pause(self, real_seconds: float) -> None:
        """Wait, but not longer than the sandbox runs; not at all for 0."""
        if real_seconds <= 0:
            return
        try:
            async with asyncio.timeout(real_seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass

    def origin(self, request: web.Request) -> str:
        """The address under which the caller reaches us."""
        everywhere = self.options.host in {"0.0.0.0", "::"}  # noqa: S104
        return f"http://{request.host}" if everywhere else self.base_url


@dataclass(slots=True, kw_only=True)
class Call:
    """What is known of one call so far."""

    id: str
    version: str
    is_upload: bool
    level: Level
    team: str = ""
    from_us: bool = True
    """False where a proxy in between is played: its answers carry none of our headers."""
    reading_seconds: float = 0.0
    """How long the body of an upload takes to be read, at least."""
    working_seconds: float = 0.0
    """How long an upload is in flight after its body has come."""


_CALL = web.RequestKey("call", Call)


def begin(request: web.Request, call: Call) -> Call:
    """Tie a call to the request that makes it."""
    request[_CALL] = call
    return call


def call_of(request: web.Request) -> Call:
    """The call that a request makes."""
    return request[_CALL]


def is_api_route(request: web.Request) -> bool:
    """The request meets an endpoint of the API."""
    return request.path.startswith("/v1/") and request.match_info.http_exception is None

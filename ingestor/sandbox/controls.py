"""What a test asks of a sandbox and does to it, over HTTP and from this machine only: `/_sandbox/…`."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.answers import json_answer
from ingestor.sandbox.clock import rfc3339
from ingestor.sandbox.errors import ApiError, invalid_format, not_found
from ingestor.sandbox.options import ApiKey
from ingestor.sandbox.records import UsedKey
from ingestor.sandbox.service import Service


def stats(service: Service) -> dict[str, Any]:
    """All counts. `created` and `live` reach back over restarts, the others to this start."""
    created = service.store.created()
    tally = service.tally
    return {
        "now": rfc3339(service.clock.now()),
        "requests": tally.by_route(),
        "created": created,
        "created_total": sum(row["created"] for row in created),
        "live": sum(row["live"] for row in created),
        "replays": tally.replays,
        "faults": dict(service.plan.met),
        "redirects_followed": tally.redirects_followed,
        "uploads_in_flight": tally.uploads_in_flight,
        "uploads_in_flight_peak": tally.uploads_in_flight_peak,
    }


def set_keys(service: Service, keys: Mapping[str, ApiKey]) -> None:
    """Replace the known keys."""
    service.keys = dict(keys)


def advance(service: Service, seconds: float) -> None:
    """Move the clock forward, for good, and purge what that ends. Raises ValueError."""
    service.clock.advance(seconds)
    service.store.keep_state(clock=service.clock.state())
    service.store.purge_expired(service.clock.now())


def occupy_key(service: Service, key: str, route: str, team: str) -> None:
    """Pretend that the team used an idempotency key with another route of the API."""
    now = service.clock.now()
    service.store.occupy_key(UsedKey(team=team, key=key, route=route, body="", answer="", used_at=int(now)), now)


class Controls:
    """The controls as routes. Each changing one takes a JSON object and answers with the counts."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        post = [
            web.post("/_sandbox/faults", self._changing(self._service.plan.change)),
            web.post("/_sandbox/script", self._changing(lambda body: self._service.plan.script(body["faults"]))),
            web.post("/_sandbox/keys", self._changing(self._keys)),
            web.post("/_sandbox/advance", self._changing(lambda body: advance(self._service, body["seconds"]))),
            web.post("/_sandbox/occupy", self._changing(self._occupy)),
        ]
        return [
            web.get("/_sandbox/stats", self._stats),
            *post,
            web.route("*", "/elsewhere/{rest:.*}", self._elsewhere),
        ]

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        return json_answer(200, await asyncio.to_thread(stats, self._service))

    def _changing(self, change: Callable[[dict[str, Any]], None]) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                change(await request.json())
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise invalid_format(None, f"The control takes another JSON object: {error}") from error
            return await self._stats(request)

        return handler

    def _keys(self, body: dict[str, Any]) -> None:
        set_keys(
            self._service,
            {
                text: ApiKey(**{**options, "scopes": frozenset(options.get("scopes", ("read", "write")))})
                for text, options in body.items()
            },
        )

    def _occupy(self, body: dict[str, Any]) -> None:
        team = body.get("team", ApiKey().team)
        occupy_key(self._service, body["key"], body.get("route", "POST /v1/images"), team)

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self._service.tally.redirects_followed += 1
        raise not_found("This is elsewhere: a client must not follow a redirect with its key.")


def local_only() -> Middleware:
    """Keeps the controls to callers on this machine."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sandbox") and not _is_local(request.remote):
            raise ApiError(403, "authentication", "loopback_only", "The controls answer to this machine only.")
        return await handler(request)

    return middleware


def _is_local(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)

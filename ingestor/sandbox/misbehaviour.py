"""Gives a call the fault of `FAULTS` that it draws."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.clock import http_date
from ingestor.sandbox.errors import (
    ApiError,
    key_in_use,
    missing_scope,
    not_found,
    rate_limited,
    server_error,
    unauthorized,
)
from ingestor.sandbox.gate import known_key
from ingestor.sandbox.mishaps import AFTER, BEFORE
from ingestor.sandbox.records import UsedKey
from ingestor.sandbox.service import Service, call_of, is_api_route
from ingestor.sandbox.spoiling import SPOILERS

_OTHER_ROUTE = "POST /v1/images"


def misbehaving(service: Service) -> Middleware:
    """Lets some calls to the API go wrong."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = service.plan.draw(upload=call_of(request).is_upload) if is_api_route(request) else None
        if kind is None:
            return await handler(request)
        if kind in AFTER or kind in SPOILERS:
            return await _afterwards(kind, service, request, await handler(request))
        service.plan.count(kind)
        if kind in REFUSALS:
            raise REFUSALS[kind](service, request)
        if kind in BEFORE:
            return await BEFORE[kind](service, request)
        await CIRCUMSTANCES[kind](service, request)
        return await handler(request)

    return middleware


async def _afterwards(
    kind: str, service: Service, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    # A call that was refused has come no further, and met no fault.
    service.plan.count(kind)
    if kind in AFTER:
        return await AFTER[kind](service, request)
    assert isinstance(response, web.Response)
    return await SPOILERS[kind](service, request, response)


# -- refusals: an error envelope, and nothing happened


def _rate_limit(service: Service, request: web.Request, retry_after: str | None) -> ApiError:
    call = call_of(request)
    full_at = service.clock.now() + service.options.fault_retry_after_seconds
    call.level = dataclasses.replace(call.level, remaining=0, full_at=full_at)
    return rate_limited(retry_after)


def _in_seconds(service: Service) -> str:
    return str(service.options.fault_retry_after_seconds)


def _as_date(service: Service) -> str:
    # Beside our own Date header, which leaves out the fraction of its second.
    return http_date(int(service.clock.now()) + service.options.fault_retry_after_seconds)


def _in_flight(service: Service, request: web.Request) -> ApiError:
    return key_in_use("The first call with this Idempotency-Key is still in flight.")


def _balance(service: Service, request: web.Request) -> ApiError:
    return ApiError(402, "invalid_request", "balance_too_low", "The balance of this team is too low.")


def _refused(service: Service, request: web.Request) -> ApiError:
    message = "This image is not accepted as a reference."
    return ApiError(400, "invalid_request", "reference_blocked", message, param="file")


REFUSALS: dict[str, Callable[[Service, web.Request], ApiError]] = {
    "http_500": lambda service, request: server_error(500),
    "http_502": lambda service, request: server_error(502, "provider_unavailable"),
    "http_503": lambda service, request: server_error(503, "provider_unavailable"),
    "http_504": lambda service, request: server_error(504, "provider_timeout"),
    "rate_limit": lambda service, request: _rate_limit(service, request, _in_seconds(service)),
    "rate_limit_bare": lambda service, request: _rate_limit(service, request, None),
    "rate_limit_date": lambda service, request: _rate_limit(service, request, _as_date(service)),
    # The bucket is as full as it is: not tokens are missing, but room.
    "concurrency": lambda service, request: rate_limited(_in_seconds(service), code="concurrency_limit_exceeded"),
    "unauthorized": lambda service, request: unauthorized("invalid_api_key", "This API key is not known."),
    "missing_scope": lambda service, request: missing_scope("write" if call_of(request).is_upload else "read"),
    "no_route": lambda service, request: not_found("There is no such route."),
    "in_flight": _in_flight,
    "balance": _balance,
    "refused": _refused,
}


# -- circumstances: the call goes on, under harder conditions


async def _key_conflict(service: Service, request: web.Request) -> None:
    """From now on the key belongs to another route, so that the call itself is refused for good."""
    key = request.headers.get("Idempotency-Key")
    if not key:
        raise key_in_use("This Idempotency-Key was used with another route.")
    now = service.clock.now()
    team = known_key(service, request).team
    used = UsedKey(team=team, key=key, route=_OTHER_ROUTE, body="", answer="", used_at=int(now))
    await asyncio.to_thread(service.store.occupy_key, used, now)


async def _slow_read(service: Service, request: web.Request) -> None:
    call_of(request).reading_seconds = service.options.slow_seconds


async def _busy(service: Service, request: web.Request) -> None:
    call_of(request).working_seconds = service.options.slow_seconds


CIRCUMSTANCES: dict[str, Callable[[Service, web.Request], Awaitable[None]]] = {
    "key_conflict": _key_conflict,
    "slow_read": _slow_read,
    "busy": _busy,
}

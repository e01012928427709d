"""What each fault of `FAULTS` does to a call."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.answers import Severed
from ingestor.sandbox.clock import http_date
from ingestor.sandbox.errors import (
    ApiError,
    key_in_use,
    missing_scope,
    rate_limited,
    server_error,
    unauthorized,
)
from ingestor.sandbox.files import read_body
from ingestor.sandbox.gate import known_key
from ingestor.sandbox.ids import file_id
from ingestor.sandbox.records import UsedKey
from ingestor.sandbox.service import Service, call_of, is_api_route

_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_OTHER_ROUTE = "POST /v1/images"


def misbehaving(service: Service) -> Middleware:
    """Gives a call to the API its fault, if it draws one."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_api_route(request):
            return await handler(request)
        kind = service.plan.draw(upload=call_of(request).is_upload)
        if kind in _REFUSALS:
            raise _REFUSALS[kind](service, request)
        if kind in _INSTEAD:
            return await _INSTEAD[kind](service, request)
        if kind == "key_conflict":
            await _occupy_key(service, request)
        response = await handler(request)
        return await _AFTERWARDS[kind](service, response) if kind in _AFTERWARDS else response

    return middleware


# -- refusals: an error envelope, and nothing happened


def _rate_limit(service: Service, request: web.Request, retry_after: str | None, **code: str) -> ApiError:
    call = call_of(request)
    full_at = service.clock.now() + service.options.fault_retry_after_seconds
    call.level = dataclasses.replace(call.level, remaining=0, full_at=full_at)
    return rate_limited(retry_after, **code)


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


_REFUSALS: dict[str | None, Callable[[Service, web.Request], ApiError]] = {
    "http_500": lambda service, request: server_error(500),
    "http_502": lambda service, request: server_error(502, "provider_unavailable"),
    "http_503": lambda service, request: server_error(503, "provider_unavailable"),
    "http_504": lambda service, request: server_error(504, "provider_timeout"),
    "rate_limit": lambda service, request: _rate_limit(service, request, _in_seconds(service)),
    "rate_limit_bare": lambda service, request: _rate_limit(service, request, None),
    "rate_limit_date": lambda service, request: _rate_limit(service, request, _as_date(service)),
    "concurrency": lambda service, request: _rate_limit(
        service, request, _in_seconds(service), code="concurrency_limit_exceeded"
    ),
    "unauthorized": lambda service, request: unauthorized("invalid_api_key", "This API key is not known."),
    "missing_scope": lambda service, request: missing_scope("write" if call_of(request).is_upload else "read"),
    "in_flight": _in_flight,
    "balance": _balance,
    "refused": _refused,
}


# -- instead of an answer of the API, and nothing happened


async def _html(service: Service, request: web.Request) -> web.StreamResponse:
    call_of(request).from_us = False
    return web.Response(status=502, text=_PROXY_PAGE, content_type="text/html")


async def _empty(service: Service, request: web.Request) -> web.StreamResponse:
    call_of(request).from_us = False
    return web.Response(status=200)


async def _redirect(service: Service, request: web.Request) -> web.StreamResponse:
    location = f"{service.origin(request)}/elsewhere{request.rel_url.raw_path}"
    return web.Response(status=307, headers={"Location": location})


async def _reset_before(service: Service, request: web.Request) -> web.StreamResponse:
    raise Severed


async def _reset_in_body(service: Service, request: web.Request) -> web.StreamResponse:
    await request.content.readany()
    raise Severed


async def _hang(service: Service, request: web.Request) -> web.StreamResponse:
    if request.can_read_body:
        await read_body(request)
    loop = asyncio.get_running_loop()
    until = loop.time() + service.options.hang_seconds
    # Whoever gives up has left; holding on to that call would only fill the memory.
    while request.transport is not None and loop.time() < until and not service.stopping.is_set():
        await service.pause(0.05)
    raise Severed


_INSTEAD: dict[str | None, Callable[[Service, web.Request], Awaitable[web.StreamResponse]]] = {
    "html": _html,
    "empty": _empty,
    "redirect": _redirect,
    "reset_before": _reset_before,
    "reset_in_body": _reset_in_body,
    "hang": _hang,
}


async def _occupy_key(service: Service, request: web.Request) -> None:
    """From now on the key belongs to another route, so that the call itself is refused for good."""
    key = request.headers.get("Idempotency-Key")
    if not key:
        raise key_in_use("This Idempotency-Key was used with another route.")
    now = service.clock.now()
    team = known_key(service, request).team
    used = UsedKey(team=team, key=key, route=_OTHER_ROUTE, body="", answer="", used_at=int(now))
    await asyncio.to_thread(service.store.occupy_key, used, now)


# -- afterwards: it happened, and the answer goes wrong


async def _lost_answer(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    raise server_error(500)


async def _reset_after(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    raise Severed


async def _slow(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    await service.pause(service.options.slow_seconds)
    return response


async def _truncated_json(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    assert isinstance(response, web.Response)
    text = response.text or ""
    response.text = text[: len(text) // 2]
    return response


async def _wrong_json(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    return _rewritten(response, lambda value: {name: value[name] for name in ("id", "object")})


async def _other_file(service: Service, response: web.StreamResponse) -> web.StreamResponse:
    def another(value: dict[str, Any]) -> dict[str, Any]:
        sizes = {name: value[name] + 1 for name in ("size_bytes", "width_px", "height_px") if name in value}
        return value | sizes | {"id": file_id(service.clock.now())}

    return _rewritten(response, another)


def _rewritten(response: web.StreamResponse, change: Callable[[dict[str, Any]], Any]) -> web.Response:
    assert isinstance(response, web.Response)
    response.text = json.dumps(change(json.loads(response.text or "{}")))
    return response


_AFTERWARDS: dict[str | None, Callable[[Service, web.StreamResponse], Awaitable[web.StreamResponse]]] = {
    "lost_answer": _lost_answer,
    "reset_after": _reset_after,
    "slow": _slow,
    "truncated_json": _truncated_json,
    "wrong_json": _wrong_json,
    "other_file": _other_file,
}

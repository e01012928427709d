"""Who calls, may they, and have they calls left? CONTRACT.md, Headers, Errors and Rate limits."""

from __future__ import annotations

import math
import re

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.errors import invalid_format, missing_scope, rate_limited, unauthorized
from ingestor.sandbox.options import ApiKey
from ingestor.sandbox.service import Call, Service, call_of, is_api_route

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def gating(service: Service) -> Middleware:
    """Lets a call to the API through when key, scope, quota and version allow it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_api_route(request):
            call = call_of(request)
            key = known_key(service, request)
            call.team = key.team
            _check_scope(request, key)
            _take_token(service, call)
            _pin_version(request, call)
        return await handler(request)

    return middleware


def known_key(service: Service, request: web.Request) -> ApiKey:
    """The key of the call. Raises ApiError (401)."""
    text = _key_text(request)
    if not text:
        raise unauthorized("missing_api_key", "Send your API key in X-Api-Key.")
    key = service.keys.get(text)
    if key is None:
        raise unauthorized("invalid_api_key", "This API key is not known.")
    if key.revoked:
        raise unauthorized("revoked_api_key", "This API key has been revoked.")
    return key


def _key_text(request: web.Request) -> str:
    if "X-Api-Key" in request.headers:
        return request.headers["X-Api-Key"].strip()
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _check_scope(request: web.Request, key: ApiKey) -> None:
    # The contract names no scope for DELETE; what changes things is taken to need `write`.
    scope = "read" if request.method == "GET" else "write"
    if scope not in key.scopes:
        raise missing_scope(scope)


def _take_token(service: Service, call: Call) -> None:
    # The contract names no bucket for DELETE; it shares the one of the GETs.
    call.level = service.buckets.take(call.team, service.clock.now(), upload=call.is_upload)
    if call.level.wait_seconds:
        seconds = service.clock.real_seconds(call.level.wait_seconds)
        raise rate_limited(str(max(1, math.ceil(seconds - 1e-6))))


def _pin_version(request: web.Request, call: Call) -> None:
    pinned = request.headers.get("Aurous-Version")
    if pinned is None:
        return
    if not _VERSION.fullmatch(pinned):
        raise invalid_format("Aurous-Version", "Aurous-Version is written YYYY-MM-DD.")
    call.version = pinned

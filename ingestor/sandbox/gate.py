"""Who calls, may they, and have they calls left? CONTRACT.md, Headers, Errors and Rate limits."""

from __future__ import annotations

import math
import re
from datetime import date

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.errors import invalid_format, missing_scope, rate_limited, unauthorized
from ingestor.sandbox.ids import request_id
from ingestor.sandbox.options import ApiKey
from ingestor.sandbox.service import Call, Service, call_of, is_api_route

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def gating(service: Service) -> Middleware:
    """Lets a call to the API through when key, scope, quota and version allow it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_api_route(request):
            key, call = known_key(service, request), call_of(request)
            _check_scope(request, key)
            _take_token(service, call)
            if not _is_version(request.headers.get("Aurous-Version", call.version)):
                raise invalid_format("Aurous-Version", "Aurous-Version is a date, written YYYY-MM-DD.")
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


def new_call(service: Service, request: web.Request) -> Call:
    """What is known of a call at first sight, whether or not it will be let through."""
    now, is_upload = service.clock.now(), request.method == "POST"
    key = service.keys.get(_key_text(request))
    team = None if key is None or key.revoked else key.team
    pinned = request.headers.get("Aurous-Version", "")
    return Call(
        id=request_id(now),
        version=pinned if _is_version(pinned) else service.options.version,
        is_upload=is_upload,
        level=service.buckets.level(team, now, upload=is_upload),
        team=team or "",
    )


def _is_version(text: str) -> bool:
    if not _VERSION.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

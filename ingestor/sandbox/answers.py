"""The outermost layer: every answer gets its headers, every error its envelope."""

from __future__ import annotations

import json
import logging
import socket
import struct
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestor.sandbox.clock import http_date
from ingestor.sandbox.errors import ApiError, not_found, server_error
from ingestor.sandbox.gate import new_call
from ingestor.sandbox.service import Service, begin, call_of

_log = logging.getLogger(__name__)


class Severed(Exception):
    """The connection ends here, without an answer."""


def answering(service: Service) -> Middleware:
    """Makes whatever a call ends in an answer of the API."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        call = begin(request, new_call(service, request))
        try:
            response = await _answer(request, handler)
        except (Severed, ConnectionError, web.RequestPayloadError):
            service.tally.answers[route_name(request), "none"] += 1
            cut_off(request)
            return web.Response()
        response.headers["Date"] = http_date(service.clock.now())
        if call.from_us:
            response.headers["Aurous-Request-Id"] = call.id
            response.headers["Aurous-Version"] = call.version
            response.headers.update(call.level.headers())
        service.tally.answers[route_name(request), str(response.status)] += 1
        return response

    return middleware


def json_answer(status: int, value: Any, **headers: str) -> web.Response:
    """A JSON response."""
    return web.json_response(value, status=status, headers=headers)


def route_name(request: web.Request) -> str:
    """Method and route as the counts name them."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '(no route)'}"


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _refusal(request, error)
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
        message = f"{error.method} is not allowed here."
        return _refusal(request, ApiError(405, "invalid_request", "method_not_allowed", message, headers=allow))
    except web.HTTPNotFound:
        return _refusal(request, not_found("There is no such route."))
    except (Severed, ConnectionError, web.RequestPayloadError):
        raise
    except Exception:
        _log.exception("the sandbox failed at %s %s", request.method, request.path)
        return _refusal(request, server_error(500))


def _refusal(request: web.Request, error: ApiError) -> web.Response:
    return web.Response(
        status=error.status,
        text=json.dumps(error.envelope(call_of(request).id)),
        content_type="application/json",
        headers=error.headers,
    )


def cut_off(request: web.Request) -> None:
    """Reset the connection that a request came on."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        # Without lingering, closing sends a reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()

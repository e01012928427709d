"""Answers that come, and are not what they should be: the call did its work."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from ingestor.sandbox.answers import cut_off
from ingestor.sandbox.clock import http_date
from ingestor.sandbox.ids import file_id
from ingestor.sandbox.service import Service

Spoiler = Callable[[Service, web.Request, web.Response], Awaitable[web.Response]]

_PIECES = 20
_SUNSET_SECONDS = 90 * 24 * 3600


async def _slow(service: Service, request: web.Request, response: web.Response) -> web.Response:
    await service.pause(service.options.slow_seconds)
    return response


async def _drip(service: Service, request: web.Request, response: web.Response) -> web.Response:
    body = _bytes(response)
    step = max(1, len(body) // _PIECES)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]
            await service.pause(service.options.slow_seconds / _PIECES)

    return _in_pieces(response, pieces(), len(body))


async def _reset_in_answer(service: Service, request: web.Request, response: web.Response) -> web.Response:
    body = _bytes(response)

    async def pieces() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        # What was written has to leave before the reset, which would overtake it.
        await service.pause(0.02)
        cut_off(request)

    return _in_pieces(response, pieces(), len(body))


async def _truncated_json(service: Service, request: web.Request, response: web.Response) -> web.Response:
    body = _bytes(response)
    response.body = body[: len(body) // 2]
    return response


async def _wrong_json(service: Service, request: web.Request, response: web.Response) -> web.Response:
    return _rewritten(response, lambda value: {name: value[name] for name in ("id", "object")})


async def _other_file(service: Service, request: web.Request, response: web.Response) -> web.Response:
    def another(value: dict[str, Any]) -> dict[str, Any]:
        sizes = {name: value[name] + 1 for name in ("size_bytes", "width_px", "height_px") if name in value}
        return value | sizes | {"id": file_id(service.clock.now())}

    return _rewritten(response, another)


async def _deprecated(service: Service, request: web.Request, response: web.Response) -> web.Response:
    response.headers["Aurous-Deprecated"] = "true"
    response.headers["Sunset"] = http_date(service.clock.now() + _SUNSET_SECONDS)
    return response


SPOILERS: dict[str, Spoiler] = {
    "slow": _slow,
    "drip": _drip,
    "reset_in_answer": _reset_in_answer,
    "truncated_json": _truncated_json,
    "wrong_json": _wrong_json,
    "other_file": _other_file,
    "deprecated": _deprecated,
}


def _bytes(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def _rewritten(response: web.Response, change: Callable[[dict[str, Any]], Any]) -> web.Response:
    response.body = json.dumps(change(json.loads(_bytes(response)))).encode()
    return response


def _in_pieces(response: web.Response, pieces: AsyncIterator[bytes], size_bytes: int) -> web.Response:
    """The same answer, length included, whose body comes as it is made."""
    headers = {**response.headers, "Content-Length": str(size_bytes)}
    return web.Response(status=response.status, body=pieces, headers=headers)

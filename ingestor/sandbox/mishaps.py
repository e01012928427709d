"""Ways to come out of a call without an answer of the API, whether or not it happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from ingestor.sandbox.answers import Severed
from ingestor.sandbox.errors import server_error
from ingestor.sandbox.files import read_body
from ingestor.sandbox.service import Service, call_of

Mishap = Callable[[Service, web.Request], Awaitable[web.StreamResponse]]

_PROXY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_LOOK_SECONDS = 0.05


def _proxy_page(status: int, title: str) -> Mishap:
    async def mishap(service: Service, request: web.Request) -> web.StreamResponse:
        call_of(request).from_us = False
        return web.Response(status=status, text=_PROXY_PAGE.format(title), content_type="text/html")

    return mishap


async def _empty(service: Service, request: web.Request) -> web.StreamResponse:
    call_of(request).from_us = False
    return web.Response(status=200)


async def _redirect(service: Service, request: web.Request) -> web.StreamResponse:
    location = f"{service.origin(request)}/elsewhere{request.rel_url.raw_path}"
    return web.Response(status=307, headers={"Location": location})


async def _reset(service: Service, request: web.Request) -> web.StreamResponse:
    raise Severed


async def _reset_in_body(service: Service, request: web.Request) -> web.StreamResponse:
    await request.content.readany()
    raise Severed


async def _hang(service: Service, request: web.Request) -> web.StreamResponse:
    if request.can_read_body:
        await read_body(service, request)
    loop = asyncio.get_running_loop()
    until = loop.time() + service.options.hang_seconds
    # Whoever gives up has left; holding on to that call would only fill the memory.
    while request.transport is not None and loop.time() < until and not service.stopping.is_set():
        await service.pause(_LOOK_SECONDS)
    raise Severed


async def _internal_error(service: Service, request: web.Request) -> web.StreamResponse:
    raise server_error(500)


_BAD_GATEWAY = _proxy_page(502, "502 Bad Gateway")

BEFORE: dict[str, Mishap] = {
    "html": _BAD_GATEWAY,
    "html_404": _proxy_page(404, "404 Not Found"),
    "empty": _empty,
    "redirect": _redirect,
    "reset_before": _reset,
    "reset_in_body": _reset_in_body,
    "hang": _hang,
}
"""The call does not reach the API: nothing happened."""

AFTER: dict[str, Mishap] = {
    "html_after": _BAD_GATEWAY,
    "empty_after": _empty,
    "lost_answer": _internal_error,
    "reset_after": _reset,
    "hang_after": _hang,
}
"""The call did its work, and its answer is lost."""

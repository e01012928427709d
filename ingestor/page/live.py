"""Server-sent events: that there is something new, never what. The page fetches itself again, under the same rules."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from aiohttp import hdrs, web

from ingestor.page.site import MOST_STREAMS, Routes, Site, session_of

LOOK_SECONDS = 0.5
QUIET_SECONDS = 15.0
"""Then a comment goes out, so that proxies keep the stream and a reader that has gone is noticed."""


class Live:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._streams = 0

    def routes(self) -> Routes:
        return [web.get("/events", self.stream, allow_head=False)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self._streams >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable(text="too many pages are open", headers={hdrs.RETRY_AFTER: "30"})
        response = web.StreamResponse(
            status=HTTPStatus.OK, headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
        )
        self._streams += 1
        try:
            await response.prepare(request)
            # The browser has gone: there is nobody to be told.
            with contextlib.suppress(ConnectionResetError):
                await self._tell(request, response)
        finally:
            self._streams -= 1
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse) -> None:
        site, clock = self._site, self._site.parts.clock
        seen, said_at = -1, clock.monotonic()
        while not site.ending.is_set() and self._may_stay(request):
            version = site.version
            if version != seen:
                await response.write(f"event: change\ndata: {version}\n\n".encode())
                seen, said_at = version, clock.monotonic()
            elif clock.monotonic() - said_at >= QUIET_SECONDS:
                await response.write(b": nothing new\n\n")
                said_at = clock.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(site.ending.wait(), LOOK_SECONDS)

    def _may_stay(self, request: web.Request) -> bool:
        """Whether somebody is there, and may be: a session that has ended takes its streams along."""
        if request.transport is None or request.transport.is_closing():
            return False
        access = self._site.access
        by_token = hdrs.AUTHORIZATION in request.headers
        return access.is_open or by_token or access.has_session(session_of(request))

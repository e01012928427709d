"""For machines: metrics, and two questions that whoever keeps the daemon running asks."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import hdrs, web

from ingestor.errors import EnvironmentFault, LedgerError
from ingestor.page.guard import KNOWN
from ingestor.page.site import Routes, Site
from ingestor.runtime.pulse import Phase

LEDGER_SECONDS = 5.0
"""A ledger that takes longer for its simplest question is not ready."""


class Health:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> Routes:
        return [
            web.get("/metrics", self.metrics),
            web.get("/healthz", self.is_alive),
            web.get("/readyz", self.is_ready),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._site.metrics.exposition(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def is_alive(self, request: web.Request) -> web.Response:
        """Whether it moves: a no is to be cured by a restart. Waiting for an API, a disk or a folder is a yes."""
        return _answer(request, self._site.pulse.stalled())

    async def is_ready(self, request: web.Request) -> web.Response:
        """Whether what is dropped now is on its way at once: a no needs no restart."""
        return _answer(request, await self._why_not_ready())

    async def _why_not_ready(self) -> str | None:
        site = self._site
        if site.pulse.phase is Phase.STARTING:
            return "starting: what the last run left is being finished"
        if site.pulse.phase is Phase.DRAINING:
            return "stopping"
        breaker = site.parts.breaker()
        if breaker.is_open:
            return f"waiting for the API ({breaker.reason}): {breaker.message}"
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                await site.parts.ledger.fact("ready")
        except TimeoutError:
            return "the ledger does not answer"
        except (EnvironmentFault, LedgerError) as fault:
            return f"the ledger: {fault}"
        return site.pulse.stalled()


def _answer(request: web.Request, why_not: str | None) -> web.Response:
    """Why not is told to those alone who may see the rest."""
    if why_not is None:
        return web.Response(text="ok\n")
    words = why_not if request[KNOWN] else "no"
    return web.Response(text=f"{words}\n", status=HTTPStatus.SERVICE_UNAVAILABLE)

"""The page as one loop beside the daemon: it listens, counts, serves, and never takes the daemon down with it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator

from aiohttp import web

from ingestor.ledger.place import browser_at
from ingestor.observe.metrics import Metrics
from ingestor.observe.recent import Recent
from ingestor.page.access import Access
from ingestor.page.counting import Counting
from ingestor.page.door import Door
from ingestor.page.guard import Guard
from ingestor.page.health import Health
from ingestor.page.images import Images
from ingestor.page.live import Live
from ingestor.page.overview import Overview
from ingestor.page.quarantine import Quarantine
from ingestor.page.rendering import Rendering
from ingestor.page.retrying import Retrying
from ingestor.page.site import Handler, Site
from ingestor.page.thumbnails import Thumbnails
from ingestor.runtime.parts import Parts
from ingestor.runtime.pulse import Pulse
from ingestor.runtime.upkeep import Urls
from ingestor.settings import ListenAddress

AGAIN_SECONDS = 5.0
"""Between tries at an address that somebody else has: a daemon that is being replaced leaves it within its drain."""
MOST_FORM_BYTES = 65_536
LEAVE_SECONDS = 2.0
"""What answers are given when the daemon goes."""


class StatusPage:
    """Serves `settings.status.listen` until cancelled. What goes wrong here is told, and touches nothing else."""

    def __init__(self, parts: Parts, recent: Recent, metrics: Metrics, pulse: Pulse) -> None:
        self._parts = parts
        self._recent = recent
        self._metrics = metrics
        self._pulse = pulse

    async def run(self) -> None:
        listen = self._parts.settings.status.listen
        if listen is None:
            return
        try:
            async with self._site() as site:
                await self._serve(site, listen)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._parts.observer.notice("internal_fault", where="page", error=error)

    @contextlib.asynccontextmanager
    async def _site(self) -> AsyncIterator[Site]:
        """The page's parts, with readers of the ledger that are its own."""
        parts = self._parts
        async with contextlib.AsyncExitStack() as stack:
            browser, counter = (browser_at(parts.settings, parts.clock) for _ in range(2))
            for reader in (browser, counter):
                stack.push_async_callback(reader.close)
            served = None if parts.cluster is not None else [folder.name for folder in parts.folders]
            retrying = Retrying(ledger=parts.ledger, browser=browser, clock=parts.clock, served=served)
            stack.push_async_callback(retrying.stop)
            yield Site(
                parts=parts,
                pulse=self._pulse,
                recent=self._recent,
                metrics=self._metrics,
                browser=browser,
                counting=Counting(
                    quick=browser,
                    slow=counter,
                    pulse=self._pulse,
                    quota=parts.upload_quota,
                    told=[self._metrics.set_snapshot, self._recent.set_snapshot],
                    clock=parts.clock,
                ),
                access=Access(parts.settings.status.token_file, parts.clock),
                rendering=Rendering(),
                urls=Urls(api=parts.tools.api, clock=parts.clock),
                thumbnails=Thumbnails(
                    max_pixels=parts.settings.normalise.max_pixels, spool=parts.tools.spool, clock=parts.clock
                ),
                retrying=retrying,
            )

    async def _serve(self, site: Site, listen: ListenAddress) -> None:
        runner = web.AppRunner(application(site), access_log=None, shutdown_timeout=LEAVE_SECONDS)
        await runner.setup()
        try:
            await self._listen(runner, listen)
            async with asyncio.TaskGroup() as loops:
                loops.create_task(site.counting.run())
                loops.create_task(site.thumbnails.run())
        finally:
            site.ending.set()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner, listen: ListenAddress) -> None:
        """Return when it listens. An address that is taken is told once, and tried again until it is free."""
        is_told = False
        while True:
            try:
                await web.TCPSite(runner, listen.host, listen.port).start()
                break
            except OSError as error:
                if not is_told:
                    self._parts.observer.notice("page_unavailable", listen=str(listen), message=_why(error))
                is_told = True
            await self._parts.clock.sleep(AGAIN_SECONDS)
        host, port = runner.addresses[0][:2]
        shown = ListenAddress(host=host if listen.port == 0 else listen.host, port=port)
        self._parts.observer.notice("page_ready", url=f"http://{shown}/")


def application(site: Site) -> web.Application:
    """All routes behind the guard."""
    guard = Guard(site)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.around(request, handler)

    app = web.Application(middlewares=[guarded], client_max_size=MOST_FORM_BYTES)
    app.on_response_prepare.append(guard.add_headers)
    for section in (Overview(site), Images(site), Quarantine(site), Live(site), Health(site), Door(site)):
        app.add_routes(section.routes())
    return app


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            "another program listens there, perhaps another ingestor: no page and no metrics until it is free; "
            "name another port as status.listen, or null for no page"
        )
    return f"cannot listen there: {error.strerror or error}; correct status.listen"

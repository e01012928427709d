"""What the handlers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ingestor import __version__
from ingestor.ledger.browsing import LedgerBrowser
from ingestor.observe.metrics import Metrics
from ingestor.observe.recent import Recent
from ingestor.page.access import Access
from ingestor.page.counting import Counting
from ingestor.page.rendering import Rendering
from ingestor.page.retrying import Retrying
from ingestor.page.thumbnails import Thumbnails
from ingestor.runtime.parts import Parts
from ingestor.runtime.pulse import Pulse
from ingestor.runtime.upkeep import Urls

SESSION_COOKIE = "ingestor_session"
MOST_STREAMS = 32


@dataclass(frozen=True, kw_only=True)
class Site:
    """The parts of the page."""

    parts: Parts
    pulse: Pulse
    recent: Recent
    metrics: Metrics
    browser: LedgerBrowser
    counting: Counting
    access: Access
    rendering: Rendering
    urls: Urls
    thumbnails: Thumbnails
    retrying: Retrying
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the page goes: streams end."""

    @property
    def version(self) -> int:
        """Grows with everything that a page may show."""
        return self.recent.changes + self.counting.changes + self.retrying.changes

    def now(self) -> datetime:
        return self.parts.clock.now()

    def answer(self, request: web.Request, template: str, *, status: int = HTTPStatus.OK, **facts: Any) -> web.Response:
        """A page, with what every page shows."""
        session = session_of(request)
        totals = self.counting.latest.totals
        common = {
            "now": self.now(),
            "here": request.path,
            "version": __version__,
            "form_proof": self.access.form_proof(session),
            "has_session": session is not None and not self.access.is_open,
            "number_quarantined": None if totals is None else totals.sources.get("quarantined", 0),
        }
        text = self.rendering.page(template, {**common, **facts})
        return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


Handler = Callable[[web.Request], Any]
Routes = Sequence[web.RouteDef]


def session_of(request: web.Request) -> str | None:
    return request.cookies.get(SESSION_COOKIE)

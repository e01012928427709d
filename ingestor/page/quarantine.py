"""The quarantine: each image with its reason, put back in line one by one or all at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ingestor.ledger.browsing import Place, Sought
from ingestor.page.places import place_of, word_of
from ingestor.page.site import Routes, Site
from ingestor.policy.formats import REASONS

PAGE = 50


class Quarantine:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> Routes:
        return [web.get("/quarantine", self.list), web.post("/retry", self.retry)]

    async def list(self, request: web.Request) -> web.Response:
        site, query = self._site, request.query
        reason, folder = query.get("reason", ""), query.get("folder", "")
        leaf = await site.browser.browse(
            _sought(reason, folder), limit=PAGE, after=_place(query.get("after", "")), is_rare=True
        )
        chosen = {name: value for name, value in (("reason", reason), ("folder", folder)) if value}
        after = leaf.go_on_after
        return site.answer(
            request,
            "quarantine.html",
            title="Quarantine",
            seen=leaf.seen,
            groups=site.counting.latest.quarantines,
            meanings=REASONS,
            reason=reason,
            folder=folder,
            retried=site.retrying.latest,
            next_link=None if after is None else "/quarantine?" + urlencode({**chosen, "after": word_of(after)}),
            first_link="/quarantine?" + urlencode(chosen) if query.get("after") else None,
        )

    async def retry(self, request: web.Request) -> web.Response:
        """One image (`at`), or all with a `reason` and of a `folder`, or `all` there are; then the list again."""
        form: Any = await request.post()
        retrying = self._site.retrying
        if form.get("at"):
            place = _place(str(form["at"]))
            if place is None or not await retrying.one(place):
                raise web.HTTPConflict(text="this image is not quarantined (any more)")
        elif form.get("reason") or form.get("folder") or form.get("all") == "yes":
            if not retrying.all(_sought(str(form.get("reason", "")), str(form.get("folder", "")))):
                raise web.HTTPConflict(text="images are being put back already: wait until that is done")
        else:
            raise web.HTTPBadRequest(text="say which: at, reason, folder, or all=yes")
        raise web.HTTPSeeOther("/quarantine")


def _sought(reason: str, folder: str) -> Sought:
    return Sought(state="quarantined", reason=reason or None, folder=folder or None)


def _place(word: str) -> Place | None:
    if not word:
        return None
    try:
        return place_of(word)
    except ValueError:
        raise web.HTTPBadRequest(text="this names no image") from None

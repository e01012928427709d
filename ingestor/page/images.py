"""Images: the list with its search and filters, one image with its story, its thumbnail, a fresh URL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web
from markupsafe import Markup

from ingestor.errors import EnvironmentFault, FileGone, IngestorError
from ingestor.ledger.browsing import Place, Seen, Sought, is_rare
from ingestor.ledger.overview import STATES
from ingestor.page.places import place_of, word_of
from ingestor.page.site import Routes, Site
from ingestor.page.thumbnails import TooManyAsk
from ingestor.runtime.now import status_now
from ingestor.runtime.story import Surroundings, next_step, sentence_of
from ingestor.runtime.upkeep import has_live_id
from ingestor.stages.after import DELETED

PAGE = 50
MOST_WORDS = 300
URL_SECONDS = 10.0
"""How long somebody waits for a URL while the API does not answer."""
EXPIRING = {"expiring_1h": timedelta(hours=1), "expiring_6h": timedelta(hours=6)}
FILTERS = {
    "": "any state",
    **{state: state for state in STATES},
    "expiring_1h": "live, expiring within 1 h",
    "expiring_6h": "live, expiring within 6 h",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the list's form asks for."""

    words: str
    state: str
    folder: str
    after: Place | None

    def sought(self) -> Sought:
        return Sought(
            folder=self.folder or None,
            state=self.state if self.state in STATES else None,
            expires_within=EXPIRING.get(self.state),
            words=self.words,
        )

    def link(self, after: Place | None) -> str:
        """The list from there on."""
        given = {"q": self.words, "state": self.state, "folder": self.folder}
        query = {name: value for name, value in given.items() if value}
        return "/images?" + urlencode({**query, "after": word_of(after)} if after else query)


class Images:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> Routes:
        return [
            web.get("/images", self.list),
            web.get("/image", self.show),
            web.get("/thumbnail", self.thumbnail),
            web.post("/url", self.url),
        ]

    async def list(self, request: web.Request) -> web.Response:
        asked = _asked(request.query)
        site = self._site
        named = await self._named(asked)
        if named:
            seen, go_on_after = tuple(named), None
        else:
            sought, totals = asked.sought(), site.counting.latest.totals
            rare = totals is not None and is_rare(sought, totals)
            leaf = await site.browser.browse(sought, limit=PAGE, after=asked.after, is_rare=rare)
            seen, go_on_after = leaf.seen, leaf.go_on_after
        return site.answer(
            request,
            "images.html",
            title="Images",
            asked=asked,
            filters=FILTERS,
            folders=await self._folder_names(),
            seen=seen,
            is_cut_short=go_on_after is not None and len(seen) < PAGE,
            looked_to=go_on_after,
            next_link=None if go_on_after is None else asked.link(go_on_after),
            first_link=asked.link(None) if asked.after else None,
        )

    async def _named(self, asked: Asked) -> Sequence[Seen]:
        """An id or a digest that was pasted into the search is found by itself, whatever it is called."""
        word = asked.words
        is_id = word.startswith("file_") and len(word) == len("file_") + 26
        is_digest = len(word) == 64 and all(letter in "0123456789abcdef" for letter in word)
        if not (is_id or is_digest):
            return ()
        browser = self._site.browser
        found = list(await browser.named(word, PAGE))
        if is_id and not found:
            places = await browser.find_former(word)
            found = [seen for place in places[:PAGE] if (seen := await browser.one(place)) is not None]
        return found

    async def _folder_names(self) -> Sequence[str]:
        configured = [folder.name for folder in self._site.parts.folders]
        known = {stand.folder for stand in self._site.counting.latest.stands}
        return [*configured, *sorted(known.difference(configured))]

    # -- one image

    async def show(self, request: web.Request) -> web.Response:
        return await self._image(request, await self._seen(request.query))

    async def _seen(self, given: Mapping[str, Any]) -> Seen:
        """The image that a query or a form names. Raises `HTTPNotFound`."""
        try:
            place = place_of(str(given.get("at", "")))
        except ValueError:
            raise web.HTTPNotFound(text="this address names no image") from None
        seen = await self._site.browser.one(place)
        if seen is None:
            raise web.HTTPNotFound(text="the ledger knows no such image")
        return seen

    async def _image(
        self, request: web.Request, seen: Seen, *, url: str | None = None, url_fault: str | None = None
    ) -> web.Response:
        entry, site = seen.entry, self._site
        story = await site.browser.story(entry.folder, entry.path)
        around = Surroundings(
            now=site.now(),
            folder=site.parts.tools.folders.get(entry.folder),
            holder="ingestor watch",
            waits_for=status_now(site.parts, site.recent)["waiting_for"],
        )
        return site.answer(
            request,
            "image.html",
            title=entry.path,
            seen=seen,
            entry=entry,
            story=[(event.at, sentence_of(event)) for event in reversed(story)],
            next_step=next_step(entry, seen.state, around),
            has_live_id=has_live_id(entry, site.now()),
            # Whole, as nothing else here is: a URL without its signature is of no use.
            url=None if url is None else Markup.escape(url),
            url_fault=url_fault,
        )

    async def url(self, request: web.Request) -> web.Response:
        """The image's page with a fresh URL on it, which is kept and linked nowhere."""
        seen = await self._seen(await request.post())
        if not has_live_id(seen.entry, self._site.now()):
            return await self._image(request, seen, url_fault="there is no live id any more")
        try:
            async with asyncio.timeout(URL_SECONDS):
                file = await self._site.urls.of(seen.entry)
        except TimeoutError:
            return await self._image(request, seen, url_fault="the API does not answer just now; try again later")
        except FileGone:
            fault = "the API does not know this id any more; `ingestor verify` marks such ids"
            return await self._image(request, seen, url_fault=fault)
        except (IngestorError, EnvironmentFault) as error:
            return await self._image(request, seen, url_fault=str(error))
        return await self._image(request, seen, url=file.url)

    async def thumbnail(self, request: web.Request) -> web.Response:
        seen = await self._seen(request.query)
        entry = seen.entry
        moved = entry.put_away is not None and entry.put_away != DELETED
        file = Path(entry.put_away) if moved and entry.put_away else entry.root / entry.path
        try:
            made = await self._site.thumbnails.of(file)
        except TooManyAsk:
            raise web.HTTPServiceUnavailable(text="others wait for theirs", headers={hdrs.RETRY_AFTER: "2"}) from None
        if made is None:
            raise web.HTTPNotFound(text="there is no picture of this")
        return web.Response(
            body=made.content,
            content_type=made.mime_type,
            status=HTTPStatus.OK,
            headers={hdrs.CACHE_CONTROL: "private, max-age=300"},
        )


def _asked(query: Mapping[str, str]) -> Asked:
    try:
        after = place_of(query["after"]) if query.get("after") else None
    except ValueError:
        raise web.HTTPBadRequest(text="this address names no place in the list") from None
    state = query.get("state", "")
    return Asked(
        words=query.get("q", "").strip()[:MOST_WORDS],
        state=state if state in FILTERS else "",
        folder=query.get("folder", ""),
        after=after,
    )

"""In and out: the form that asks for the token, and the files that every page needs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from ingestor.page.access import SESSION_SECONDS
from ingestor.page.site import SESSION_COOKIE, Routes, Site, session_of


class Door:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> Routes:
        return [
            web.get("/login", self.ask),
            web.post("/login", self.let_in),
            web.post("/logout", self.let_out),
            web.get("/static/{name}", self.static),
            web.get("/favicon.ico", self.icon),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        if self._site.access.is_open:
            raise web.HTTPSeeOther("/")
        return self._form(request, way_on(request.query.get("next", "")))

    def _form(
        self, request: web.Request, way: str, *, fault: str | None = None, status: int = HTTPStatus.OK
    ) -> web.Response:
        return self._site.answer(request, "login.html", title="Token", way_on=way, fault=fault, status=status)

    async def let_in(self, request: web.Request) -> web.Response:
        access = self._site.access
        form: Any = await request.post()
        way = way_on(str(form.get("next", "")))
        if access.is_open:
            raise web.HTTPSeeOther(way)
        if not access.admits(str(form.get("token", ""))):
            fault = "That is not the token. It stands in the file that the setting status.token_file names."
            return self._form(request, way, fault=fault, status=HTTPStatus.FORBIDDEN)
        answer = web.HTTPSeeOther(way)
        answer.set_cookie(
            SESSION_COOKIE,
            access.begin_session(),
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        raise answer

    async def let_out(self, request: web.Request) -> web.Response:
        self._site.access.end_session(session_of(request))
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(SESSION_COOKIE, httponly=True, samesite="Strict")
        raise answer

    async def static(self, request: web.Request) -> web.Response:
        static = self._site.rendering.static.get(request.match_info["name"])
        if static is None:
            raise web.HTTPNotFound(text="there is no such file")
        return web.Response(
            body=static.content,
            content_type=static.content_type,
            charset="utf-8",
            headers={hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable"},
        )

    async def icon(self, request: web.Request) -> web.Response:
        static = self._site.rendering.static["icon.svg"]
        return web.Response(body=static.content, content_type=static.content_type)


def way_on(wanted: str) -> str:
    """Where a browser goes next: a path of this page, and nowhere else."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if is_ours else "/"

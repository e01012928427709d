"""What stands before every handler: who asks, under which name, with whose form; and the headers of every answer."""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from ingestor.errors import EnvironmentFault, IngestorError
from ingestor.page.site import Handler, Site, session_of
from ingestor.settings import is_loopback

FOR_ALL = frozenset({"/login", "/healthz", "/readyz"})
"""Paths that need no token: the form that asks for it, and two words for whoever keeps the daemon running."""
FOR_MACHINES = frozenset({"/metrics", "/events"})
"""Paths that browsers do not open: nobody is led to a form from there."""

KEPT = (hdrs.WWW_AUTHENTICATE, hdrs.RETRY_AFTER, hdrs.ALLOW)
"""Headers of a refusal that its page has too."""
KNOWN = web.RequestKey("known", bool)
"""Of a request: whoever sent it may know more than whether all is well."""


class Shown(Enum):
    NOTHING = auto()
    SESSION = auto()
    """A browser's, that has shown the token; or nobody is asked for one."""
    TOKEN = auto()
    """The token itself, as programs do: no other site can make a browser send it."""


HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "ingestor",
}


class Guard:
    """Middleware around a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """On every answer, also those of faults."""
        response.headers.update(HEADERS)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_name(request)
            _check_site(request)
            shown = self._check_token(request)
            request[KNOWN] = shown is not Shown.NOTHING
            if request.method == hdrs.METH_POST and shown is not Shown.TOKEN:
                await self._check_form(request)
            answer: web.StreamResponse = await handler(request)
            return answer
        except web.HTTPException as end:
            if end.status < HTTPStatus.BAD_REQUEST or end.content_type == "text/html":
                raise
            answer = self._told(request, end.status, end.text or end.reason)
            answer.headers.update({name: end.headers[name] for name in KEPT if name in end.headers})
            return answer
        except (EnvironmentFault, IngestorError) as fault:
            return self._told(request, HTTPStatus.SERVICE_UNAVAILABLE, str(fault))
        except Exception as error:
            self._site.parts.observer.notice("internal_fault", where=f"page {request.path}", error=error)
            words = "a fault of ingestor's own, told in its log"
            return self._told(request, HTTPStatus.INTERNAL_SERVER_ERROR, words)

    def _told(self, request: web.Request, status: int, words: str) -> web.Response:
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            title = HTTPStatus(status).phrase
            return self._site.answer(request, "error.html", status=status, title=title, words=words)
        return web.Response(text=f"{words}\n", status=status)

    # -- checks

    def _check_name(self, request: web.Request) -> None:
        """Where nobody is asked for a token, a site that lets its name point here must not get in by it."""
        if self._site.access.is_open and not is_loopback(host_of(request.host)):
            raise web.HTTPMisdirectedRequest(
                text="asked under a name that is not this machine's: open it as 127.0.0.1 or localhost, or set "
                "status.token_file"
            )

    def _check_token(self, request: web.Request) -> Shown:
        """What the request shows of the token. Raises where it shows nothing and has to."""
        access = self._site.access
        if access.is_open or access.has_session(session_of(request)):
            return Shown.SESSION
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and access.admits(token):
            return Shown.TOKEN
        path = request.path
        if path in FOR_ALL or path.startswith("/static/"):
            return Shown.NOTHING
        if request.method == hdrs.METH_GET and path not in FOR_MACHINES and not scheme:
            raise web.HTTPSeeOther(f"/login?next={quote(request.raw_path, safe='')}")
        raise web.HTTPUnauthorized(
            text="the token of status.token_file is missing or wrong", headers={hdrs.WWW_AUTHENTICATE: "Bearer"}
        )

    async def _check_form(self, request: web.Request) -> None:
        """A form of ours, sent from a page of ours."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="this form was sent from another site")
        if request.content_type != "application/x-www-form-urlencoded":
            raise web.HTTPUnsupportedMediaType(text="forms come as application/x-www-form-urlencoded")
        form = await request.post()
        if request.path == "/login":
            return  # it carries the token itself
        if not self._site.access.is_form_proof(form.get("proof"), session_of(request)):
            raise web.HTTPForbidden(text="this form is from before a restart or another session: open the page again")


def _check_site(request: web.Request) -> None:
    """Another site may lead a browser here, but not have it ask for pictures or streams behind its user's back."""
    site, mode = request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Mode")
    if site in ("cross-site", "same-site") and mode != "navigate":
        raise web.HTTPForbidden(text="asked for by another site's page")


def host_of(host: str) -> str:
    """A `Host` header without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

"""The way to the API over aiohttp: a request goes out, its answer comes back whole. It knows no meaning.

Imported with the first request: most commands send none, and aiohttp takes longer to import than all else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ingestor.files_api.faults import wire_fault
from ingestor.files_api.form import Form
from ingestor.files_api.sending import Watchdog, body
from ingestor.files_api.timeouts import Timeouts
from ingestor.files_api.wire import MAX_ANSWER_BYTES

PIECE_BYTES = 64 * 1024
KEY_HEADER = "X-Api-Key"
LEAST_SCRUBBED = 8
"""A key of fewer characters may stand in an answer by chance, and is no secret anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status; of an error, without the key that we sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """One session to one address. No cookies, no redirects, no `~/.netrc`."""

    def __init__(self, *, base_url: str, timeouts: Timeouts, ssl: Any) -> None:
        self._base = URL(base_url)
        self._host = self._base.host_port_subcomponent or ""
        self._proxy = _proxy_for(self._base)
        self._timeouts = timeouts
        self._ssl = ssl
        self._session = aiohttp.ClientSession(
            # how many at once is decided above; a connection that has to be waited for would look like a fault
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total,
                connect=timeouts.connect,
                sock_connect=timeouts.connect,
                sock_read=timeouts.answer,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        heard: Callable[[Mapping[str, str]], None],
        *,
        form: Form | None = None,
        content: bytes = b"",
    ) -> Answer:
        """The answer to one request; `heard` is told its headers as soon as they are there.

        With `form`, `content` is sent inside of it. Raises `ServerFault` with what went wrong on the way.
        """
        try:
            async with Watchdog(self._timeouts.stall) as watchdog:
                pieces = None if form is None else body(form, content, watchdog)
                return await self._exchange(method, path, headers, heard, pieces)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            fault = wire_fault(error, self._host)
        raise fault  # out here, without the library's error behind it: that one holds our headers, key included

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        heard: Callable[[Mapping[str, str]], None],
        pieces: AsyncIterator[bytes | memoryview] | None,
    ) -> Answer:
        async with self._session.request(
            method,
            self._base.joinpath(path.lstrip("/"), encoded=True),
            headers=headers,
            data=pieces,
            allow_redirects=False,
            proxy=self._proxy,
            ssl=self._ssl,
        ) as response:
            key = headers.get(KEY_HEADER, "")
            told = _without(key, response.headers)
            heard(told)
            content = await _read(response)
            if response.status >= 300 and len(key) >= LEAST_SCRUBBED:
                content = content.replace(key.encode(), "…".encode())
            return Answer(status=response.status, headers=told, body=content)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it can be an answer of this API; of one that is too long, nothing."""
    content = bytearray()
    async for piece in response.content.iter_chunked(PIECE_BYTES):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            response.close()
            return b""
    return bytes(content)


def _without(key: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    if len(key) < LEAST_SCRUBBED:
        return headers
    return CIMultiDict((name, value.replace(key, "…")) for name, value in headers.items())


def _proxy_for(base: URL) -> str | None:
    """The proxy that the environment names for this address; never one for this machine itself.

    aiohttp's own `trust_env` would also look for a password in ~/.netrc, with each request.
    """
    host = base.host or ""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(base.scheme)
    return proxy if proxy and proxy.startswith(("http://", "https://")) else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

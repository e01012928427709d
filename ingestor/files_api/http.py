"""The Files API over HTTP: one session, one coroutine an endpoint, no retries. CONTRACT.md, Endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, Self
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from ingestor.errors import AccountRefused, ApiAnswerInvalid
from ingestor.files_api import wire
from ingestor.files_api.faults import SendStalled, wire_fault
from ingestor.files_api.form import form_of
from ingestor.files_api.keys import ApiKey
from ingestor.files_api.rules import Refusal, error_of
from ingestor.files_api.sending import Watchdog, body, read_exactly
from ingestor.files_api.wording import plain
from ingestor.model import FileId, RateHeaders, Receipt, RemoteFile, UploadRequest
from ingestor.policy.verdicts import Call
from ingestor.ports import Clock, Observer

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

RatesListener = Callable[[Call, RateHeaders], None]


class TellsRates(Protocol):
    """An API that tells of each request, exactly once, the rate headers of its answer (none: empty)."""

    def listen(self, listener: RatesListener) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. Each names what may not take longer."""

    connect: float = 10.0
    stall: float = 30.0
    """Between two pieces of the body that the other side takes."""
    answer: float = 60.0
    """From the end of the body to the answer, and between two pieces of the answer."""
    total: float = 300.0
    """The whole exchange, so that a trickle ends too."""

    @classmethod
    def of(cls, seconds: float) -> Timeouts:
        """From the one setting: an answer within `seconds`, a slow link five times as long."""
        return cls(connect=min(10.0, seconds), stall=min(30.0, seconds), answer=seconds, total=5 * seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None


class HttpFilesApi:
    """A `FilesApi` without patience: every fault is raised as it is met. An async context, or `close` it."""

    def __init__(
        self,
        *,
        base_url: str,
        version: str,
        key: ApiKey,
        clock: Clock,
        observer: Observer,
        timeouts: Timeouts = Timeouts(),
        user_agent: str = "ingestor",
        ssl: Any = True,
    ) -> None:
        """`ssl`: as aiohttp takes it; True verifies against the system's authorities."""
        self._base = URL(base_url.rstrip("/"))
        self.base_url = plain(str(self._base.with_user(None)))
        self._key = key
        self._clock = clock
        self._observer = observer
        self._timeouts = timeouts
        self._ssl = ssl
        self._headers = {"Aurous-Version": version, "User-Agent": user_agent, "Accept": "application/json"}
        self._listener: RatesListener = _nobody
        self._session: aiohttp.ClientSession | None = None
        self._proxy = _proxy_for(self._base)
        self._key_seen = False
        self._warned: set[tuple[Call, str]] = set()
        self.clock_offset_seconds: float | None = None
        """The API's clock minus ours, as of the last answer; whole seconds at best."""

    def listen(self, listener: RatesListener) -> None:
        """From now on `listener` is told once for each request, whatever became of it."""
        self._listener = listener

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- endpoints ---------------------------------------------------------------------------------

    async def upload(self, request: UploadRequest) -> Receipt:
        """POST /v1/files. The receipt is of what was sent, or `ApiAnswerInvalid`."""
        with self._heard(Call.UPLOAD) as rates:
            form = form_of(request)
            content = await read_exactly(request.file, request.size_bytes)
            headers = {
                "Idempotency-Key": request.key,
                "Content-Type": form.content_type,
                "Content-Length": str(form.size_bytes),
            }
            try:
                async with Watchdog(self._timeouts.stall) as watchdog:
                    pieces = body(form, content, watchdog)
                    answer = await self._exchange(Call.UPLOAD, "POST", "/v1/files", rates, headers=headers, data=pieces)
            except SendStalled as stalled:
                raise wire_fault(stalled, self._host) from None
            file = self._file(answer)
            _check_receipt(request, file.receipt)
            return file.receipt

    async def fetch(self, file_id: FileId) -> RemoteFile:
        """GET /v1/files/{id}: with a signed URL minted for this call."""
        with self._heard(Call.FETCH) as rates:
            answer = await self._exchange(Call.FETCH, "GET", _path(file_id), rates)
            file = self._file(answer)
            if file.receipt.file_id != file_id:
                raise ApiAnswerInvalid(
                    f"the API answers for another file than {plain(file_id)}", request_id=answer.request_id
                )
            return file

    async def delete(self, file_id: FileId) -> None:
        """DELETE /v1/files/{id}: no error when it is gone already."""
        with self._heard(Call.DELETE) as rates:
            answer = await self._exchange(Call.DELETE, "DELETE", _path(file_id), rates)
            wire.check_deleted(answer.body, file_id)

    # -- one exchange ------------------------------------------------------------------------------

    async def _exchange(
        self,
        call: Call,
        method: str,
        path: str,
        rates: _Heard,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        data: Any = None,
    ) -> _Answer:
        """The 2xx answer of one request; raises the error that any other answer, or none, stands for."""
        key = self._usual_key()
        try:
            async with self._opened().request(
                method,
                self._base.joinpath(path.lstrip("/"), encoded=True),
                headers={**self._headers, "X-Api-Key": key, **headers},
                data=data,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._ssl,
            ) as response:
                answer = await self._read(call, response, rates)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise wire_fault(error, self._host) from None
        if 200 <= answer.status < 300:
            self._key.accepted()
            return answer
        raise self._refusal(call, answer, key)

    async def _read(self, call: Call, response: aiohttp.ClientResponse, rates: _Heard) -> _Answer:
        rates.headers = wire.rate_headers(response.headers)
        if rates.headers.server_now is not None:
            self.clock_offset_seconds = rates.headers.server_now - self._clock.now().timestamp()
        self._warn_of_sunset(call, response.headers)
        content = b""
        async for piece in response.content.iter_chunked(64 * 1024):
            content += piece
            if len(content) > wire.MAX_ANSWER_BYTES:
                response.close()
                content = content[: wire.MAX_ANSWER_BYTES] if response.status >= 400 else b""
                break
        request_id = response.headers.get("Aurous-Request-Id")
        return _Answer(
            status=response.status,
            headers=response.headers,
            body=content,
            request_id=plain(request_id) if request_id else None,
        )

    def _file(self, answer: _Answer) -> RemoteFile:
        replayed = answer.headers.get("Aurous-Idempotent-Replayed", "").strip().lower() == "true"
        try:
            return wire.remote_file(answer.body, replayed=replayed, request_id=answer.request_id)
        except ApiAnswerInvalid as error:
            error.status, error.request_id = answer.status, answer.request_id
            raise

    def _refusal(self, call: Call, answer: _Answer, key: str) -> Exception:
        envelope = wire.error_envelope(answer.body)
        error = error_of(
            Refusal(
                call=call,
                status=answer.status,
                envelope=envelope,
                request_id=answer.request_id or envelope.request_id,
                retry_after_seconds=wire.retry_after_seconds(answer.headers),
                base_url=self.base_url,
                location_host=_host_of(answer.headers.get("Location")),
            )
        )
        if isinstance(error, AccountRefused) and error.reason == "key":
            self._key.refused(key)
        if key in str(error):
            error.args = (str(error).replace(key, "…"),)
        return error

    # -- around it ---------------------------------------------------------------------------------

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # how many at once is decided above; a connection that has to be waited for would look like a
                # fault
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                timeout=aiohttp.ClientTimeout(
                    total=self._timeouts.total,
                    sock_connect=self._timeouts.connect,
                    sock_read=self._timeouts.answer,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _usual_key(self) -> str:
        """The key to send, with a warning the first time that it does not look like one."""
        key = self._key.current()
        if not self._key_seen and not self._key.looks_usual(key):
            self._observer.notice("key_unusual", origin=self._key.origin)
        self._key_seen = True
        return key

    def _heard(self, call: Call) -> _Heard:
        return _Heard(self._listener, call)

    def _warn_of_sunset(self, call: Call, headers: Mapping[str, str]) -> None:
        deprecated, sunset = headers.get("Aurous-Deprecated"), headers.get("Sunset")
        if deprecated is None and sunset is None:
            return
        told = f"{deprecated}|{sunset}"
        if (call, told) not in self._warned and len(self._warned) < 100:
            self._warned.add((call, told))
            self._observer.notice(
                "api_deprecated",
                call=call.value,
                deprecated=plain(deprecated or ""),
                sunset=plain(sunset or ""),
            )

    @property
    def _host(self) -> str:
        return self._base.authority.rpartition("@")[2]


class _Heard:
    """Tells the listener once when a request is over, with the headers of its answer if there was one."""

    __slots__ = ("_call", "_listener", "headers")

    def __init__(self, listener: RatesListener, call: Call) -> None:
        self._listener = listener
        self._call = call
        self.headers = RateHeaders()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener(self._call, self.headers)


def _nobody(call: Call, headers: RateHeaders) -> None:
    """Nobody listens."""


def _check_receipt(sent: UploadRequest, got: Receipt) -> None:
    """A receipt for anything else than what was sent is no receipt."""
    for field, ours, theirs in (
        ("purpose", sent.purpose, got.purpose),
        ("size_bytes", sent.size_bytes, got.size_bytes),
        ("mime_type", sent.mime_type, got.mime_type),
    ):
        if ours != theirs:
            raise ApiAnswerInvalid(
                f"the API answers for another file: `{field}` is {theirs}, we sent {ours}",
                code=f"answer_{field}",
                request_id=got.request_id,
            )


def _path(file_id: FileId) -> str:
    return f"/v1/files/{quote(file_id, safe='')}"


def _host_of(location: str | None) -> str | None:
    try:
        return plain(URL(location).host or "") or None if location else None
    except ValueError:
        return None


def _proxy_for(base: URL) -> str | None:
    """The proxy that the environment names for this address; never one for this machine itself.

    aiohttp's own `trust_env` would also look for a password in ~/.netrc, with each request.
    """
    host = base.host or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    proxy = getproxies().get(base.scheme)
    return proxy if proxy and proxy.startswith(("http://", "https://")) else None

"""The Files API over HTTP: one coroutine an endpoint, no retries. CONTRACT.md, Endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from ingestor.errors import AccountRefused, ApiAnswerInvalid, FileGone
from ingestor.files_api import wire
from ingestor.files_api.form import Form, form_of
from ingestor.files_api.keys import ApiKey
from ingestor.files_api.rates import Heard, RatesListener, nobody
from ingestor.files_api.rules import Refusal, error_of
from ingestor.files_api.sending import read_exactly
from ingestor.files_api.timeouts import Timeouts
from ingestor.files_api.wording import plain
from ingestor.model import FileId, Receipt, RemoteFile, UploadRequest
from ingestor.policy.verdicts import Call
from ingestor.ports import Clock, Observer

if TYPE_CHECKING:
    from ingestor.files_api.line import Answer, Line

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_METHODS: Mapping[Call, str] = MappingProxyType({Call.UPLOAD: "POST", Call.FETCH: "GET", Call.DELETE: "DELETE"})
MOST_WARNINGS = 100
"""Of routes that go away: an API that tells something new each time is not listened to for ever."""


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
        timeouts: Timeouts | None = None,
        user_agent: str = "ingestor",
        ssl: Any = True,
    ) -> None:
        """`ssl`: as aiohttp takes it; True verifies against the system's authorities."""
        self._address = base_url.rstrip("/")
        self.base_url = plain(self._address)
        self._key = key
        self._clock = clock
        self._observer = observer
        self._timeouts = timeouts or Timeouts()
        self._ssl = ssl
        self._headers = {"Aurous-Version": version, "User-Agent": user_agent, "Accept": "application/json"}
        self._listener: RatesListener = nobody
        self._line: Line | None = None
        self._key_seen = False
        self._warned: set[tuple[Call, str]] = set()
        self.hear_time: Callable[[float], None] = lambda server_now: None
        """Told the API's time (epoch seconds) with each answer that names it."""
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
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()

    # -- endpoints ---------------------------------------------------------------------------------

    async def upload(self, request: UploadRequest) -> Receipt:
        """POST /v1/files. The receipt is of what was sent, or `ApiAnswerInvalid`."""
        with self._heard(Call.UPLOAD) as rates:
            form = form_of(request)
            content = await read_exactly(request.file, request.size_bytes, request.identity)
            headers = {
                "Idempotency-Key": request.key,
                "Content-Type": form.content_type,
                "Content-Length": str(form.size_bytes),
            }
            file = _file(await self._exchange(rates, "/v1/files", headers, form=form, content=content))
            _check_receipt(request, file.receipt)
            return file.receipt

    async def fetch(self, file_id: FileId) -> RemoteFile:
        """GET /v1/files/{id}: with a signed URL minted for this call."""
        with self._heard(Call.FETCH) as rates:
            if not wire.is_file_id(file_id):
                raise FileGone(f"{plain(file_id)} is no file id: those look like file_…")
            answer = await self._exchange(rates, _path(file_id))
            file = _file(answer)
            if file.receipt.file_id != file_id:
                raise ApiAnswerInvalid(
                    f"the API answers for another file than {file_id}",
                    status=answer.status,
                    code="answer_id",
                    request_id=file.receipt.request_id,
                )
            return file

    async def delete(self, file_id: FileId) -> None:
        """DELETE /v1/files/{id}: no error when it is gone already, or never was."""
        with self._heard(Call.DELETE) as rates:
            if not wire.is_file_id(file_id):
                return
            try:
                answer = await self._exchange(rates, _path(file_id))
            except FileGone:
                return
            try:
                wire.check_deleted(answer.body, file_id)
            except ApiAnswerInvalid as error:
                raise _placed(error, answer) from None

    # -- one exchange ------------------------------------------------------------------------------

    async def _exchange(
        self,
        rates: Heard,
        path: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        form: Form | None = None,
        content: bytes = b"",
    ) -> Answer:
        """The 2xx answer of one request; raises the error that any other answer, or none, stands for."""
        key = self._usual_key()

        def heard(told: Mapping[str, str]) -> None:
            rates.headers = wire.rate_headers(told)
            if rates.headers.server_now is not None:
                self.clock_offset_seconds = rates.headers.server_now - self._clock.now().timestamp()
                self.hear_time(rates.headers.server_now)
            self._warn_of_sunset(rates.call, told)

        answer = await self._opened().exchange(
            _METHODS[rates.call],
            path,
            {**self._headers, "X-Api-Key": key, **headers},
            heard,
            form=form,
            content=content,
        )
        if 200 <= answer.status < 300:
            self._key.accepted()
            return answer
        raise self._refusal(rates.call, answer, key)

    def _refusal(self, call: Call, answer: Answer, key: str) -> Exception:
        envelope = wire.error_envelope(answer.body)
        error = error_of(
            Refusal(
                call=call,
                status=answer.status,
                envelope=envelope,
                request_id=_request_id(answer) or envelope.request_id,
                retry_after_seconds=wire.retry_after_seconds(answer.headers),
                base_url=self.base_url,
                location_host=_host_of(answer.headers.get("Location")),
            )
        )
        if isinstance(error, AccountRefused) and error.reason == "key":
            self._key.refused(key)
        return error

    # -- around it ---------------------------------------------------------------------------------

    def _opened(self) -> Line:
        if self._line is None:
            from ingestor.files_api.line import Line  # late: see there

            self._line = Line(base_url=self._address, timeouts=self._timeouts, ssl=self._ssl)
        return self._line

    def _usual_key(self) -> str:
        """The key to send, with a warning the first time that it does not look like one."""
        key = self._key.current()
        if not self._key_seen and not self._key.looks_usual(key):
            self._observer.notice("key_unusual", origin=self._key.origin)
        self._key_seen = True
        return key

    def _heard(self, call: Call) -> Heard:
        return Heard(self._listener, call)

    def _warn_of_sunset(self, call: Call, headers: Mapping[str, str]) -> None:
        deprecated, sunset = headers.get("Aurous-Deprecated"), headers.get("Sunset")
        if deprecated is None and sunset is None:
            return
        told = f"{deprecated}|{sunset}"
        if (call, told) not in self._warned and len(self._warned) < MOST_WARNINGS:
            self._warned.add((call, told))
            self._observer.notice(
                "api_deprecated",
                call=call.value,
                deprecated=plain(deprecated or ""),
                sunset=plain(sunset or ""),
            )


def _request_id(answer: Answer) -> str | None:
    return plain(answer.headers.get("Aurous-Request-Id", "")) or None


def _file(answer: Answer) -> RemoteFile:
    replayed = answer.headers.get("Aurous-Idempotent-Replayed", "").strip().lower() == "true"
    try:
        return wire.remote_file(answer.body, replayed=replayed, request_id=_request_id(answer))
    except ApiAnswerInvalid as error:
        raise _placed(error, answer) from None


def _placed(error: ApiAnswerInvalid, answer: Answer) -> ApiAnswerInvalid:
    """The same, with what support asks for."""
    error.status, error.request_id = answer.status, _request_id(answer)
    return error


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
        return plain(urlsplit(location).hostname or "") or None if location else None
    except ValueError:
        return None

"""The endpoints: upload, get, delete, and the bucket that signed URLs point to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from ingestor.sandbox.answers import json_answer
from ingestor.sandbox.errors import ApiError, key_in_use, not_found, out_of_range
from ingestor.sandbox.forms import Part, purpose_and_metadata, read_form, take_apart, whole_body
from ingestor.sandbox.ids import file_id, is_file_id
from ingestor.sandbox.images import MAX_BYTES, inspect
from ingestor.sandbox.records import StoredFile, UsedKey
from ingestor.sandbox.service import Service, call_of

UPLOAD_ROUTE = "POST /v1/files"
MAX_KEY_CHARS = 256
_MAX_BODY_BYTES = MAX_BYTES + 1_000_000


class Files:
    """The three endpoints of the Files API."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/files."""
        call, key = call_of(request), idempotency_key(request)
        origin, content_type = self._service.origin(request), request.headers.get("Content-Type", "")
        with self._service.tally.upload(), self._flight(call.team, key):
            body = await read_body(self._service, request)
            await self._service.pause(call.working_seconds)
            answer, is_replay = await asyncio.to_thread(self._keep, call.team, key, content_type, body, origin)
        response = web.Response(status=201, text=answer, content_type="application/json")
        if is_replay:
            self._service.tally.replays += 1
            response.headers["Aurous-Idempotent-Replayed"] = "true"
        return response

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/files/{id}."""
        file = await self._find(request.match_info["id"])
        if file is None or file.team != call_of(request).team:
            raise not_found("There is no such file.")
        return json_answer(200, file.as_object(self._url(file, self._service.origin(request))))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE /v1/files/{id}: the same answer whether or not there was such a file."""
        name = request.match_info["id"]
        file = await self._find(name)
        if file is not None and file.team == call_of(request).team:
            await asyncio.to_thread(self._service.store.purge, file.id)
        return json_answer(200, {"deleted": True, "id": name, "object": "file"})

    async def signed(self, request: web.Request) -> web.StreamResponse:
        """GET /signed/{id}: the bytes, for whoever holds a URL that has not ended."""
        name, expires = request.match_info["id"], request.query.get("expires", "")
        if not self._service.signer.is_genuine(name, expires, request.query.get("token", "")):
            raise ApiError(403, "authentication", "invalid_signature", "This URL was not signed here.")
        if int(expires) <= self._service.clock.now():
            raise ApiError(403, "authentication", "url_expired", "This URL has ended; get a fresh one.")
        file = await self._find(name)
        if file is None:
            raise not_found("There is no such file.")
        headers = {"Content-Type": file.facts.mime_type, "Cache-Control": "private, no-store"}
        return web.FileResponse(self._service.store.path(file.id), headers=headers)

    # -- helpers

    async def _find(self, name: str) -> StoredFile | None:
        if not is_file_id(name):
            return None
        return await asyncio.to_thread(self._service.store.find, name, self._service.clock.now())

    def _url(self, file: StoredFile, origin: str) -> str:
        return self._service.signer.url(origin, file.id, self._service.clock.now(), file.expires_at)

    @contextmanager
    def _flight(self, team: str, key: str | None) -> Iterator[None]:
        """One call at a time has a key. Raises ApiError (409) for a second one."""
        if key is None:
            yield
            return
        if (team, key) in self._service.flights:
            raise key_in_use("The first call with this Idempotency-Key is still in flight.")
        self._service.flights.add((team, key))
        try:
            yield
        finally:
            self._service.flights.discard((team, key))

    def _keep(self, team: str, key: str | None, content_type: str, body: bytearray, origin: str) -> tuple[str, bool]:
        """The answer to an upload, and whether it is a replay. Blocks. Raises ApiError."""
        parts = take_apart(content_type, body)
        digest = "" if key is None else self._digest(parts, body)
        if key is not None and (earlier := self._earlier_answer(team, key, digest)) is not None:
            return earlier, True
        form = read_form(parts)
        facts = inspect(form.content)
        now = self._service.clock.now()
        file = StoredFile(
            id=file_id(now),
            team=team,
            purpose=form.purpose,
            facts=facts,
            size_bytes=len(form.content),
            sha256=hashlib.sha256(form.content).hexdigest(),
            metadata=form.metadata,
            created_at=int(now),
        )
        answer = json.dumps(file.as_object(self._url(file, origin)))
        used = None
        if key is not None:
            used = UsedKey(team=team, key=key, route=UPLOAD_ROUTE, body=digest, answer=answer, used_at=file.created_at)
        self._service.store.add(file, form.content, used)
        return answer, False

    def _earlier_answer(self, team: str, key: str, digest: str) -> str | None:
        used = self._service.store.used_key(team, key, self._service.clock.now())
        if used is None:
            return None
        if used.route != UPLOAD_ROUTE:
            raise key_in_use("This Idempotency-Key was used with another route.")
        if used.body != digest:
            raise key_in_use("This Idempotency-Key was used with another body.")
        return used.answer

    def _digest(self, parts: list[Part], body: bytearray) -> str:
        match self._service.options.idempotency:
            case "documented":
                return whole_body(parts)
            case "seed":
                return purpose_and_metadata(parts)
            case "raw":
                return "raw:" + hashlib.sha256(body).hexdigest()


def idempotency_key(request: web.Request) -> str | None:
    """The key of the call, if it has one. Raises ApiError."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_CHARS:
        raise out_of_range("Idempotency-Key", f"Idempotency-Key has 1 to {MAX_KEY_CHARS} characters.")
    return key


async def read_body(service: Service, request: web.Request) -> bytearray:
    """The whole body. Raises ApiError where it is larger than any acceptable one."""
    body = bytearray()
    seconds, size_bytes = call_of(request).reading_seconds, request.content_length
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise out_of_range("file", f"file is larger than {MAX_BYTES} bytes.")
        await service.pause(seconds * len(chunk) / (size_bytes or len(chunk)))
    return body

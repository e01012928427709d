"""Calls to a sandbox put together by hand, so that nothing of the client's decides what is sent."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

import aiohttp
from PIL import Image

from ingestor.sandbox import DEFAULT_KEY, Sandbox

BOUNDARY = "----a-boundary-of-our-own"


@cache
def image(kind: str = "JPEG", width: int = 6, height: int = 4, seed: int = 0, **saving: Any) -> bytes:
    """A picture of noise: other seeds, other bytes."""
    pixels = random.Random(seed).randbytes(width * height * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, kind, **saving)
    return file.getvalue()


@dataclass(frozen=True, kw_only=True)
class Field:
    """One part of a form, as it is written."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    def encoded(self) -> bytes:
        disposition = f'form-data; name="{self.name}"'
        if self.filename is not None:
            disposition += f'; filename="{self.filename}"'
        head = f"Content-Disposition: {disposition}\r\n"
        if self.content_type is not None:
            head += f"Content-Type: {self.content_type}\r\n"
        return head.encode() + b"\r\n" + self.content


def body_of(fields: Sequence[Field], boundary: str = BOUNDARY) -> bytes:
    line = b"--" + boundary.encode()
    return b"".join(line + b"\r\n" + field.encoded() + b"\r\n" for field in fields) + line + b"--\r\n"


def fields_of(
    content: bytes | None,
    purpose: str | None = "reference",
    metadata: str | Mapping[str, Any] | None = None,
    *,
    filename: str | None = "image.jpg",
    content_type: str | None = "image/jpeg",
) -> list[Field]:
    """The fields of an upload; None leaves one out."""
    fields = []
    if content is not None:
        fields.append(Field(name="file", content=content, filename=filename, content_type=content_type))
    if purpose is not None:
        fields.append(Field(name="purpose", content=purpose.encode()))
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        fields.append(Field(name="metadata", content=text.encode()))
    return fields


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The envelope, which has nothing beside it."""
        (error,) = self.json.values()
        return error

    @property
    def said(self) -> tuple[int, str, str, str | None]:
        """Status, type, code and param of a refusal."""
        return self.status, self.error["type"], self.error["code"], self.error["param"]

    @property
    def is_replay(self) -> bool:
        return self.headers.get("Aurous-Idempotent-Replayed") == "true"

    @property
    def remaining(self) -> int:
        return int(self.headers["X-RateLimit-Remaining"])


class Caller:
    """A client of one sandbox that follows nothing and retries nothing."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        api_key: str | None = DEFAULT_KEY,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        **more: Any,
    ) -> Answer:
        """One request; `path` may be a whole URL."""
        url = path if path.startswith("http") else self.sandbox.base_url + path
        sent = {**({} if api_key is None else {"X-Api-Key": api_key}), **(headers or {})}
        async with self._session.request(
            method, url, headers=sent, data=data, allow_redirects=False, **more
        ) as response:
            return Answer(status=response.status, headers=response.headers, body=await response.read())

    async def get(self, file_id: str, **more: Any) -> Answer:
        return await self.call("GET", f"/v1/files/{file_id}", **more)

    async def delete(self, file_id: str, **more: Any) -> Answer:
        return await self.call("DELETE", f"/v1/files/{file_id}", **more)

    async def upload(
        self,
        content: bytes | None = None,
        *,
        key: str | None = None,
        boundary: str = BOUNDARY,
        fields: Sequence[Field] | None = None,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = DEFAULT_KEY,
        **form: Any,
    ) -> Answer:
        """POST /v1/files, of a small image unless told otherwise; `form` as `fields_of` takes it."""
        parts = fields_of(image() if content is None else content, **form) if fields is None else fields
        sent = {"Content-Type": f"multipart/form-data; boundary={boundary}", **(headers or {})}
        if key is not None:
            sent["Idempotency-Key"] = key
        return await self.call("POST", "/v1/files", api_key=api_key, headers=sent, data=body_of(parts, boundary))

    async def uploaded(self, content: bytes | None = None, **more: Any) -> dict[str, Any]:
        """The file object of an upload that went well."""
        answer = await self.upload(content, **more)
        assert answer.status == 201, answer.body
        return answer.json

    def created(self) -> int:
        """How many files the sandbox has made so far."""
        return self.sandbox.stats()["created_total"]

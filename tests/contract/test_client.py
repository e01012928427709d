"""The client alone, judged by recorded exchanges: it sends what they send, and makes of the answers what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.files_api import ApiKey, HttpFilesApi
from ingestor.model import FileId, IdempotencyKey, Purpose, Receipt, RemoteFile, UploadRequest
from tests import raw_server
from tests.api_kit import http_api
from tests.contract.conversations import Answer, Conversation, Request, Step, conversations, images
from tests.fakes import RecordingObserver

OF_THE_TRANSPORT = {"host", "accept", "accept-encoding", "user-agent", "connection", "content-length", "content-type"}
"""Headers that no exchange records: they say nothing to the API."""


def behaviour(answer: Answer) -> raw_server.Behaviour:
    if answer.json is not None:
        body = json.dumps(answer.json).encode()
    else:
        body = images()[answer.image] if answer.image is not None else (answer.text or "").encode()
    return raw_server.answer(answer.status, body, answer.headers)


def client(request: Request, base_url: str, observer: RecordingObserver) -> HttpFilesApi:
    """A client whose settings are those that the recorded request shows."""
    key = ApiKey(environment={"AUROUS_API_KEY": request.headers["X-Api-Key"]})
    return http_api(base_url, observer, key=key, version=request.headers["Aurous-Version"])


async def call(api: HttpFilesApi, request: Request, folder: Path) -> Any:
    """What the client returns when it is asked for what the recorded request asks for."""
    if request.method == "POST":
        return await api.upload(upload_of(request, folder))
    file_id = FileId(request.path.rpartition("/")[2])
    return await (api.fetch(file_id) if request.method == "GET" else api.delete(file_id))


def upload_of(request: Request, folder: Path) -> UploadRequest:
    file, purpose, metadata = (request.part(name) for name in ("file", "purpose", "metadata"))
    assert file is not None
    assert purpose is not None
    path = folder / "whatever name it has here.bin"
    path.write_bytes(file.content)
    return UploadRequest(
        key=IdempotencyKey(request.headers["Idempotency-Key"]),
        file=path,
        mime_type=str(file.content_type),
        size_bytes=len(file.content),
        purpose=Purpose(str(purpose.text)),
        metadata={} if metadata is None else json.loads(str(metadata.text)),
    )


def receipt_of(answer: Answer) -> Receipt:
    """The receipt that a file object is, read from the record without the client's help."""
    file = answer.json

    def instant(name: str) -> datetime:
        return datetime.strptime(file[name], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    return Receipt(
        file_id=file["id"],
        purpose=Purpose(file["purpose"]),
        mime_type=file["mime_type"],
        size_bytes=file["size_bytes"],
        width_px=file["width_px"],
        height_px=file["height_px"],
        created_at=instant("created_at"),
        expires_at=instant("expires_at"),
        replayed=answer.headers.get("Aurous-Idempotent-Replayed") == "true",
        request_id=answer.headers.get("Aurous-Request-Id"),
    )


def judge_request(recorded: Request, sent: raw_server.Request) -> None:
    assert (sent.method, sent.path) == (recorded.method, recorded.path)
    told = {name: value for name, value in sent.headers.items() if name not in OF_THE_TRANSPORT}
    assert told == {name.lower(): value for name, value in recorded.headers.items()}
    if not recorded.parts:
        assert (sent.body, "content-type" in sent.headers) == (b"", False)
        return
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(sent.headers["content-length"]) == len(sent.body)
    parts = sent.parts()
    assert list(parts) == [part.name for part in recorded.parts]
    for part in recorded.parts:
        headers, content = parts[part.name]
        filename = "" if part.filename is None else f'; filename="{part.filename}"'
        expected = {"content-disposition": f'form-data; name="{part.name}"{filename}'}
        if part.content_type is not None:
            expected["content-type"] = part.content_type
        assert (headers, content) == (expected, part.content)


async def judge_outcome(step: Step, api: HttpFilesApi, folder: Path) -> None:
    expected = dict(step.client)
    expected.pop("notices", None)
    if (name := expected.pop("raises", None)) is not None:
        with pytest.raises(getattr(errors, name)) as caught:
            await call(api, step.request, folder)
        assert type(caught.value).__name__ == name
        assert {attribute: getattr(caught.value, attribute) for attribute in expected} == expected
        assert step.request.headers["X-Api-Key"] not in str(caught.value)
        return
    outcome = await call(api, step.request, folder)
    match expected.pop("returns"):
        case "receipt":
            assert outcome == receipt_of(step.answer)
        case "remote file":
            assert outcome == RemoteFile(receipt=receipt_of(step.answer), url=step.answer.json["url"])
        case "nothing":
            assert outcome is None
    assert not expected


@pytest.mark.parametrize("conversation", conversations("client"), ids=lambda conversation: conversation.name)
async def test_the_client_sends_and_understands_as_recorded(conversation: Conversation, tmp_path: Path) -> None:
    observer = RecordingObserver()
    behaviours = [behaviour(step.answer) for step in conversation.steps]
    async with raw_server.raw_server(*behaviours) as server:
        apis: dict[tuple[str, str], HttpFilesApi] = {}
        for number, step in enumerate(conversation.steps):
            headers = step.request.headers
            settings = (headers["X-Api-Key"], headers["Aurous-Version"])
            api = apis.setdefault(settings, client(step.request, server.base_url, observer))
            await judge_outcome(step, api, tmp_path)
            assert len(server.requests) == number + 1
            judge_request(step.request, server.requests[number])
            if "notices" in step.client:
                assert observer.events() == step.client["notices"]
        for api in apis.values():
            await api.close()

"""The sandbox alone, judged by recorded exchanges: it is asked what they ask, and answers what they answer."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ingestor.sandbox import FAULTS, ApiKey, Bucket, Sandbox, SandboxOptions
from tests.contract.conversations import Answer, Conversation, Request, Step, conversations, images

BOUNDARY = "recorded-boundary"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"


class Told:
    """What the recorded examples of ids, URLs and instants stand for in this run."""

    def __init__(self) -> None:
        self._meant: dict[str, str] = {}

    def means(self, example: str, actual: str, *, distinct: bool = False) -> None:
        """The same example means the same value; with `distinct`, another example means another one."""
        assert self._meant.setdefault(example, actual) == actual
        if distinct:
            assert [told for told, value in self._meant.items() if value == actual] == [example]

    def translate(self, text: str) -> str:
        for example, actual in self._meant.items():
            text = text.replace(example, actual)
        return text


class Asking:
    """One conversation with one sandbox."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self._sandbox = sandbox
        self._session = session
        self._told = Told()
        self._unended: list[tuple[asyncio.Task[Any], Answer]] = []

    async def hold(self, conversation: Conversation) -> None:
        for step in conversation.steps:
            self._prepare(step)
            unended, self._unended = self._unended, []
            if step.ends_after_next:
                await self._begin(step)
            else:
                self._judge(step.answer, *await self._ask(step.request))
            for task, answer in unended:
                self._judge(answer, *await task)

    def _prepare(self, step: Step) -> None:
        given = dict(step.given)
        fault = given.pop("fault", None)
        self._sandbox.set_faults({kind: float(kind == fault) for kind in FAULTS})
        if (hours := given.pop("hours_passed", None)) is not None:
            self._sandbox.advance(hours * 3600)
        if (key := given.pop("key_used_elsewhere", None)) is not None:
            self._sandbox.occupy_key(key)
        assert not given

    async def _begin(self, step: Step) -> None:
        self._sandbox.script("busy")
        task = asyncio.create_task(self._ask(step.request))
        async with asyncio.timeout(10):
            while not self._sandbox.stats()["uploads_in_flight"]:
                await asyncio.sleep(0.005)
        self._unended.append((task, step.answer))

    async def _ask(self, request: Request) -> tuple[int, Any, bytes]:
        path = self._told.translate(request.path)
        url = path if path.startswith("http") else self._sandbox.base_url + path
        headers, body = dict(request.headers), None
        if request.parts:
            line = b"--" + BOUNDARY.encode()
            body = b"".join(line + b"\r\n" + part.encoded() + b"\r\n" for part in request.parts) + line + b"--\r\n"
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as response:
            return response.status, response.headers, await response.read()

    # -- judging

    def _judge(self, recorded: Answer, status: int, headers: Any, body: bytes) -> None:
        assert status == recorded.status, body
        for name, value in recorded.headers.items():
            self._judge_header(name, value, headers)
        assert [name for name in recorded.without if name in headers] == []
        if "Aurous-Idempotent-Replayed" not in recorded.headers:
            assert "Aurous-Idempotent-Replayed" not in headers
        if recorded.json is not None:
            self._judge_json(recorded.json, json.loads(body), headers)
        if recorded.text is not None:
            assert body.decode() == recorded.text
        if recorded.image is not None:
            assert body == images()[recorded.image]

    def _judge_header(self, name: str, recorded: str, headers: Any) -> None:
        actual = headers[name]
        match name:
            case "Content-Type":
                assert actual.split(";")[0] == recorded
            case "Aurous-Request-Id":
                assert re.fullmatch("req_" + ULID, actual)
            case "X-RateLimit-Reset":
                assert int(actual) >= parsedate_to_datetime(headers["Date"]).timestamp()
            case "Retry-After":
                assert 1 <= int(actual) <= int(recorded)
            case "Sunset":
                assert parsedate_to_datetime(actual) > parsedate_to_datetime(headers["Date"])
            case "Location":
                assert actual.startswith("http")
            case _:
                assert actual == recorded

    def _judge_json(self, recorded: dict[str, Any], actual: dict[str, Any], headers: Any) -> None:
        if "error" in recorded:
            assert list(actual) == ["error"]
            self._judge_error(recorded["error"], actual["error"], headers)
            return
        assert set(actual) == set(recorded)
        for name, value in recorded.items():
            if name in ("created_at", "expires_at"):
                assert INSTANT.fullmatch(actual[name])
                self._told.means(value, actual[name])
            elif name == "url":
                assert actual[name].startswith("http")
                self._told.means(value, actual[name])
            elif name == "id" and "deleted" not in recorded:
                assert re.fullmatch("file_" + ULID, actual[name])
                self._told.means(value, actual[name], distinct=True)
            else:
                translated = self._told.translate(value) if name == "id" else value
                assert actual[name] == translated
        if "expires_at" in actual:
            created, expires = (datetime.fromisoformat(actual[name]) for name in ("created_at", "expires_at"))
            assert expires - created == timedelta(hours=24)

    def _judge_error(self, recorded: dict[str, Any], actual: dict[str, Any], headers: Any) -> None:
        assert set(actual) == set(recorded)
        assert (actual["type"], actual["code"]) == (recorded["type"], recorded["code"])
        if recorded["param"] is not None:
            assert actual["param"] == recorded["param"]
        assert actual["message"]
        assert actual["doc_url"].startswith("https://")
        assert actual["request_id"] == headers["Aurous-Request-Id"]


def options(conversation: Conversation, folder: Path) -> SandboxOptions:
    given = dict(conversation.sandbox)
    keys = given.pop("keys", {"al_live_contract": {}})
    bucket = given.pop("upload_bucket", [60, 0.001])
    return SandboxOptions(
        data_dir=folder,
        keys={
            text: ApiKey(**{**key, "scopes": frozenset(key.get("scopes", ("read", "write")))})
            for text, key in keys.items()
        },
        upload_bucket=Bucket(*bucket),
        get_bucket=Bucket(1200, 0.001),
        slow_seconds=0.3,
        **given,
    )


@pytest.mark.parametrize("conversation", conversations("sandbox"), ids=lambda conversation: conversation.name)
async def test_the_sandbox_answers_as_recorded(conversation: Conversation, tmp_path: Path) -> None:
    async with Sandbox(options(conversation, tmp_path)) as sandbox, aiohttp.ClientSession() as session:
        await Asking(sandbox, session).hold(conversation)

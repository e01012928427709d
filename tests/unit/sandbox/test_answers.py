import re

import pytest

from ingestor.sandbox import store

REQUEST_ID = r"req_[0-7][0-9A-HJKMNP-TV-Z]{25}"


async def answers_of_every_sort(caller):
    file = await caller.uploaded()
    return [
        await caller.upload(),
        await caller.get(file["id"]),
        await caller.delete(file["id"]),
        await caller.get(file["id"]),
        await caller.upload(b"no image"),
        await caller.upload(api_key=None),
        await caller.call("GET", file["url"]),
        await caller.call("GET", "/v1/nothing"),
        await caller.call("GET", "/"),
        await caller.call("PUT", "/v1/files"),
        await caller.call("GET", "/openapi.json"),
    ]


async def test_every_answer_carries_request_id_version_and_level(caller):
    answers = await answers_of_every_sort(caller)
    assert [answer.status for answer in answers] == [201, 200, 200, 404, 400, 401, 404, 404, 404, 405, 200]
    for answer in answers:
        assert re.fullmatch(REQUEST_ID, answer.headers["Aurous-Request-Id"])
        assert answer.headers["Aurous-Version"] == "2026-05-15"
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(answer.headers)
    assert len({answer.headers["Aurous-Request-Id"] for answer in answers}) == len(answers)


async def test_every_refusal_has_the_envelope_with_its_own_request_id(caller):
    for answer in await answers_of_every_sort(caller):
        if answer.status >= 400:
            assert list(answer.error) == ["type", "code", "message", "param", "doc_url", "request_id"]
            assert answer.error["request_id"] == answer.headers["Aurous-Request-Id"]
            assert answer.error["doc_url"].startswith("https://")
            assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/files", "POST"),
        ("PUT", "/v1/files", "POST"),
        ("POST", "/v1/files/file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", "DELETE, GET"),
        ("HEAD", "/v1/files/file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", "DELETE, GET"),
    ],
)
async def test_another_method_is_refused_with_those_that_are_allowed(caller, method, path, allowed):
    answer = await caller.call(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_the_date_is_that_of_its_own_clock(caller):
    caller.sandbox.advance(400 * 24 * 3600)
    answer = await caller.get("x")
    assert answer.headers["Date"].split()[3] == str(caller.sandbox.now().year)


async def test_an_accident_of_its_own_is_a_server_error_and_told_in_the_log(caller, monkeypatch, caplog):
    def accident(self, *_):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(store.Store, "add", accident)
    answer = await caller.upload(key="k")
    assert answer.said == (500, "server_error", "internal_error", None)
    assert "on fire" not in answer.body.decode()
    assert "the sandbox failed at POST /v1/files" in caplog.text
    monkeypatch.undo()
    assert (await caller.upload(key="k")).status == 201


async def test_the_answers_are_counted_by_route_and_status(caller):
    file = await caller.uploaded()
    await caller.upload(b"no image")
    await caller.get(file["id"])
    await caller.call("GET", "/nowhere")
    assert caller.sandbox.stats()["requests"] == {
        "GET (no route)": {"404": 1},
        "GET /v1/files/{id}": {"200": 1},
        "POST /v1/files": {"201": 1, "400": 1},
    }

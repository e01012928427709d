"""The endpoints, over real sockets: what is asked, and what becomes of each kind of answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import (
    AccountRefused,
    ApiAnswerInvalid,
    ApiRefusedImage,
    ApiUnavailable,
    FileGone,
    IngestorError,
    KeyInFlight,
    RateLimited,
    ServerFault,
    SourceNotReady,
)
from ingestor.files_api import ApiKey, HttpFilesApi
from ingestor.model import FileId, IdempotencyKey, Purpose, RateHeaders
from ingestor.policy.verdicts import Call
from tests.api_kit import CONTENT, KEY, SHORT, RealClock, an_upload, http_api
from tests.fakes import RecordingObserver
from tests.raw_server import FILE, answer, created, hang, problem, raw, raw_server, reset

ID = FileId(FILE["id"])
RATES = {
    "X-RateLimit-Limit": "60",
    "X-RateLimit-Remaining": "59",
    "X-RateLimit-Reset": "1795514402",
}


async def upload_refused(tmp_path: Path, *behaviours: Any, **more: Any) -> IngestorError:
    """The error of one upload that meets these answers."""
    async with raw_server(*behaviours) as server, http_api(server.base_url, **more) as api:
        with pytest.raises(IngestorError) as caught:
            await api.upload(an_upload(tmp_path))
    assert KEY not in f"{caught.value}{vars(caught.value)}"
    return caught.value


# -- upload ----------------------------------------------------------------------------------------


async def test_an_upload_asks_exactly_what_the_contract_says(tmp_path: Path) -> None:
    key = IdempotencyKey("ing1-" + "b" * 64)
    request = an_upload(tmp_path, key=key, purpose=Purpose.LAST_FRAME, metadata={"b": [1], "a": "ü"})
    async with raw_server(created(purpose="last_frame")) as server, http_api(server.base_url) as api:
        await api.upload(request)
        (sent,) = server.requests
    assert (sent.method, sent.path) == ("POST", "/v1/files")
    assert sent.headers["x-api-key"] == KEY
    assert "authorization" not in sent.headers
    assert sent.headers["idempotency-key"] == key
    assert sent.headers["aurous-version"] == "2026-05-15"
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", sent.headers["aurous-version"])
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["user-agent"] == "ingestor"
    assert re.fullmatch(r"multipart/form-data; boundary=ingestor-[0-9a-f]{40}", sent.headers["content-type"])
    parts = sent.parts()
    assert list(parts) == ["file", "purpose", "metadata"]
    assert parts["file"] == (
        {"content-disposition": 'form-data; name="file"; filename="image.jpg"', "content-type": "image/jpeg"},
        CONTENT,
    )
    assert parts["purpose"] == ({"content-disposition": 'form-data; name="purpose"'}, b"last_frame")
    assert parts["metadata"][1] == '{"a":"ü","b":[1]}'.encode()


async def test_the_same_upload_is_the_same_request_byte_for_byte(tmp_path: Path) -> None:
    request = an_upload(tmp_path, metadata={"a": 1})
    for status in (500, 201):
        async with raw_server(answer(status, FILE)) as server, http_api(server.base_url) as api:
            for _ in range(2):
                try:
                    await api.upload(request)
                except ServerFault:
                    assert status == 500
            first, second = server.requests
        assert first.body == second.body
        assert first.headers == second.headers


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_2xx_with_the_file_object_is_a_receipt(tmp_path: Path, status: int) -> None:
    headers = {"Aurous-Request-Id": "req_7"}
    async with raw_server(answer(status, FILE, headers)) as server, http_api(server.base_url) as api:
        receipt = await api.upload(an_upload(tmp_path))
    assert (receipt.file_id, receipt.size_bytes, receipt.width_px) == (ID, 11, 1024)
    assert (receipt.replayed, receipt.request_id) == (False, "req_7")
    assert "token" not in repr(receipt)


@pytest.mark.parametrize(("header", "replayed"), [("true", True), ("True", True), ("false", False), ("", False)])
async def test_a_replay_is_told_by_its_header(tmp_path: Path, header: str, replayed: bool) -> None:
    behaviour = answer(201, FILE, {"Aurous-Idempotent-Replayed": header})
    async with raw_server(behaviour) as server, http_api(server.base_url) as api:
        assert (await api.upload(an_upload(tmp_path))).replayed is replayed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"purpose": "last_frame"}, "purpose"),
        ({"size_bytes": 12}, "size_bytes"),
        ({"mime_type": "image/png"}, "mime_type"),
    ],
)
async def test_a_receipt_for_another_file_is_none(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    error = await upload_refused(tmp_path, answer(201, {**FILE, **changes}, {"Aurous-Request-Id": "req_8"}))
    assert isinstance(error, ApiAnswerInvalid)
    assert (error.code, error.request_id) == (f"answer_{field}", "req_8")
    assert "answers for another file" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>All is well</body></html>",
        json.dumps(FILE).encode()[:100],
        b"[]",
        b"{}",
        json.dumps({"id": FILE["id"], "object": "file"}).encode(),
        b"\xff\xfe\x00",
        b"x" * 2_000_000,
    ],
)
async def test_a_2xx_without_the_file_object_is_a_fault_of_the_api(tmp_path: Path, body: bytes) -> None:
    error = await upload_refused(tmp_path, answer(200, body, {"Aurous-Request-Id": "req_8"}))
    assert isinstance(error, ApiAnswerInvalid)
    assert isinstance(error, ServerFault)
    assert (error.status, error.request_id) == (200, "req_8")


async def test_a_file_that_is_not_what_was_promised_is_never_sent(tmp_path: Path) -> None:
    request = an_upload(tmp_path)
    async with raw_server(created()) as server, http_api(server.base_url) as api:
        request.file.write_bytes(CONTENT + b"!")
        with pytest.raises(SourceNotReady):
            await api.upload(request)
        request.file.unlink()
        with pytest.raises(SourceNotReady):
            await api.upload(request)
        assert server.requests == []


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "type", "code", "kind"),
    [
        (400, "invalid_request", "missing_field", ApiRefusedImage),
        (400, "invalid_request", "invalid_format", ApiRefusedImage),
        (422, "invalid_request", "value_out_of_range", ApiRefusedImage),
        (400, "invalid_request", "reference_blocked", ApiRefusedImage),
        (409, "invalid_request", "idempotency_key_in_use", KeyInFlight),
        (402, "invalid_request", "balance_too_low", AccountRefused),
        (401, "authentication", "missing_api_key", AccountRefused),
        (401, "authentication", "invalid_api_key", AccountRefused),
        (401, "authentication", "revoked_api_key", AccountRefused),
        (403, "authentication", "missing_scope", AccountRefused),
        (404, "not_found", "resource_not_found", ApiUnavailable),
        (429, "rate_limit", "too_many_requests", RateLimited),
        (429, "rate_limit", "concurrency_limit_exceeded", RateLimited),
        (500, "server_error", "internal_error", ServerFault),
        (502, "server_error", "provider_unavailable", ServerFault),
        (503, "server_error", "provider_unavailable", ServerFault),
        (504, "server_error", "provider_timeout", ServerFault),
    ],
)
async def test_every_row_of_the_error_table_is_its_own_error(
    tmp_path: Path, status: int, type: str, code: str, kind: type[IngestorError]
) -> None:
    error = await upload_refused(tmp_path, problem(status, type, code))
    assert error.__class__ is kind
    assert f"({status} {code}: about {code})" in str(error)
    assert getattr(error, "request_id", None) == "req_1"


@pytest.mark.parametrize("body", [b"", b"<html><h1>502</h1></html>", b'{"error": ', b"[]", b'{"error": "x"}'])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServerFault),
        (401, AccountRefused),
        (402, AccountRefused),
        (403, ServerFault),
        (404, ApiUnavailable),
        (409, ServerFault),
        (413, ApiRefusedImage),
        (429, RateLimited),
        (500, ServerFault),
        (502, ServerFault),
        (503, ServerFault),
        (504, ServerFault),
    ],
)
async def test_an_error_that_is_not_the_apis_own_is_judged_by_its_status(
    tmp_path: Path, status: int, kind: type[IngestorError], body: bytes
) -> None:
    assert (await upload_refused(tmp_path, answer(status, body))).__class__ is kind


async def test_the_request_id_comes_from_the_header_else_from_the_envelope(tmp_path: Path) -> None:
    behaviour = problem(500, "server_error", "internal_error", headers={"Aurous-Request-Id": "req_header"})
    error = await upload_refused(tmp_path, behaviour)
    assert isinstance(error, ServerFault)
    assert error.request_id == "req_header"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, 30.0), ({}, None)],
)
async def test_retry_after_is_told_in_seconds(tmp_path: Path, told: dict[str, str], seconds: float | None) -> None:
    error = await upload_refused(tmp_path, problem(429, "rate_limit", "too_many_requests", headers=told))
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == seconds


async def test_a_redirect_is_not_followed_and_names_where_it_points(tmp_path: Path) -> None:
    async with raw_server(created()) as elsewhere:
        location = elsewhere.base_url.replace("127.0.0.1", "localhost") + "/v1/files?token=s3cret"
        error = await upload_refused(tmp_path, answer(307, b"", {"Location": location}))
        assert elsewhere.requests == []
    assert isinstance(error, ApiUnavailable)
    assert error.reason == "redirect"
    assert "redirects to localhost," in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize("location", ["", "http://[", "/v1/elsewhere"])
async def test_a_redirect_to_nowhere_is_no_crash(tmp_path: Path, location: str) -> None:
    error = await upload_refused(tmp_path, answer(301, b"", {"Location": location}))
    assert "redirects to another place" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        f"no such key {KEY}",
        f"Authorization: Bearer {KEY}",
        "see https://files.example.com/f?token=s3cret-signature",
        "see https://u:s3cret@files.example.com/f",
    ],
)
async def test_what_the_api_quotes_back_is_never_told(tmp_path: Path, message: str) -> None:
    for status, type in ((400, "invalid_request"), (401, "authentication"), (500, "server_error")):
        error = await upload_refused(
            tmp_path,
            problem(status, type, "odd", message=message, request_id=f"req {message}", param=message),
        )
        assert "s3cret" not in f"{error}{vars(error)}"


async def test_not_even_an_unusual_key_is_told(tmp_path: Path) -> None:
    odd = "an-unusual-key-0123456789"
    behaviour = problem(401, odd, odd, message=f"({odd})", headers={"Aurous-Request-Id": odd})
    error = await upload_refused(tmp_path, behaviour, key=ApiKey(environment={"AUROUS_API_KEY": odd}))
    assert odd not in f"{error}{vars(error)}"
    assert isinstance(error, AccountRefused)


@pytest.mark.parametrize("behaviour", [reset, hang, raw(b""), raw(b"HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{")])
async def test_no_answer_is_a_server_fault_that_names_the_host_alone(tmp_path: Path, behaviour: Any) -> None:
    error = await upload_refused(tmp_path, behaviour, timeouts=SHORT)
    assert error.__class__ is ServerFault
    assert "127.0.0.1:" in str(error)


# -- fetch and delete ------------------------------------------------------------------------------


async def test_a_fetch_asks_for_the_file_and_mints_its_url() -> None:
    async with raw_server(answer(200, FILE)) as server, http_api(server.base_url) as api:
        file = await api.fetch(ID)
        (sent,) = server.requests
    assert (sent.method, sent.path, sent.body) == ("GET", f"/v1/files/{ID}", b"")
    assert (sent.headers["x-api-key"], sent.headers["aurous-version"]) == (KEY, "2026-05-15")
    assert "idempotency-key" not in sent.headers
    assert (file.receipt.file_id, file.url) == (ID, FILE["url"])
    assert "s3cret" not in repr(file)


async def test_a_fetch_answered_for_another_file_is_no_answer() -> None:
    async with raw_server(answer(200, {**FILE, "id": "file_OTHER"})) as server, http_api(server.base_url) as api:
        with pytest.raises(ApiAnswerInvalid, match="another file"):
            await api.fetch(ID)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_file_that_is_gone_is_told(status: int) -> None:
    gone = problem(status, "not_found", "resource_not_found")
    async with raw_server(gone) as server, http_api(server.base_url) as api:
        with pytest.raises(FileGone):
            await api.fetch(ID)
        await api.delete(ID)


async def test_a_404_that_is_not_the_apis_own_says_nothing_of_a_file() -> None:
    async with raw_server(answer(404, b"<html>nothing here</html>")) as server, http_api(server.base_url) as api:
        for call in (api.fetch(ID), api.delete(ID)):
            with pytest.raises(ApiUnavailable, match=r"check api\.base_url"):
                await call


async def test_a_delete_asks_for_the_file_to_go() -> None:
    body = {"deleted": True, "id": ID, "object": "file"}
    async with raw_server(answer(200, body)) as server, http_api(server.base_url) as api:
        await api.delete(ID)
        (sent,) = server.requests
    assert (sent.method, sent.path) == ("DELETE", f"/v1/files/{ID}")


@pytest.mark.parametrize("body", [b"", b"{}", {"deleted": False, "id": ID}, {"deleted": True, "id": "file_OTHER"}])
async def test_a_delete_that_is_not_confirmed_has_failed(body: Any) -> None:
    behaviour = answer(200, body, {"Aurous-Request-Id": "req_3"})
    async with raw_server(behaviour) as server, http_api(server.base_url) as api:
        with pytest.raises(ApiAnswerInvalid) as caught:
            await api.delete(ID)
    assert (caught.value.status, caught.value.request_id) == (200, "req_3")


@pytest.mark.parametrize("text", ["..", "file_/../../v2", "a/b.jpg", "", "file_x?y=1"])
async def test_what_is_no_file_id_is_never_put_into_an_address(text: str) -> None:
    async with raw_server(answer(200, FILE)) as server, http_api(server.base_url) as api:
        with pytest.raises(FileGone):
            await api.fetch(FileId(text))
        await api.delete(FileId(text))
        assert server.requests == []


# -- what is told around it ------------------------------------------------------------------------


async def test_the_rates_are_told_once_for_each_request_whatever_became_of_it(tmp_path: Path) -> None:
    told: list[tuple[Call, RateHeaders]] = []
    behaviours = [
        answer(201, FILE, RATES),
        problem(429, "rate_limit", "too_many_requests", headers={**RATES, "X-RateLimit-Remaining": "0"}),
        reset,
        answer(200, FILE, RATES),
        answer(200, {"deleted": True, "id": ID}, RATES),
    ]
    async with raw_server(*behaviours) as server, http_api(server.base_url) as api:
        api.listen(lambda call, headers: told.append((call, headers)))
        await api.upload(an_upload(tmp_path))
        for _ in range(2):
            with pytest.raises((RateLimited, ServerFault)):
                await api.upload(an_upload(tmp_path))
        await api.fetch(ID)
        await api.delete(ID)
        with pytest.raises(SourceNotReady):
            await api.upload(an_upload(tmp_path, file=tmp_path / "gone"))
    calls = [Call.UPLOAD, Call.UPLOAD, Call.UPLOAD, Call.FETCH, Call.DELETE, Call.UPLOAD]
    assert [call for call, _ in told] == calls
    assert [headers.remaining for _, headers in told] == [59, 0, None, 59, 59, None]
    assert (told[0][1].limit, told[0][1].reset_at) == (60, 1795514402.0)


async def test_the_apis_clock_is_held_against_ours() -> None:
    class Late(RealClock):
        def now(self) -> Any:
            from datetime import UTC, datetime

            return datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)

    async with raw_server(answer(200, FILE)) as server, http_api(server.base_url, clock=Late()) as api:
        assert api.clock_offset_seconds is None
        await api.fetch(ID)
        assert api.clock_offset_seconds == 3600.0


async def test_a_route_that_is_going_away_is_told_once_for_each_call_and_date(tmp_path: Path) -> None:
    observer = RecordingObserver()
    old = {"Aurous-Deprecated": "true", "Sunset": "Wed, 31 Mar 2027 00:00:00 GMT"}
    later = {**old, "Sunset": "Thu, 30 Sep 2027 00:00:00 GMT"}
    behaviours = [*[answer(200, FILE, old)] * 3, answer(200, FILE, later), answer(201, FILE, old)]
    async with raw_server(*behaviours) as server, http_api(server.base_url, observer) as api:
        for _ in range(4):
            await api.fetch(ID)
        await api.upload(an_upload(tmp_path))
    assert observer.of("api_deprecated") == [
        {"call": "fetch", "deprecated": "true", "sunset": old["Sunset"]},
        {"call": "fetch", "deprecated": "true", "sunset": later["Sunset"]},
        {"call": "upload", "deprecated": "true", "sunset": old["Sunset"]},
    ]


async def test_a_key_that_does_not_look_like_one_is_sent_with_one_warning() -> None:
    observer = RecordingObserver()
    key = ApiKey(environment={"AUROUS_API_KEY": "unusual-key"})
    async with raw_server(answer(200, FILE)) as server, http_api(server.base_url, observer, key=key) as api:
        for _ in range(2):
            await api.fetch(ID)
        assert server.requests[0].headers["x-api-key"] == "unusual-key"
    assert observer.notices == [("key_unusual", {"origin": "$AUROUS_API_KEY"})]


async def test_without_a_key_nothing_is_sent(tmp_path: Path) -> None:
    async with raw_server(created()) as server, http_api(server.base_url, key=ApiKey(environment={})) as api:
        with pytest.raises(AccountRefused, match="AUROUS_API_KEY is not set"):
            await api.upload(an_upload(tmp_path))
        assert server.requests == []


async def test_a_key_file_is_read_again_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("al_live_OLD")
    file.chmod(0o600)
    key = ApiKey(file=file)
    refused = problem(401, "authentication", "revoked_api_key")
    async with raw_server(refused, created()) as server, http_api(server.base_url, key=key) as api:
        with pytest.raises(AccountRefused):
            await api.upload(an_upload(tmp_path))
        assert key.is_refused()
        file.write_text("al_live_NEW")
        await api.upload(an_upload(tmp_path))
        assert [request.headers["x-api-key"] for request in server.requests] == ["al_live_OLD", "al_live_NEW"]
    assert not key.is_refused()


async def test_it_can_be_closed_unused_twice_and_used_again() -> None:
    async with raw_server(answer(200, FILE)) as server:
        api = http_api(server.base_url)
        await api.close()
        await api.fetch(ID)
        await api.close()
        await api.close()
        await api.fetch(ID)
        await api.close()


def test_the_address_is_shown_without_a_password() -> None:
    api = http_api("https://user:hunter2@api.example.com/")
    assert isinstance(api, HttpFilesApi)
    assert api.base_url == "https://api.example.com"

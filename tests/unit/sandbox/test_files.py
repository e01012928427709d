import asyncio
import hashlib
import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest

from ingestor.sandbox import ApiKey
from tests.unit.sandbox.caller import BOUNDARY, body_of, fields_of, image

UNKNOWN = "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN"
GONE = (404, "not_found", "resource_not_found", None)
DAY, HOUR = 24 * 3600, 3600


# -- POST


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
async def test_an_upload_is_answered_with_the_file_object(caller, kind, mime_type):
    content = image(kind, 7, 5)
    answer = await caller.upload(content, purpose="first_frame", metadata={"campaign": "launch-2026", "n": [1, None]})
    file = answer.json
    assert answer.status == 201
    assert answer.headers["Content-Type"].startswith("application/json")
    assert list(file) == [
        "id", "object", "purpose", "mime_type", "size_bytes", "width_px", "height_px",
        "url", "expires_at", "created_at", "metadata",
    ]  # fmt: skip
    assert re.fullmatch(r"file_[0-7][0-9A-HJKMNP-TV-Z]{25}", file["id"])
    assert (file["object"], file["purpose"], file["mime_type"]) == ("file", "first_frame", mime_type)
    assert (file["size_bytes"], file["width_px"], file["height_px"]) == (len(content), 7, 5)
    assert file["metadata"] == {"campaign": "launch-2026", "n": [1, None]}


async def test_a_file_expires_to_the_second_a_day_after_its_creation(caller):
    before = caller.sandbox.now()
    file = await caller.uploaded()
    created_at, expires_at = (datetime.fromisoformat(file[name]) for name in ("created_at", "expires_at"))
    assert expires_at - created_at == timedelta(hours=24)
    assert before - timedelta(seconds=1) < created_at <= caller.sandbox.now()
    assert file["created_at"].endswith("Z")


@pytest.mark.parametrize("purpose", ["reference", "first_frame", "last_frame"])
async def test_each_purpose_is_taken(caller, purpose):
    assert (await caller.uploaded(purpose=purpose))["purpose"] == purpose


async def test_the_type_is_that_of_the_content_whatever_name_and_header_say(caller):
    file = await caller.uploaded(image("PNG"), filename="x.webp", content_type="text/plain")
    assert file["mime_type"] == "image/png"
    assert (await caller.upload(b"GIF89a", filename="x.png", content_type="image/png")).status == 400


@pytest.mark.parametrize(
    ("upload", "refused"),
    [
        ({"fields": fields_of(None)}, ("missing_field", "file")),
        ({"purpose": None}, ("missing_field", "purpose")),
        ({"purpose": "avatar"}, ("invalid_format", "purpose")),
        ({"metadata": "<string>"}, ("invalid_format", "metadata")),
        ({"metadata": "[1]"}, ("invalid_format", "metadata")),
        ({"content": b""}, ("invalid_format", "file")),
        ({"content": image("GIF")}, ("invalid_format", "file")),
        ({"content": image()[:-40]}, ("invalid_format", "file")),
        ({"content": image("PNG", 4097, 1)}, ("value_out_of_range", "file")),
        ({"content": image("JPEG") + bytes(10_000_000)}, ("value_out_of_range", "file")),
        ({"headers": {"Content-Type": "application/json"}}, ("invalid_format", None)),
        ({"key": ""}, ("value_out_of_range", "Idempotency-Key")),
        ({"key": "k" * 257}, ("value_out_of_range", "Idempotency-Key")),
    ],
)
async def test_what_the_contract_does_not_accept_is_refused_by_name_and_nothing_is_kept(caller, upload, refused):
    answer = await caller.upload(**upload)
    assert answer.said == (400, "invalid_request", *refused)
    assert caller.created() == 0


async def test_ten_million_bytes_are_accepted(caller):
    content = image("PNG") + bytes(10_000_000 - len(image("PNG")))
    assert (await caller.uploaded(content))["size_bytes"] == 10_000_000


async def test_a_body_beyond_any_acceptable_size_is_refused_without_reading_on(caller):
    sent = 0

    async def without_end():
        nonlocal sent
        while sent < 200_000_000:
            yield bytes(1_000_000)
            sent += 1_000_000

    answer = await caller.call("POST", "/v1/files", data=without_end())
    assert answer.said == (400, "invalid_request", "value_out_of_range", "file")
    assert sent < 200_000_000


async def test_a_large_body_without_a_key_is_answered_and_not_cut_off(caller):
    assert (await caller.upload(bytes(9_000_000), api_key=None)).status == 401


async def test_a_body_may_come_without_its_length(caller):
    async def pieces():
        body = body_of(fields_of(image()))
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    answer = await caller.call(
        "POST", "/v1/files", data=pieces(), headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    )
    assert answer.status == 201


async def test_a_client_that_leaves_in_the_middle_of_its_body_makes_no_file(caller):
    at = urlsplit(caller.sandbox.base_url)
    _, writer = await asyncio.open_connection(at.hostname, at.port)
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nX-Api-Key: {caller.sandbox.api_key}\r\nIdempotency-Key: k\r\n"
    writer.write(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b")
    await writer.drain()
    async with asyncio.timeout(5):
        while not caller.sandbox.stats()["uploads_in_flight"]:
            await asyncio.sleep(0.005)
        writer.close()
        while caller.sandbox.stats()["uploads_in_flight"]:
            await asyncio.sleep(0.005)
    assert (await caller.upload(key="k")).status == 201
    assert caller.created() == 1


# -- GET


async def test_a_file_is_fetched_as_it_was_uploaded_with_a_fresh_url(caller):
    uploaded = await caller.uploaded(metadata={"a": 1})
    caller.sandbox.advance(60)
    answer = await caller.get(uploaded["id"])
    fetched = answer.json
    assert answer.status == 200
    assert fetched.pop("url") != uploaded.pop("url")
    assert fetched == uploaded


async def test_a_file_is_there_for_its_day_and_gone_after_it(caller):
    file_id = (await caller.uploaded())["id"]
    caller.sandbox.advance(DAY - 60)
    assert (await caller.get(file_id)).status == 200
    caller.sandbox.advance(60)
    assert (await caller.get(file_id)).said == GONE


@pytest.mark.parametrize("name", [UNKNOWN, "x", "file_", "..%2F..%2Findex.db", "%00", "%F0%9F%98%80", "a%0Ab"])
async def test_what_never_was_is_not_found(caller, name):
    assert (await caller.get(name)).said == GONE


async def test_a_file_of_another_team_is_not_found(serve):
    caller = await serve(keys={"al_live_a": ApiKey(team="a"), "al_live_b": ApiKey(team="b")})
    file_id = (await caller.uploaded(api_key="al_live_a"))["id"]
    assert (await caller.get(file_id, api_key="al_live_b")).said == GONE
    assert (await caller.delete(file_id, api_key="al_live_b")).status == 200
    assert (await caller.get(file_id, api_key="al_live_a")).status == 200


# -- DELETE


async def test_a_delete_purges_at_once_and_says_the_same_again(caller):
    file_id = (await caller.uploaded())["id"]
    for _ in range(2):
        answer = await caller.delete(file_id)
        assert (answer.status, answer.json) == (200, {"deleted": True, "id": file_id, "object": "file"})
    assert (await caller.get(file_id)).said == GONE
    assert caller.sandbox.stats()["live"] == 0


@pytest.mark.parametrize("name", [UNKNOWN, "x"])
async def test_a_delete_of_what_never_was_is_no_error(caller, name):
    answer = await caller.delete(name)
    assert (answer.status, answer.json) == (200, {"deleted": True, "id": name, "object": "file"})


# -- signed URLs


async def test_a_signed_url_serves_the_bytes_to_whoever_holds_it(caller):
    content = image("PNG", 9, 9)
    uploaded = await caller.uploaded(content)
    for url in (uploaded["url"], (await caller.get(uploaded["id"])).json["url"]):
        answer = await caller.call("GET", url, api_key=None)
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["Content-Type"] == "image/png"
        assert "no-store" in answer.headers["Cache-Control"]


async def test_a_signed_url_ends_after_an_hour_and_a_fresh_one_does_not(caller):
    uploaded = await caller.uploaded()
    caller.sandbox.advance(HOUR - 60)
    assert (await caller.call("GET", uploaded["url"], api_key=None)).status == 200
    caller.sandbox.advance(60)
    ended = await caller.call("GET", uploaded["url"], api_key=None)
    assert ended.said == (403, "authentication", "url_expired", None)
    fresh = (await caller.get(uploaded["id"])).json["url"]
    assert (await caller.call("GET", fresh, api_key=None)).status == 200


async def test_a_signed_url_ends_with_its_file(caller):
    uploaded = await caller.uploaded()
    await caller.delete(uploaded["id"])
    assert (await caller.call("GET", uploaded["url"], api_key=None)).said == GONE


@pytest.mark.parametrize("change", [("token=", "token=0"), ("expires=", "expires=9"), ("?", "?x="), ("token=", "t=")])
async def test_a_url_that_was_tampered_with_serves_nothing(caller, change):
    url = (await caller.uploaded())["url"]
    answer = await caller.call("GET", url.replace(*change), api_key=None)
    assert answer.said == (403, "authentication", "invalid_signature", None)


# -- what is kept


async def test_bytes_are_kept_as_they_came(caller):
    content = image("JPEG", 30, 30)
    file = await caller.uploaded(content)
    assert (caller.sandbox.options.data_dir / "files" / file["id"]).read_bytes() == content
    (row,) = caller.sandbox.stats()["created"]
    assert row["sha256"] == hashlib.sha256(content).hexdigest()


async def test_uploads_in_flight_are_counted(serve):
    caller = await serve(slow_seconds=0.1)
    caller.sandbox.script(*["busy"] * 5)
    await asyncio.gather(*(caller.upload(image(seed=number)) for number in range(5)))
    stats = caller.sandbox.stats()
    assert (stats["uploads_in_flight"], stats["uploads_in_flight_peak"]) == (0, 5)


async def test_a_client_that_expects_to_be_told_to_go_on_is_told(caller):
    async with aiohttp.ClientSession() as session:
        form = body_of(fields_of(image()))
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "X-Api-Key": caller.sandbox.api_key,
        }
        url = caller.sandbox.base_url + "/v1/files"
        async with session.post(url, data=form, headers=headers, expect100=True) as response:
            assert response.status == 201

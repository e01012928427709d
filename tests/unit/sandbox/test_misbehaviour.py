"""Refusals and circumstances; what is done to calls and answers is in test_mishaps and test_spoiling."""

import asyncio
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from ingestor.sandbox import FAULTS, ApiKey, Bucket
from tests.unit.sandbox.caller import image

IN_USE = "idempotency_key_in_use"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("http_500", (500, "server_error", "internal_error", None)),
        ("http_502", (502, "server_error", "provider_unavailable", None)),
        ("http_503", (503, "server_error", "provider_unavailable", None)),
        ("http_504", (504, "server_error", "provider_timeout", None)),
        ("rate_limit", (429, "rate_limit", "too_many_requests", None)),
        ("rate_limit_bare", (429, "rate_limit", "too_many_requests", None)),
        ("rate_limit_date", (429, "rate_limit", "too_many_requests", None)),
        ("concurrency", (429, "rate_limit", "concurrency_limit_exceeded", None)),
        ("unauthorized", (401, "authentication", "invalid_api_key", None)),
        ("missing_scope", (403, "authentication", "missing_scope", None)),
        ("no_route", (404, "not_found", "resource_not_found", None)),
        ("in_flight", (409, "invalid_request", IN_USE, "Idempotency-Key")),
        ("key_conflict", (409, "invalid_request", IN_USE, "Idempotency-Key")),
        ("balance", (402, "invalid_request", "balance_too_low", None)),
        ("refused", (400, "invalid_request", "reference_blocked", "file")),
    ],
)
async def test_a_refusal_has_its_envelope_and_no_effect(caller, fault, said):
    caller.sandbox.script(fault)
    answer = await caller.upload()
    assert answer.said == said
    assert answer.error["request_id"] == answer.headers["Aurous-Request-Id"]
    stats = caller.sandbox.stats()
    assert (stats["created_total"], stats["faults"]) == (0, {fault: 1})
    assert (await caller.upload()).status == 201


async def test_retry_after_comes_in_seconds_as_a_date_or_not_at_all(serve):
    caller = await serve(fault_retry_after_seconds=7)
    caller.sandbox.script("rate_limit", "rate_limit_bare", "rate_limit_date", "concurrency")
    seconds, bare, date, concurrency = [await caller.upload() for _ in range(4)]
    assert seconds.headers["Retry-After"] == "7"
    assert "Retry-After" not in bare.headers
    told, now = (parsedate_to_datetime(date.headers[name]) for name in ("Retry-After", "Date"))
    assert (told - now).total_seconds() == 7
    assert concurrency.headers["Retry-After"] == "7"
    assert {answer.remaining for answer in (seconds, bare, date)} == {0}


async def test_too_many_at_once_says_nothing_of_the_bucket_but_the_truth(serve):
    caller = await serve(upload_bucket=Bucket(5, 1))
    caller.sandbox.script("ok", "concurrency", "ok")
    assert [(await caller.upload()).remaining for _ in range(3)] == [4, 4, 3]


async def test_a_fault_spends_no_token_and_tells_the_true_level(serve):
    caller = await serve(upload_bucket=Bucket(5, 1))
    caller.sandbox.script("ok", "http_500", "ok")
    assert [(await caller.upload()).remaining for _ in range(3)] == [4, 4, 3]


async def test_a_key_in_flight_is_free_again_at_once(caller):
    caller.sandbox.script("in_flight")
    assert (await caller.upload(key="k")).error["code"] == IN_USE
    assert (await caller.upload(key="k")).status == 201


async def test_a_key_in_conflict_stays_so_and_another_key_is_free(caller):
    caller.sandbox.script("key_conflict")
    for _ in range(3):
        assert (await caller.upload(key="k")).error["code"] == IN_USE
    assert (await caller.upload(key="k2")).status == 201


async def test_a_key_that_has_made_a_file_cannot_come_into_conflict(caller):
    file = await caller.uploaded(key="k")
    caller.sandbox.script("key_conflict")
    answer = await caller.upload(key="k")
    assert (answer.is_replay, answer.json["id"]) == (True, file["id"])


async def test_a_conflict_of_a_caller_that_nobody_knows_is_unauthorized(caller):
    caller.sandbox.script("key_conflict")
    assert (await caller.upload(key="k", api_key="al_live_unknown")).status == 401


async def test_a_body_that_is_read_slowly_is_taken_all_the_same(serve):
    caller = await serve(slow_seconds=0.2)
    caller.sandbox.script("slow_read")
    slow = asyncio.create_task(caller.upload(key="k"))
    async with asyncio.timeout(5):
        while not caller.sandbox.stats()["uploads_in_flight"]:
            await asyncio.sleep(0.005)
    assert not slow.done()
    assert (await slow).status == 201


async def test_a_large_body_that_is_read_slowly_keeps_its_sender_waiting(serve):
    caller = await serve(slow_seconds=30.0)
    caller.sandbox.script("slow_read")
    async with aiohttp.ClientSession() as session:
        sent = 0

        async def pieces():
            nonlocal sent
            while True:
                yield bytes(64 * 1024)
                sent += 1

        headers = {"X-Api-Key": caller.sandbox.api_key, "Content-Length": "9000000"}
        task = asyncio.create_task(
            session.post(caller.sandbox.base_url + "/v1/files", data=pieces(), headers=headers).__aenter__()
        )
        last = -1
        async with asyncio.timeout(5):
            while sent == 0 or sent != last:
                last = sent
                await asyncio.sleep(0.2)
        assert sent < 9_000_000 // (64 * 1024)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert caller.created() == 0


async def test_a_busy_call_that_its_client_gave_up_still_makes_its_file(serve):
    caller = await serve(slow_seconds=0.5)
    caller.sandbox.script("busy")
    given_up = asyncio.create_task(caller.upload(key="k"))
    async with asyncio.timeout(5):
        while not caller.sandbox.stats()["uploads_in_flight"]:
            await asyncio.sleep(0.005)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert (await caller.upload(key="k")).error["code"] == IN_USE
        while not (answer := await caller.upload(key="k")).is_replay:
            await asyncio.sleep(0.05)
    assert answer.status == 201
    assert caller.created() == 1


async def test_rates_meet_every_kind_of_call_but_nothing_outside_of_the_api(serve):
    caller = await serve(faults={"http_503": 1.0})
    assert (await caller.upload()).status == 503
    assert (await caller.get("x")).status == 503
    assert (await caller.delete("x")).status == 503
    assert (await caller.call("GET", "/openapi.json")).status == 200
    assert (await caller.call("GET", "/v1/nothing")).status == 404
    caller.sandbox.set_faults({"http_503": 0.0})
    assert (await caller.get("x")).status == 404


async def test_a_scope_that_is_missing_is_the_one_the_call_needs(serve):
    caller = await serve(faults={"missing_scope": 1.0})
    assert "write" in (await caller.upload()).error["message"]
    assert "read" in (await caller.get("x")).error["message"]


async def test_a_call_that_is_refused_anyway_meets_no_fault_of_after(caller):
    caller.sandbox.script("lost_answer", "truncated_json")
    assert (await caller.upload(b"no image")).status == 400
    assert (await caller.upload(api_key=None)).status == 401
    assert caller.sandbox.stats()["faults"] == {}


async def test_with_a_third_of_all_answers_bad_every_content_is_made_once(serve):
    bad = sorted(set(FAULTS) - {"key_conflict", "balance", "refused", "missing_scope", "unauthorized", "no_route"})
    caller = await serve(
        faults={kind: 0.35 / len(bad) for kind in bad},
        seed=3,
        hang_seconds=0.05,
        slow_seconds=0.02,
        upload_bucket=Bucket(100_000, 1),
        keys={"al_live_sandbox": ApiKey()},
    )

    async def persist(number):
        for _ in range(50):
            try:
                answer = await caller.upload(image(seed=number), key=f"k{number}")
                if answer.status == 201 and answer.json["size_bytes"] == len(image(seed=number)):
                    return answer.json["id"]
            except (aiohttp.ClientError, OSError, ValueError, KeyError):
                pass
        raise AssertionError(f"{number} never arrived")

    ids = await asyncio.gather(*(persist(number) for number in range(60)))
    stats = caller.sandbox.stats()
    assert [(row["created"], row["live"]) for row in stats["created"]] == [(1, 1)] * 60
    assert sorted(ids) == sorted(name for row in stats["created"] for name in row["ids"])
    assert sum(stats["faults"].values()) > 10

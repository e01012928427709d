import asyncio
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.unit.sandbox.caller import BOUNDARY, body_of, fields_of, image

BEFORE_AND_AFTER = [("html", 0), ("html_after", 1), ("empty", 0), ("empty_after", 1)]


async def attempt(caller, **more):
    """The answer, or None where the connection broke instead."""
    try:
        return await caller.upload(key="k", **more)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
        return None


@pytest.mark.parametrize(("fault", "created"), [("html", 0), ("html_after", 1)])
async def test_a_proxys_page_is_no_answer_of_the_api(caller, fault, created):
    caller.sandbox.script(fault)
    answer = await caller.upload(key="k")
    assert (answer.status, answer.body[:6]) == (502, b"<html>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert not [name for name in answer.headers if name.lower().startswith(("aurous-", "x-ratelimit"))]
    assert caller.created() == created


async def test_a_proxy_may_not_know_the_route(caller):
    caller.sandbox.script("html_404")
    answer = await caller.upload()
    assert (answer.status, answer.body[:6]) == (404, b"<html>")
    assert caller.created() == 0


@pytest.mark.parametrize(("fault", "created"), [("empty", 0), ("empty_after", 1)])
async def test_an_answer_may_be_empty(caller, fault, created):
    caller.sandbox.script(fault)
    answer = await caller.upload(key="k")
    assert (answer.status, answer.body) == (200, b"")
    assert caller.created() == created


async def test_an_answer_that_is_lost_as_a_server_error_had_its_effect(caller):
    caller.sandbox.script("lost_answer")
    answer = await caller.upload(key="k")
    assert answer.said == (500, "server_error", "internal_error", None)
    assert caller.created() == 1


@pytest.mark.parametrize(
    ("fault", "created"), [("reset_before", 0), ("reset_in_body", 0), ("reset_after", 1), ("reset_in_answer", 1)]
)
async def test_the_connection_is_reset_and_the_effect_is_as_the_table_says(caller, caplog, fault, created):
    caller.sandbox.script(fault)
    assert await attempt(caller, content=image("PNG", 300, 300)) is None
    assert caller.created() == created
    assert caller.sandbox.stats()["faults"] == {fault: 1}
    assert not caplog.records


@pytest.mark.parametrize("fault", ["reset_before", "reset_in_body", "reset_after"])
async def test_a_reset_is_a_reset_and_no_orderly_end(caller, fault):
    caller.sandbox.script(fault)
    body = body_of(fields_of(image("PNG", 300, 300)))
    at = urlsplit(caller.sandbox.base_url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: x\r\nX-Api-Key: {caller.sandbox.api_key}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    def send_and_receive():
        with socket.create_connection((at.hostname, at.port), timeout=5) as connection:
            connection.sendall(head.encode() + body)
            return connection.recv(100)

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        await asyncio.to_thread(send_and_receive)


@pytest.mark.parametrize(("fault", "created"), [("hang", 0), ("hang_after", 1)])
async def test_a_call_that_hangs_is_never_answered_and_let_go_when_its_client_leaves(caller, fault, created):
    caller.sandbox.script(fault)
    hanging = asyncio.create_task(caller.upload(key="k"))
    async with asyncio.timeout(5):
        while not caller.sandbox.stats()["faults"]:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert not hanging.done()
        assert caller.created() == created
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        while not caller.sandbox.stats()["requests"]:
            await asyncio.sleep(0.02)
    assert caller.sandbox.stats()["requests"] == {"POST /v1/files": {"none": 1}}


async def test_a_hang_ends_with_a_reset_when_its_time_is_over(serve):
    caller = await serve(hang_seconds=0.1)
    caller.sandbox.script("hang")
    assert await attempt(caller) is None


@pytest.mark.parametrize("fault", ["html_after", "empty_after", "lost_answer", "reset_after", "hang_after"])
async def test_whoever_asks_again_after_a_lost_answer_gets_a_replay(serve, fault):
    caller = await serve(hang_seconds=0.1)
    caller.sandbox.script(fault)
    await attempt(caller)
    answer = await attempt(caller)
    assert (answer.status, answer.is_replay) == (201, True)
    assert caller.created() == 1


@pytest.mark.parametrize("fault", ["html", "empty", "reset_before", "reset_in_body", "hang", "redirect"])
async def test_whoever_asks_again_where_nothing_happened_makes_the_file(serve, fault):
    caller = await serve(hang_seconds=0.1)
    caller.sandbox.script(fault)
    await attempt(caller)
    assert caller.created() == 0
    answer = await attempt(caller)
    assert (answer.status, answer.is_replay) == (201, False)


async def test_a_redirect_leads_to_where_followers_are_counted(caller):
    caller.sandbox.script("redirect")
    answer = await caller.upload()
    assert answer.status == 307
    assert answer.headers["Location"] == f"{caller.sandbox.base_url}/elsewhere/v1/files"
    assert caller.sandbox.stats()["redirects_followed"] == 0
    assert (await caller.call("POST", answer.headers["Location"])).status == 404
    assert caller.sandbox.stats()["redirects_followed"] == 1

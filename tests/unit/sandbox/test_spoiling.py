import json
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from ingestor.sandbox.spoiling import SPOILERS
from tests.unit.sandbox.caller import image

HARMLESS = ["slow", "drip", "deprecated"]


@pytest.fixture
async def quick(serve):
    return await serve(slow_seconds=0.05)


@pytest.mark.parametrize("fault", SPOILERS)
async def test_a_spoiled_answer_is_of_a_call_that_had_its_effect(quick, fault):
    quick.sandbox.script(fault)
    try:
        await quick.upload(key="k")
    except aiohttp.ClientError:
        assert fault == "reset_in_answer"
    again = await quick.upload(key="k")
    assert (again.status, again.is_replay) == (201, True)
    assert quick.created() == 1


@pytest.mark.parametrize("fault", HARMLESS)
async def test_an_answer_that_is_only_late_or_warns_is_whole(quick, fault):
    first = await quick.uploaded(key="k")
    quick.sandbox.script(fault)
    answer = await quick.upload(key="k")
    assert (answer.status, answer.is_replay, answer.json) == (201, True, first)
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Aurous-Request-Id"].startswith("req_")


async def test_an_answer_comes_piece_by_piece(quick):
    pieces = 0
    quick.sandbox.set_faults({"drip": 1.0})
    headers = {"X-Api-Key": quick.sandbox.api_key}
    url = quick.sandbox.base_url + "/v1/files/x"
    async with aiohttp.ClientSession() as session, session.delete(url, headers=headers) as response:
        async for _ in response.content.iter_any():
            pieces += 1
    assert pieces > 3


async def test_an_answer_breaks_off_short_of_its_length(quick):
    quick.sandbox.script("reset_in_answer")
    with pytest.raises(aiohttp.ClientError):
        await quick.upload()


async def test_json_that_ends_in_the_middle_has_the_length_it_says(quick):
    quick.sandbox.script("truncated_json")
    answer = await quick.upload()
    assert answer.status == 201
    assert answer.headers["Content-Length"] == str(len(answer.body))
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


async def test_an_object_may_lack_most_of_its_fields(quick):
    quick.sandbox.script("wrong_json")
    answer = await quick.upload()
    assert (answer.status, list(answer.json)) == (201, ["id", "object"])


async def test_an_answer_may_describe_another_file(quick):
    content = image(seed=9)
    quick.sandbox.script("other_file")
    told = (await quick.upload(content, key="k")).json
    true = (await quick.upload(content, key="k")).json
    assert told["id"] != true["id"]
    assert told["size_bytes"] != true["size_bytes"] == len(content)
    assert (await quick.get(told["id"])).status == 404


async def test_a_get_and_a_delete_may_be_answered_for_another_file(quick):
    file = await quick.uploaded()
    quick.sandbox.set_faults({"other_file": 1.0})
    assert (await quick.get(file["id"])).json["id"] != file["id"]
    assert (await quick.delete(file["id"])).json["id"] != file["id"]


async def test_a_route_that_goes_away_says_when(quick):
    quick.sandbox.script("deprecated")
    answer = await quick.upload()
    assert answer.headers["Aurous-Deprecated"] == "true"
    assert parsedate_to_datetime(answer.headers["Sunset"]) > quick.sandbox.now()

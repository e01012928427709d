import asyncio

import pytest

from ingestor.sandbox import ApiKey
from tests.unit.sandbox.caller import fields_of, image

IN_USE = (409, "invalid_request", "idempotency_key_in_use", "Idempotency-Key")
DAY = 24 * 3600
ONE, OTHER = image(seed=1), image(seed=2)


async def test_the_same_call_with_the_same_key_is_answered_with_the_cached_object(caller):
    first = await caller.upload(key="k", metadata={"a": 1})
    caller.sandbox.advance(3 * 3600)
    again = await caller.upload(key="k", metadata={"a": 1}, boundary="another")
    assert (first.status, first.is_replay) == (201, False)
    assert (again.status, again.is_replay) == (201, True)
    assert again.body == first.body
    assert again.headers["Aurous-Request-Id"] != first.headers["Aurous-Request-Id"]
    assert caller.created() == 1
    assert caller.sandbox.stats()["replays"] == 1


async def test_without_a_key_every_call_is_processed_anew(caller):
    assert (await caller.uploaded())["id"] != (await caller.uploaded())["id"]
    assert caller.created() == 2


async def test_other_keys_make_other_files_of_the_same_content(caller):
    assert (await caller.uploaded(key="a"))["id"] != (await caller.uploaded(key="b"))["id"]


@pytest.mark.parametrize("key", ["k", "k" * 256, "!#$%&'*+-.^_`|~ ()"])
async def test_a_key_has_1_to_256_characters_of_any_kind(caller, key):
    await caller.uploaded(key=key)
    assert (await caller.upload(key=key)).is_replay


@pytest.mark.parametrize(
    "other",
    [
        {"content": OTHER},
        {"purpose": "last_frame"},
        {"metadata": {"a": 2}},
        {"metadata": None},
        {"filename": "other.jpg"},
        {"content": b"no image at all"},
    ],
)
async def test_a_key_that_was_used_with_another_body_is_refused_for_good(caller, other):
    await caller.uploaded(ONE, key="k", metadata={"a": 1})
    for _ in range(2):
        answer = await caller.upload(**{"content": ONE, "metadata": {"a": 1}, **other}, key="k")
        assert answer.said == IN_USE
        assert "Retry-After" not in answer.headers
        caller.sandbox.advance(DAY // 2 - 60)
    assert caller.created() == 1


async def test_a_key_that_was_used_with_another_route_is_refused_for_good(caller):
    caller.sandbox.occupy_key("k")
    answer = await caller.upload(key="k")
    assert answer.said == IN_USE
    assert "another route" in answer.error["message"]
    caller.sandbox.advance(DAY - 60)
    assert (await caller.upload(key="k")).said == IN_USE
    caller.sandbox.advance(60)
    assert (await caller.upload(key="k")).status == 201


async def test_a_key_whose_first_call_is_in_flight_is_refused_until_that_has_ended(serve):
    caller = await serve(slow_seconds=0.5)
    caller.sandbox.script("busy")
    first = asyncio.create_task(caller.upload(key="k"))
    async with asyncio.timeout(5):
        while not caller.sandbox.stats()["uploads_in_flight"]:
            await asyncio.sleep(0.005)
    answer = await caller.upload(key="k")
    assert answer.said == IN_USE
    assert "Retry-After" not in answer.headers
    assert (await caller.upload(key="other")).status == 201
    assert (await first).status == 201
    again = await caller.upload(key="k")
    assert (again.is_replay, again.json["id"]) == (True, (await first).json["id"])


async def test_of_many_calls_at_once_with_one_key_one_makes_the_file(caller):
    answers = await asyncio.gather(*(caller.upload(key="k") for _ in range(20)))
    made = [answer for answer in answers if answer.status == 201 and not answer.is_replay]
    assert len(made) == 1
    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer.json["id"] for answer in answers if answer.status == 201} == {made[0].json["id"]}
    assert caller.created() == 1


@pytest.mark.parametrize(
    "refused",
    [{"content": b"no image"}, {"purpose": "avatar"}, {"purpose": None}, {"metadata": "[]"}],
)
async def test_a_call_that_was_refused_is_not_cached(caller, refused):
    for _ in range(2):
        assert (await caller.upload(**refused, key="k")).status == 400
    answer = await caller.upload(key="k")
    assert (answer.status, answer.is_replay) == (201, False)


@pytest.mark.parametrize("fault", ["http_500", "http_503", "html", "empty", "balance", "refused", "in_flight"])
async def test_a_call_that_had_no_effect_is_not_cached(caller, fault):
    caller.sandbox.script(fault)
    await caller.upload(key="k")
    answer = await caller.upload(key="k")
    assert (answer.status, answer.is_replay) == (201, False)


async def test_a_call_that_was_limited_is_not_cached(caller):
    caller.sandbox.script("rate_limit")
    assert (await caller.upload(key="k")).status == 429
    assert not (await caller.upload(key="k")).is_replay


async def test_keys_are_scoped_to_the_team(serve):
    keys = {"al_live_a": ApiKey(team="a"), "al_live_a2": ApiKey(team="a"), "al_live_b": ApiKey(team="b")}
    caller = await serve(keys=keys)
    first = await caller.uploaded(key="k", api_key="al_live_a")
    same_team = await caller.upload(key="k", api_key="al_live_a2")
    other_team = await caller.upload(OTHER, key="k", api_key="al_live_b")
    assert (same_team.is_replay, same_team.json) == (True, first)
    assert (other_team.status, other_team.is_replay) == (201, False)


async def test_a_key_starts_fresh_a_day_after_its_first_use_when_its_file_ends(caller):
    first = await caller.uploaded(key="k")
    caller.sandbox.advance(DAY - 60)
    last = await caller.upload(key="k")
    assert (last.is_replay, last.json["expires_at"]) == (True, first["expires_at"])
    caller.sandbox.advance(60)
    fresh = await caller.upload(OTHER, key="k")
    assert (fresh.status, fresh.is_replay) == (201, False)
    assert fresh.json["expires_at"] > first["expires_at"]


async def test_a_replay_tells_of_the_file_even_when_it_was_deleted_meanwhile(caller):
    file = await caller.uploaded(key="k")
    await caller.delete(file["id"])
    again = await caller.upload(key="k")
    assert (again.is_replay, again.json["id"]) == (True, file["id"])
    assert (await caller.get(file["id"])).status == 404


async def test_keys_outlive_a_restart(serve, tmp_path):
    first = await serve()
    file = await first.uploaded(key="k")
    await first.sandbox.stop()
    again = await serve()
    answer = await again.upload(key="k")
    assert (answer.is_replay, answer.json["id"]) == (True, file["id"])
    assert (await again.upload(OTHER, key="k")).said == IN_USE


async def test_compared_as_the_seed_page_says_another_image_replays_the_first(serve):
    caller = await serve(idempotency="seed")
    first = await caller.uploaded(ONE, key="k", metadata='{"a": 1, "b": 2}')
    again = await caller.upload(OTHER, key="k", metadata='{"b":2,"a":1}', filename="other.jpg")
    assert (again.is_replay, again.json) == (True, first)
    assert (await caller.upload(ONE, key="k", metadata={"a": 1})).said == IN_USE
    assert (await caller.upload(ONE, key="k", purpose="last_frame", metadata={"a": 1, "b": 2})).said == IN_USE


async def test_compared_byte_for_byte_another_boundary_is_another_body(serve):
    caller = await serve(idempotency="raw")
    await caller.uploaded(key="k")
    assert (await caller.upload(key="k")).is_replay
    assert (await caller.upload(key="k", boundary="another")).said == IN_USE


async def test_a_key_means_nothing_to_the_other_calls(caller):
    file = await caller.uploaded(key="k")
    assert (await caller.get(file["id"], headers={"Idempotency-Key": "k"})).status == 200
    assert (await caller.delete(file["id"], headers={"Idempotency-Key": "k"})).json["deleted"] is True
    assert (await caller.upload(fields=fields_of(image()), key="k")).is_replay

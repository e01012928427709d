import pytest

from ingestor.sandbox import ApiKey, Bucket

TWO_TEAMS = {
    "al_live_a": ApiKey(team="a"),
    "al_live_a2": ApiKey(team="a"),
    "og_old": ApiKey(team="b"),
    "al_live_reads": ApiKey(team="a", scopes=frozenset({"read"})),
    "al_live_writes": ApiKey(team="a", scopes=frozenset({"write"})),
    "al_live_gone": ApiKey(team="a", revoked=True),
}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"X-Api-Key": ""}, "missing_api_key"),
        ({"Authorization": "Basic YTpi"}, "missing_api_key"),
        ({"X-Api-Key": "al_live_unknown"}, "invalid_api_key"),
        ({"Authorization": "Bearer al_live_unknown"}, "invalid_api_key"),
        ({"X-Api-Key": "al_live_gone"}, "revoked_api_key"),
    ],
)
async def test_a_call_without_a_good_key_is_unauthorized(serve, headers, code):
    caller = await serve(keys=TWO_TEAMS)
    for answer in (
        await caller.upload(api_key=None, headers=headers),
        await caller.get("file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", api_key=None, headers=headers),
        await caller.delete("file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", api_key=None, headers=headers),
    ):
        assert answer.said == (401, "authentication", code, None)
    assert caller.created() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": "og_old"},
        {"x-api-key": "al_live_a"},
        {"Authorization": "Bearer al_live_a"},
        {"Authorization": "bearer  al_live_a"},
        {"X-Api-Key": "al_live_a", "Authorization": "Bearer al_live_unknown"},
    ],
)
async def test_a_good_key_is_taken_in_either_header(serve, headers):
    caller = await serve(keys=TWO_TEAMS)
    assert (await caller.upload(api_key=None, headers=headers)).status == 201


async def test_uploads_and_deletes_need_the_scope_write_and_gets_the_scope_read(serve):
    caller = await serve(keys=TWO_TEAMS)
    file_id = (await caller.uploaded(api_key="al_live_writes"))["id"]
    refused = (403, "authentication", "missing_scope", None)
    assert (await caller.upload(api_key="al_live_reads")).said == refused
    assert (await caller.delete(file_id, api_key="al_live_reads")).said == refused
    assert (await caller.get(file_id, api_key="al_live_writes")).said == refused
    assert (await caller.get(file_id, api_key="al_live_reads")).status == 200
    assert (await caller.delete(file_id, api_key="al_live_writes")).status == 200


async def test_keys_of_a_team_share_its_bucket_and_teams_do_not(serve):
    caller = await serve(keys=TWO_TEAMS, upload_bucket=Bucket(5, 1))
    left = [(await caller.upload(api_key=key)).remaining for key in ("al_live_a", "al_live_a2", "al_live_a", "og_old")]
    assert left == [4, 3, 2, 4]


async def test_every_answer_tells_the_bucket_and_an_empty_one_refuses_without_spending(serve):
    caller = await serve(upload_bucket=Bucket(2, 1))
    left = [(await caller.upload()).remaining for _ in range(2)]
    refused = await caller.upload()
    assert left == [1, 0]
    assert refused.said == (429, "rate_limit", "too_many_requests", None)
    assert refused.remaining == 0
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert caller.created() == 2
    for _ in range(5):
        await caller.upload()
    caller.sandbox.advance(int(refused.headers["Retry-After"]))
    assert (await caller.upload()).status == 201


async def test_the_reset_is_when_the_bucket_is_full_by_the_answers_own_date(serve):
    caller = await serve(upload_bucket=Bucket(60, 30))
    for _ in range(10):
        answer = await caller.upload()
    full_at = int(answer.headers["X-RateLimit-Reset"])
    assert full_at - caller.sandbox.now().timestamp() == pytest.approx(20, abs=5)
    caller.sandbox.advance(full_at - caller.sandbox.now().timestamp())
    assert (await caller.upload()).remaining == 59


async def test_retry_after_is_in_seconds_of_the_one_who_waits(serve):
    caller = await serve(upload_bucket=Bucket(1, 0.01), time_scale=60.0)
    await caller.upload()
    waited = int((await caller.upload()).headers["Retry-After"])
    assert 90 <= waited <= 100


async def test_gets_and_deletes_share_a_bucket_apart_from_that_of_the_uploads(serve):
    caller = await serve(upload_bucket=Bucket(9, 1), get_bucket=Bucket(4, 1))
    file_id = (await caller.uploaded())["id"]
    left = [(await caller.get(file_id)).remaining, (await caller.delete(file_id)).remaining]
    assert left == [3, 2]
    assert (await caller.upload()).remaining == 7


async def test_a_call_that_is_refused_otherwise_tells_the_teams_true_level(serve):
    caller = await serve(keys=TWO_TEAMS, upload_bucket=Bucket(5, 1))
    await caller.upload(api_key="al_live_a")
    assert (await caller.upload(api_key="al_live_reads")).remaining == 4
    assert (await caller.upload(api_key="al_live_unknown")).remaining == 5
    assert (await caller.upload(api_key="al_live_gone")).remaining == 5


@pytest.mark.parametrize("text", ["", "2026", "2026-5-15", "2026-05-15T00:00:00Z", "15-05-2026", "2026-02-30", "v1"])
async def test_a_pin_that_is_no_date_is_refused(caller, text):
    answer = await caller.upload(headers={"Aurous-Version": text})
    assert answer.said == (400, "invalid_request", "invalid_format", "Aurous-Version")
    assert answer.headers["Aurous-Version"] == "2026-05-15"


async def test_the_applied_version_is_echoed_on_every_answer(caller):
    pinned = {"Aurous-Version": "2026-01-31"}
    unknown = "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN"
    answers = [
        await caller.upload(headers=pinned),
        await caller.get(unknown, headers=pinned),
        await caller.delete(unknown, headers=pinned),
        await caller.upload(headers=pinned, api_key=None),
        await caller.call("GET", "/v1/nothing", headers=pinned),
    ]
    assert [answer.status for answer in answers] == [201, 404, 200, 401, 404]
    assert {answer.headers["Aurous-Version"] for answer in answers} == {"2026-01-31"}
    assert (await caller.get(unknown)).headers["Aurous-Version"] == "2026-05-15"

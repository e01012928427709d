import pytest

from ingestor.sandbox import ApiKey
from ingestor.sandbox.controls import _is_local
from tests.unit.sandbox.caller import image


async def control(caller, name, body):
    return await caller.call("POST", f"/_sandbox/{name}", api_key=None, json=body)


async def test_the_counts_are_served_as_they_are_told_in_process(caller):
    await caller.uploaded(key="k")
    await caller.upload(key="k")
    served = (await caller.call("GET", "/_sandbox/stats", api_key=None)).json
    told = caller.sandbox.stats()
    assert {**served, "now": None, "requests": None} == {**told, "now": None, "requests": None}
    assert set(told) == {
        "now", "requests", "created", "created_total", "live", "replays", "faults",
        "redirects_followed", "uploads_in_flight", "uploads_in_flight_peak",
    }  # fmt: skip


async def test_files_are_counted_for_each_content(caller):
    for key in ("a", "a", "b"):
        await caller.uploaded(image(seed=1), key=key)
    await caller.uploaded(image(seed=2), key="c")
    deleted = await caller.uploaded(image(seed=2), key="d", purpose="last_frame")
    await caller.delete(deleted["id"])
    stats = caller.sandbox.stats()
    assert [(row["created"], row["live"], row["purpose"]) for row in stats["created"]] == [
        (2, 2, "reference"),
        (1, 1, "reference"),
        (1, 0, "last_frame"),
    ]
    assert len({row["sha256"] for row in stats["created"]}) == 2
    assert (stats["created_total"], stats["live"], stats["replays"]) == (4, 3, 1)


async def test_faults_are_switched_and_scripted_from_outside(caller):
    await control(caller, "script", {"faults": ["http_500", "ok"]})
    assert [(await caller.upload()).status for _ in range(2)] == [500, 201]
    await control(caller, "faults", {"http_503": 1})
    assert (await caller.upload()).status == 503
    await control(caller, "faults", {"http_503": 0})
    assert (await caller.upload()).status == 201


async def test_keys_are_rotated_from_outside(caller):
    await control(caller, "keys", {"al_live_new": {}, "al_live_old": {"revoked": True}, "r": {"scopes": ["read"]}})
    assert (await caller.upload(api_key="al_live_new")).status == 201
    assert (await caller.upload(api_key="al_live_old")).error["code"] == "revoked_api_key"
    assert (await caller.upload(api_key="r")).error["code"] == "missing_scope"
    assert (await caller.upload()).error["code"] == "invalid_api_key"
    assert caller.sandbox.api_key == "al_live_new"


async def test_keys_are_rotated_in_process(caller):
    caller.sandbox.set_keys({"al_live_new": ApiKey()})
    assert (await caller.upload()).status == 401
    assert (await caller.upload(api_key=caller.sandbox.api_key)).status == 201


async def test_the_clock_is_moved_from_outside_and_what_that_ends_is_purged(caller):
    file = await caller.uploaded()
    kept = caller.sandbox.options.data_dir / "files" / file["id"]
    assert kept.exists()
    assert (await control(caller, "advance", {"seconds": 24 * 3600})).json["live"] == 0
    assert not kept.exists()


async def test_a_key_is_occupied_from_outside(caller):
    await control(caller, "occupy", {"key": "k"})
    assert (await caller.upload(key="k")).error["code"] == "idempotency_key_in_use"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("script", {"faults": ["oops"]}),
        ("script", ["http_500"]),
        ("script", {}),
        ("faults", {"http_500": 2}),
        ("faults", [1]),
        ("keys", {"k": {"color": "red"}}),
        ("keys", {"k": 1}),
        ("advance", {"seconds": -1}),
        ("advance", {"seconds": "soon"}),
        ("advance", None),
        ("occupy", {}),
    ],
)
async def test_a_control_that_cannot_be_is_refused_and_changes_nothing(caller, name, body):
    answer = await control(caller, name, body)
    assert answer.said == (400, "invalid_request", "invalid_format", None)
    assert (await caller.upload()).status == 201


async def test_a_control_whose_body_is_no_json_is_refused(caller):
    assert (await caller.call("POST", "/_sandbox/advance", data=b"{")).status == 400


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
        (None, False),
        ("localhost", False),
    ],
)
def test_a_caller_is_of_this_machine_when_its_address_is_loopback(address, local):
    assert _is_local(address) is local


async def test_the_controls_answer_to_this_machine_only(caller, monkeypatch):
    monkeypatch.setattr("ingestor.sandbox.controls._is_local", lambda remote: False)
    for answer in (await caller.call("GET", "/_sandbox/stats"), await control(caller, "advance", {"seconds": 9})):
        assert answer.said == (403, "authentication", "loopback_only", None)
    assert (await caller.upload()).status == 201

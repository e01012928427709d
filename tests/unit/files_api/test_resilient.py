"""Patience: with time that costs nothing, then over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ingestor.errors import (
    AccountRefused,
    ApiAnswerInvalid,
    ApiError,
    ApiRefusedImage,
    ApiUnavailable,
    EnvironmentFault,
    FileGone,
    KeyConflict,
    KeyInFlight,
    RateLimited,
    ServerFault,
    SourceNotReady,
)
from ingestor.files_api import ApiKey, ResilientFilesApi
from ingestor.model import FileId, IdempotencyKey, Lane, RateHeaders
from ingestor.policy.verdicts import Call
from ingestor.quota import LocalQuota
from tests.api_kit import CONTENT, KEY, PATIENT, SHORT, RealClock, an_upload, http_api, resilient_api
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver, ServerBucket
from tests.raw_server import FILE, answer, created, hang, problem, raw_server, reset

T = TypeVar("T")
ID = FileId("file_1")
DOWN = ServerFault("the API failed (503)", status=503, request_id="req_5")
KEY_REFUSED = AccountRefused("key", "the API refuses our API key (401)")


def in_flight() -> KeyInFlight:
    return KeyInFlight("in use", status=409, code="idempotency_key_in_use", request_id="req_4")


def limited(seconds: float | None = None, code: str = "too_many_requests") -> RateLimited:
    return RateLimited("too many (429)", status=429, code=code, retry_after_seconds=seconds)


class Kit:
    """A resilient API around a fake one."""

    def __init__(self, **more: Any) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.inner = FakeFilesApi(self.clock, latency=more.pop("latency", lambda: 0.0))
        self.api = resilient_api(self.inner, self.clock, self.observer, **more)

    async def seconds(self, work: Awaitable[T]) -> tuple[float, T]:
        started = self.clock.monotonic()
        result = await work
        return self.clock.monotonic() - started, result


@pytest.fixture
def kit() -> Kit:
    return Kit()


def keys(count: int) -> list[IdempotencyKey]:
    return [IdempotencyKey(f"ing1-{number:064d}") for number in range(count)]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


# -- one request -----------------------------------------------------------------------------------


async def test_what_goes_well_goes_straight_through(kit: Kit, tmp_path: Path) -> None:
    receipt = await kit.api.upload(an_upload(tmp_path))
    assert (await kit.api.fetch(receipt.file_id)).receipt == receipt
    await kit.api.delete(receipt.file_id)
    assert [call for call, _ in kit.inner.calls] == [Call.UPLOAD, Call.FETCH, Call.DELETE]
    assert kit.observer.notices == []


async def test_server_faults_are_tried_again_under_the_same_key(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(DOWN, DOWN, ApiAnswerInvalid("not JSON"))
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert {key for _, key in kit.inner.calls} == {an_upload(tmp_path).key}
    assert len(kit.inner.calls) == 4
    assert (1 + 2 + 4) / 2 <= seconds <= 1 + 2 + 4
    assert [notice["faults"] for notice in kit.observer.of("api_retry")] == [1, 2, 3]
    assert kit.observer.of("api_retry")[0]["request_id"] == "req_5"


async def test_a_request_that_fails_alone_gives_up_after_its_attempts(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(*[DOWN] * 5)
    with pytest.raises(ApiUnavailable, match="given up for now after 5 attempts") as caught:
        await kit.api.upload(an_upload(tmp_path))
    assert (caught.value.reason, caught.value.request_id) == ("api", "req_5")
    assert not kit.api.breaker.is_open


@pytest.mark.parametrize(
    "error",
    [
        ApiRefusedImage("no", status=422),
        KeyConflict("in use for good", status=409),
        SourceNotReady("vanished", "gone"),
        ZeroDivisionError(),
    ],
)
async def test_what_no_patience_can_cure_is_raised_at_once(kit: Kit, tmp_path: Path, error: Exception) -> None:
    kit.inner.script(error)
    with pytest.raises(type(error)) as caught:
        await kit.api.upload(an_upload(tmp_path))
    assert caught.value is error
    assert len(kit.inner.calls) == 1


async def test_a_file_that_is_gone_is_told(kit: Kit) -> None:
    with pytest.raises(FileGone):
        await kit.api.fetch(ID)


# -- 409 -------------------------------------------------------------------------------------------


async def test_a_key_in_flight_is_waited_for(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(*[in_flight()] * 5)
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert seconds == pytest.approx(0.5 + 1 + 2 + 4 + 8)


async def test_a_key_in_use_for_good_becomes_a_conflict(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(*[in_flight()] * 100)
    started = kit.clock.monotonic()
    with pytest.raises(KeyConflict) as caught:
        await kit.api.upload(an_upload(tmp_path))
    assert 100 <= kit.clock.monotonic() - started <= 120
    assert caught.value.request_id == "req_4"
    assert kit.observer.of("api_paused") == []


# -- 429 -------------------------------------------------------------------------------------------


async def test_a_429_holds_everyone_and_uses_up_no_attempt(tmp_path: Path) -> None:
    kit = Kit(attempts=1)
    kit.inner.script(limited(7.0))
    first = asyncio.ensure_future(kit.api.upload(an_upload(tmp_path)))
    await settle()
    other = an_upload(tmp_path, key=keys(1)[0])
    seconds, _ = await kit.seconds(asyncio.gather(first, kit.api.upload(other)))
    assert 7.0 <= seconds < 7.5
    assert kit.observer.of("quota_held") == [{"call": "upload", "seconds": 7.0}]


async def test_without_retry_after_the_wait_doubles_from_two_seconds(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(*[limited()] * 4)
    await kit.api.upload(an_upload(tmp_path))
    assert [notice["seconds"] for notice in kit.observer.of("quota_held")] == [2, 4, 8, 16]


async def test_many_that_meet_the_same_empty_bucket_count_once(tmp_path: Path) -> None:
    kit = Kit(latency=lambda: 1.0)
    await kit.api.upload(an_upload(tmp_path))  # the first one of a process goes alone
    kit.inner.script(*[limited()] * 4)
    await asyncio.gather(*(kit.api.upload(an_upload(tmp_path, key=key)) for key in keys(4)))
    assert {notice["seconds"] for notice in kit.observer.of("quota_held")} == {2.0}


async def test_whoever_is_refused_again_and_again_yields(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(*[limited(1.0)] * 6)
    await kit.api.upload(an_upload(tmp_path))
    assert [notice["seconds"] for notice in kit.observer.of("quota_held")] == [1, 1, 2, 4, 8, 8]


async def test_no_answer_makes_us_wait_longer_than_an_hour(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(limited(1e9))
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert 3600 <= seconds <= 3601


async def test_a_full_read_bucket_holds_no_upload(kit: Kit, tmp_path: Path) -> None:
    receipt = await kit.api.upload(an_upload(tmp_path))
    kit.inner.script(limited(50.0))
    read = asyncio.ensure_future(kit.api.fetch(receipt.file_id))
    await settle()
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path, key=keys(1)[0])))
    assert seconds < 1.0
    await read


async def test_every_token_that_was_taken_is_answered_for(tmp_path: Path) -> None:
    kit = Kit(upload_quota=(quota := LocalQuota(capacity=10, per_minute=60, clock=FakeClock())))
    errors = [DOWN, limited(0.0), in_flight(), ApiRefusedImage("no"), KEY_REFUSED, SourceNotReady("vanished", "gone")]
    for error in errors:
        kit.inner.script(error)
        with contextlib.suppress(ApiError, SourceNotReady):
            await kit.api.upload(an_upload(tmp_path))
        assert quota.status().in_flight == 0


# -- concurrency -----------------------------------------------------------------------------------


async def test_no_more_uploads_are_in_flight_than_the_setting_allows(tmp_path: Path) -> None:
    kit = Kit(concurrency=3, latency=lambda: 1.0)
    await asyncio.gather(*(kit.api.upload(an_upload(tmp_path, key=key)) for key in keys(20)))
    assert kit.inner.most_in_flight == 3


async def test_too_many_at_once_halves_what_is_in_flight_and_success_gives_it_back(tmp_path: Path) -> None:
    kit = Kit(concurrency=8, latency=lambda: 1.0)
    kit.inner.script(limited(code="concurrency_limit_exceeded"))
    await kit.api.upload(an_upload(tmp_path))
    assert kit.observer.of("uploads_at_once") == [{"limit": 1, "most": 8}]
    assert kit.observer.of("quota_held") == []
    await asyncio.gather(*(kit.api.upload(an_upload(tmp_path, key=key)) for key in keys(60)))
    assert kit.api.slots.limit == 8


@pytest.mark.parametrize("most", [1, 3, 5])
async def test_the_concurrency_settles_near_what_the_api_takes(tmp_path: Path, most: int) -> None:
    class Crowded(FakeFilesApi):
        refused = 0

        async def upload(self, request: Any) -> Any:
            if self.in_flight >= most:
                self.refused += 1
                self._listener(Call.UPLOAD, RateHeaders())
                await self._clock.sleep(0.05)
                raise limited(code="concurrency_limit_exceeded")
            return await super().upload(request)

    clock = FakeClock()
    inner = Crowded(clock, latency=lambda: 1.0)
    api = resilient_api(inner, clock, concurrency=16)
    started = clock.monotonic()
    await asyncio.gather(*(api.upload(an_upload(tmp_path, key=key)) for key in keys(200)))
    assert inner.most_in_flight == most
    assert clock.monotonic() - started <= 1.4 * 200 / most
    assert inner.refused <= 40


@pytest.mark.parametrize("code", ["send_timeout", "answer_timeout", "timeout"])
async def test_a_slow_link_carries_fewer_uploads_at_once(tmp_path: Path, code: str) -> None:
    kit = Kit(concurrency=8)
    kit.inner.script(ServerFault("slow", error_type="network", code=code))
    await kit.api.upload(an_upload(tmp_path))
    assert kit.observer.of("uploads_at_once") == [{"limit": 1, "most": 8}]


async def test_other_faults_leave_the_concurrency_alone(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(DOWN, ServerFault("reset", error_type="network", code="reset"))
    await kit.api.upload(an_upload(tmp_path))
    assert kit.api.slots.limit == 8


async def test_reads_take_no_upload_slot(tmp_path: Path) -> None:
    kit = Kit(concurrency=1, latency=lambda: 100.0)
    upload = asyncio.ensure_future(kit.api.upload(an_upload(tmp_path)))
    await settle()
    with pytest.raises(FileGone):
        await kit.api.fetch(ID)
    assert not upload.done()
    await upload


# -- the breaker -----------------------------------------------------------------------------------


async def test_an_api_that_is_down_is_probed_by_one_at_a_time_and_then_all_go_on(tmp_path: Path) -> None:
    kit = Kit(attempts=3)
    kit.inner.script(*[DOWN] * 12)
    receipts = await asyncio.gather(*(kit.api.upload(an_upload(tmp_path, key=key)) for key in keys(6)))
    assert len({receipt.file_id for receipt in receipts}) == 6
    assert kit.observer.events().count("api_paused") == 1
    assert kit.observer.events().count("api_resumed") == 1
    assert len(kit.inner.calls) == 12 + 6


async def test_an_api_that_is_down_for_an_hour_costs_nobody_an_attempt_and_few_calls(tmp_path: Path) -> None:
    class Down(FakeFilesApi):
        until = 3600.0 + 1000.0

        async def upload(self, request: Any) -> Any:
            if self._clock.monotonic() < self.until:
                self.script(DOWN)
            return await super().upload(request)

    clock = FakeClock()
    inner = Down(clock)
    api = resilient_api(inner, clock)
    await asyncio.gather(*(api.upload(an_upload(tmp_path, key=key)) for key in keys(50)))
    assert clock.monotonic() - Down.until <= 62.0
    assert inner.created == 50
    assert len(inner.calls) - 50 <= 8 + 70


async def test_new_work_is_not_wanted_while_the_api_is_down(tmp_path: Path) -> None:
    kit = Kit()
    await kit.api.ready()
    kit.inner.script(*[DOWN] * 5)
    tasks = [asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=key))) for key in keys(5)]
    await settle()
    assert kit.api.breaker.is_open
    ready = asyncio.ensure_future(kit.api.ready())
    await settle()
    assert not ready.done()
    await asyncio.gather(ready, *tasks)
    assert not kit.api.breaker.is_open


async def test_one_image_that_the_api_chokes_on_stops_no_other(tmp_path: Path) -> None:
    class Choking(FakeFilesApi):
        async def upload(self, request: Any) -> Any:
            if request.key in bad:
                self.script(DOWN)
            return await super().upload(request)

    clock = FakeClock()
    inner = Choking(clock)
    api = resilient_api(inner, clock)
    bad, good = keys(1), keys(40)[1:]
    results = await asyncio.gather(
        *(api.upload(an_upload(tmp_path, key=key)) for key in [*bad, *good]), return_exceptions=True
    )
    assert isinstance(results[0], ApiUnavailable)
    assert inner.created == 39


# -- the account -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["key", "scope", "balance"])
async def test_the_daemon_waits_until_the_account_is_put_right(tmp_path: Path, reason: str) -> None:
    kit = Kit(key=ApiKey(environment={}))
    kit.inner.script(*[AccountRefused(reason, "no")] * 9)
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert 60 < seconds < 600
    assert kit.observer.of("api_paused") == [{"reason": reason, "message": "no"}]
    assert [notice["reason"] for notice in kit.observer.of("api_resumed")] == [reason]


@pytest.mark.parametrize(
    "error", [KEY_REFUSED, AccountRefused("balance", "no"), ApiUnavailable("route", "nothing answers there")]
)
async def test_a_single_run_is_told_at_once(tmp_path: Path, error: EnvironmentFault) -> None:
    kit = Kit(patient=False, key=ApiKey(environment={}))
    kit.inner.script(error)
    with pytest.raises(type(error)) as caught:
        await kit.api.upload(an_upload(tmp_path))
    assert caught.value is error
    assert not kit.api.breaker.is_open


async def test_a_single_run_waits_for_an_api_that_is_down(tmp_path: Path) -> None:
    kit = Kit(patient=False)
    kit.inner.script(*[DOWN] * 12)
    await asyncio.gather(*(kit.api.upload(an_upload(tmp_path, key=key)) for key in keys(6)))
    assert kit.inner.created == 6


async def test_one_redirect_by_mistake_costs_a_second_and_not_a_minute(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(ApiUnavailable("redirect", "redirects elsewhere"))
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert seconds <= 1.5


async def test_ids_can_be_fetched_while_the_balance_is_too_low(kit: Kit, tmp_path: Path) -> None:
    receipt = await kit.api.upload(an_upload(tmp_path))
    kit.inner.script(AccountRefused("balance", "no"))
    waiting = asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=keys(1)[0])))
    await settle()
    assert (await kit.api.fetch(receipt.file_id)).receipt == receipt
    assert not waiting.done()
    await waiting


async def test_a_fetch_that_is_refused_pauses_no_upload(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(AccountRefused("scope", "this key may not read"))
    with pytest.raises(AccountRefused):
        await kit.api.fetch(ID)
    assert not kit.api.breaker.is_open


async def test_a_key_file_that_was_changed_meanwhile_is_tried_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("al_live_NEW")
    file.chmod(0o600)
    key = ApiKey(file=file)
    key.refused("al_live_OLD")
    kit = Kit(key=key)
    kit.inner.script(KEY_REFUSED)
    seconds, _ = await kit.seconds(kit.api.upload(an_upload(tmp_path)))
    assert seconds == 0.0
    assert kit.observer.of("key_read_again") == [{"origin": str(file)}]
    assert kit.observer.of("api_paused") == []


# -- stopping --------------------------------------------------------------------------------------


def stopping(result: object) -> bool:
    return isinstance(result, EnvironmentFault) and result.reason == "stopping"


async def stopped(kit: Kit, *tasks: asyncio.Task[Any]) -> list[object]:
    """What becomes of tasks when everything stops, which takes no time."""
    await settle()
    at = kit.clock.monotonic()
    kit.api.stop()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert kit.clock.monotonic() == at
    return results


async def test_a_stop_ends_the_wait_for_a_token(tmp_path: Path) -> None:
    clock = FakeClock()
    kit = Kit(upload_quota=LocalQuota(capacity=1, per_minute=1, clock=clock))
    await kit.api.upload(an_upload(tmp_path))
    (result,) = await stopped(kit, asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=keys(1)[0]))))
    assert stopping(result)
    assert len(kit.inner.calls) == 1


async def test_a_stop_ends_the_wait_after_a_failure(kit: Kit, tmp_path: Path) -> None:
    kit.inner.script(DOWN)
    (result,) = await stopped(kit, asyncio.ensure_future(kit.api.upload(an_upload(tmp_path))))
    assert stopping(result)


async def test_a_stop_ends_the_wait_for_an_api_that_is_down_and_the_gate_before_the_intake(tmp_path: Path) -> None:
    kit = Kit()
    kit.inner.script(*[DOWN] * 6)
    tasks = [asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=key))) for key in keys(6)]
    await settle()
    assert kit.api.breaker.is_open
    results = await stopped(kit, *tasks, asyncio.ensure_future(kit.api.ready()))
    assert all(stopping(result) for result in results)


async def test_who_waits_hears_why_everything_stops(tmp_path: Path) -> None:
    kit = Kit()
    kit.inner.script(*[DOWN] * 6)
    tasks = [asyncio.ensure_future(kit.api.fetch(ID)) for _ in range(6)]
    await settle()
    assert kit.api.breaker.is_open
    why = ApiUnavailable("api", "given up")
    kit.api.stop(why)
    kit.api.stop()
    assert await asyncio.gather(*tasks, return_exceptions=True) == 6 * [why]
    with pytest.raises(ApiUnavailable, match="given up"):
        await kit.api.fetch(ID)


async def test_a_stop_ends_the_wait_for_a_slot_and_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    kit = Kit(concurrency=1, latency=lambda: 30.0)
    first, second = (asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=key))) for key in keys(2))
    await settle()
    kit.api.stop()
    with pytest.raises(EnvironmentFault):
        await second
    assert not first.done()
    await kit.api.close()
    assert first.done() or await first
    assert kit.inner.created == 1
    assert kit.inner.closed


async def test_after_a_stop_nothing_begins(kit: Kit, tmp_path: Path) -> None:
    kit.api.stop()
    for work in (kit.api.upload(an_upload(tmp_path)), kit.api.fetch(ID), kit.api.ready()):
        with pytest.raises(EnvironmentFault) as caught:
            await work
        assert stopping(caught.value)
    assert kit.inner.calls == []


# -- cancellation ----------------------------------------------------------------------------------


def free(api: ResilientFilesApi, quota: LocalQuota) -> bool:
    """Whether nothing is held by anybody."""
    return api.slots.in_flight == 0 and quota.status().in_flight == 0 and api.breaker._prober is None


@pytest.mark.parametrize("rounds", range(12))
async def test_whoever_is_cancelled_holds_nothing_any_more_wherever_it_stood(tmp_path: Path, rounds: int) -> None:
    clock = FakeClock()
    quota = LocalQuota(capacity=10, per_minute=60, clock=clock)
    inner = FakeFilesApi(clock, latency=lambda: 100.0)
    api = resilient_api(inner, clock, upload_quota=quota)
    task = asyncio.ensure_future(api.upload(an_upload(tmp_path)))
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert free(api, quota)


@pytest.mark.parametrize("rounds", range(12))
async def test_a_cancelled_probe_never_keeps_the_others_waiting(tmp_path: Path, rounds: int) -> None:
    kit = Kit()
    kit.inner.script(*[DOWN] * 4)
    tasks = [asyncio.ensure_future(kit.api.upload(an_upload(tmp_path, key=key))) for key in keys(4)]
    await settle()
    assert kit.api.breaker.is_open
    kit.clock.advance(1.0)
    for _ in range(rounds):
        await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert kit.inner.created >= 3
    assert kit.api.breaker._prober is None


# -- over real sockets -----------------------------------------------------------------------------


def real(base_url: str, observer: RecordingObserver | None = None, **more: Any) -> ResilientFilesApi:
    clock = RealClock()
    timeouts = more.pop("timeouts", PATIENT)
    key = more.pop("key", None) or ApiKey(environment={"AUROUS_API_KEY": KEY})
    inner = http_api(base_url, observer, clock=clock, key=key, timeouts=timeouts)
    return resilient_api(inner, clock, observer, key=key, **more)


TRANSIENT = [
    problem(500, "server_error", "internal_error"),
    problem(503, "server_error", "provider_unavailable", headers={"Retry-After": "1"}),
    answer(502, b"<html>Bad Gateway</html>"),
    answer(504),
    answer(200, b""),
    answer(201, b'{"id": "file_'),
    answer(201, {**FILE, "size_bytes": 99}),
    answer(201, b"x" * 1_500_000),
    problem(409, "invalid_request", "idempotency_key_in_use"),
    problem(429, "rate_limit", "too_many_requests", headers={"Retry-After": "1"}),
    problem(429, "rate_limit", "too_many_requests", headers={"Retry-After": "Tue, 24 Nov 2026 10:00:01 GMT"}),
    problem(429, "rate_limit", "too_many_requests"),
    problem(429, "rate_limit", "concurrency_limit_exceeded"),
    problem(401, "authentication", "invalid_api_key"),
    problem(403, "authentication", "missing_scope"),
    problem(402, "invalid_request", "balance_too_low"),
    answer(404, b"<html>"),
    answer(307, b"", {"Location": "https://elsewhere.example/"}),
    reset,
    hang,
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=range(len(TRANSIENT)))
async def test_each_passing_fault_is_followed_by_the_very_same_request(tmp_path: Path, fault: Any) -> None:
    observer = RecordingObserver()
    async with raw_server(fault, created()) as server:
        api = real(server.base_url, observer, timeouts=SHORT if fault is hang else PATIENT)
        receipt = await api.upload(an_upload(tmp_path, metadata={"a": "ü"}))
        await api.close()
        first, *again = server.requests
    assert receipt.file_id == FILE["id"]
    assert again
    assert first.parts()["file"][1] == CONTENT
    for request in again:
        assert (request.body, request.headers) == (first.body, first.headers)
    assert KEY not in str(observer.notices)
    assert "s3cret" not in str(observer.notices)


async def test_a_replay_after_a_lost_answer_is_a_receipt(tmp_path: Path) -> None:
    replay = answer(201, FILE, {"Aurous-Idempotent-Replayed": "true"})
    async with raw_server(reset, replay) as server:
        api = real(server.base_url)
        assert (await api.upload(an_upload(tmp_path))).replayed
        await api.close()


async def test_a_key_that_is_rotated_while_uploads_are_refused_is_taken_up_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("al_live_OLD")
    file.chmod(0o600)
    observer = RecordingObserver()

    async def only_new(request: Any, writer: Any) -> None:
        if request.headers["x-api-key"] == "al_live_NEW":
            await created()(request, writer)
            return
        await problem(401, "authentication", "revoked_api_key", message="no key al_live_OLD")(request, writer)

    async with raw_server(only_new) as server:
        api = real(server.base_url, observer, key=ApiKey(file=file))
        uploads = [asyncio.ensure_future(api.upload(an_upload(tmp_path, key=key))) for key in keys(3)]
        while not observer.of("api_paused"):
            await asyncio.sleep(0.005)
        assert api.breaker.state.reason == "key"
        file.write_text("al_live_NEW")
        await asyncio.gather(*uploads)
        await api.close()
    assert [notice["reason"] for notice in observer.of("api_resumed")] == ["key"]
    assert "OLD" not in str(observer.notices)


async def test_faults_in_any_mixture_end_in_one_receipt_each(tmp_path: Path) -> None:
    faults = [fault for fault in TRANSIENT if fault is not hang]
    behaviours = [one for fault in faults for one in (fault, created())]
    async with raw_server(*behaviours, created()) as server:
        api = real(server.base_url)
        receipts = await asyncio.gather(*(api.upload(an_upload(tmp_path, key=key)) for key in keys(12)))
        await api.close()
        bodies: dict[str, set[bytes]] = {}
        for request in server.requests:
            bodies.setdefault(request.headers["idempotency-key"], set()).add(request.body)
    assert len(receipts) == 12
    assert [len(sent) for sent in bodies.values()] == [1] * 12


async def test_an_early_stop_ends_real_waits_too(tmp_path: Path) -> None:
    class Patient(RealClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    async with raw_server(problem(429, "rate_limit", "too_many_requests", headers={"Retry-After": "3000"})) as server:
        clock = Patient()
        api = resilient_api(http_api(server.base_url, clock=clock), clock)
        task = asyncio.ensure_future(api.upload(an_upload(tmp_path, lane=Lane.BACKFILL)))
        while not server.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        api.stop()
        with pytest.raises(EnvironmentFault):
            await asyncio.wait_for(task, 5.0)
        await api.close()


async def test_the_rates_of_a_fake_bucket_reach_the_quota(tmp_path: Path) -> None:
    clock = FakeClock()
    quota = LocalQuota(capacity=5, per_minute=60, clock=clock)
    inner = FakeFilesApi(clock, bucket=ServerBucket(clock, burst=60, per_minute=30))
    api = resilient_api(inner, clock, upload_quota=quota)
    await api.upload(an_upload(tmp_path))
    assert (quota.status().capacity, quota.status().left, quota.status().learned) == (60, 59, True)


# -- order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [5.0, 300.0])
async def test_with_a_backlog_of_a_thousand_a_fresh_drop_is_the_next_that_the_api_sees(
    tmp_path: Path, after: float
) -> None:
    clock = FakeClock()
    bucket = ServerBucket(clock)
    inner = FakeFilesApi(clock, bucket=bucket, latency=lambda: 0.8)
    quota = LocalQuota(capacity=60, per_minute=30, at_once=8, clock=clock)
    api = resilient_api(inner, clock, upload_quota=quota, concurrency=8)
    old, fresh = keys(1000), IdempotencyKey("ing1-fresh")
    backlog = [asyncio.ensure_future(api.upload(an_upload(tmp_path, key=key, lane=Lane.BACKFILL))) for key in old]
    await clock.sleep(after)
    sent, asked_at = len(inner.calls), clock.monotonic()
    await api.upload(an_upload(tmp_path, key=fresh, lane=Lane.FRESH))
    overtaken_by = [key for _, key in inner.calls[sent:]].index(fresh)
    assert overtaken_by == 0
    assert clock.monotonic() - asked_at <= 2.1 + 0.8
    api.stop()
    await asyncio.gather(*backlog, return_exceptions=True)
    assert bucket.refused == 0


async def test_fresh_drops_that_never_end_do_not_cost_a_renewal_its_id(tmp_path: Path) -> None:
    clock = FakeClock()
    inner = FakeFilesApi(clock, bucket=ServerBucket(clock), latency=lambda: 0.8)
    quota = LocalQuota(capacity=60, per_minute=30, at_once=8, clock=clock)
    api = resilient_api(inner, clock, upload_quota=quota, concurrency=8)
    drops = [asyncio.ensure_future(api.upload(an_upload(tmp_path, key=key))) for key in keys(1000)]
    await clock.sleep(1.0)
    ends_at = clock.now() + timedelta(minutes=25)
    renewal = an_upload(tmp_path, key=IdempotencyKey("ing1-renewal"), lane=Lane.RENEWAL, replaces_until=ends_at)
    await api.upload(renewal)
    assert timedelta(minutes=19) < ends_at - clock.now() <= timedelta(minutes=20)
    api.stop()
    await asyncio.gather(*drops, return_exceptions=True)

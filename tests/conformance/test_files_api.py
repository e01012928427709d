"""What every `FilesApi` does, whichever it is: over HTTP, with patience around it, and the fake of other tests."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.errors import (
    AccountRefused,
    ApiError,
    ApiRefusedImage,
    FileGone,
    KeyConflict,
    KeyInFlight,
    SourceNotReady,
)
from ingestor.files_api import ApiKey
from ingestor.model import FileId, IdempotencyKey, Purpose, RateHeaders, Receipt, UploadRequest
from ingestor.policy.verdicts import Call
from ingestor.ports import FilesApi
from ingestor.sandbox import Comparison, Sandbox, SandboxOptions
from tests.api_kit import RealClock, http_api, resilient_api
from tests.fakes import FakeClock, FakeFilesApi

DAY = 86_400.0


@dataclass(kw_only=True)
class World:
    """One implementation, and what a test does to the API behind it."""

    api: FilesApi
    advance: Callable[[float], None]
    created: Callable[[], int]
    refuse_next: Callable[[str], None]
    """`refused` or `balance`."""
    bare: bool
    """Without retries: 409 stays what it is."""


# -- the implementations ---------------------------------------------------------------------------


@asynccontextmanager
async def sandbox_world(patience: bool, idempotency: Comparison = "documented") -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(idempotency=idempotency)) as sandbox:
        key = ApiKey(environment={"AUROUS_API_KEY": sandbox.api_key})
        api: Any = http_api(sandbox.base_url, key=key)
        if patience:
            api = resilient_api(api, RealClock(), key=key, patient=False, in_flight_seconds=5.0)
        yield World(
            api=api,
            advance=sandbox.advance,
            created=lambda: sandbox.stats()["created_total"],
            refuse_next=sandbox.script,
            bare=not patience,
        )
        await api.close()


@asynccontextmanager
async def fake_world(patience: bool) -> AsyncIterator[World]:
    clock = FakeClock()
    fake = FakeFilesApi(clock)
    errors = {"refused": ApiRefusedImage("no", status=400), "balance": AccountRefused("balance", "no")}
    yield World(
        api=resilient_api(fake, clock, patient=False) if patience else fake,
        advance=clock.advance,
        created=lambda: fake.created,
        refuse_next=lambda kind: fake.script(errors[kind]),
        bare=not patience,
    )


WORLDS = {
    "http": lambda: sandbox_world(False),
    "http, compared byte for byte": lambda: sandbox_world(False, "raw"),
    "resilient": lambda: sandbox_world(True),
    "fake": lambda: fake_world(False),
    "resilient around the fake": lambda: fake_world(True),
}


@pytest.fixture(params=list(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as world:
        yield world


# -- images and requests ---------------------------------------------------------------------------


def an_image(folder: Path, name: str = "image.jpg", colour: str = "red") -> Path:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(content, "JPEG")
    file = folder / name
    file.write_bytes(content.getvalue())
    return file


def request_for(file: Path, number: int = 1, **changes: Any) -> UploadRequest:
    fields: dict[str, Any] = {
        "key": IdempotencyKey(f"ing1-{number:064x}"),
        "file": file,
        "mime_type": "image/jpeg",
        "size_bytes": file.stat().st_size,
        "purpose": Purpose.REFERENCE,
        "metadata": {"campaign": "launch-2026", "deep": {"ü": [1, None, True]}},
        **changes,
    }
    return UploadRequest(**fields)


def facts(receipt: Receipt) -> Receipt:
    """What a receipt says of the file, whichever call it came with."""
    return replace(receipt, replayed=False, request_id=None)


# -- upload ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_an_upload_gives_a_receipt_for_what_was_sent(world: World, tmp_path: Path, purpose: Purpose) -> None:
    file = an_image(tmp_path)
    receipt = await world.api.upload(request_for(file, purpose=purpose))
    assert receipt.file_id.startswith("file_")
    assert (receipt.purpose, receipt.mime_type) == (purpose, "image/jpeg")
    assert (receipt.size_bytes, receipt.width_px, receipt.height_px) == (file.stat().st_size, 8, 8)
    assert receipt.expires_at - receipt.created_at == timedelta(hours=24)
    assert receipt.created_at.utcoffset() == timedelta(0)
    assert not receipt.replayed
    assert receipt.request_id
    assert world.created() == 1


async def test_an_upload_without_metadata_is_fine(world: World, tmp_path: Path) -> None:
    assert not (await world.api.upload(request_for(an_image(tmp_path), metadata={}))).replayed


async def test_the_same_request_again_is_a_replay_with_the_same_end(world: World, tmp_path: Path) -> None:
    request = request_for(an_image(tmp_path))
    first = await world.api.upload(request)
    world.advance(DAY / 2)
    again = await world.api.upload(request)
    assert again.replayed
    assert facts(again) == facts(first)
    assert world.created() == 1


async def test_the_same_bytes_under_another_name_are_a_replay(world: World, tmp_path: Path) -> None:
    first = await world.api.upload(request_for(an_image(tmp_path)))
    again = await world.api.upload(request_for(an_image(tmp_path, "a copy.jpg")))
    assert (again.file_id, again.replayed) == (first.file_id, True)


async def test_another_key_is_another_file(world: World, tmp_path: Path) -> None:
    file = an_image(tmp_path)
    first, second = [await world.api.upload(request_for(file, number)) for number in (1, 2)]
    assert first.file_id != second.file_id
    assert not second.replayed


async def test_after_a_day_the_key_starts_fresh(world: World, tmp_path: Path) -> None:
    request = request_for(an_image(tmp_path))
    first = await world.api.upload(request)
    world.advance(DAY + 1)
    second = await world.api.upload(request)
    assert second.file_id != first.file_id
    assert not second.replayed
    assert second.expires_at > first.expires_at


@pytest.mark.parametrize("change", ["content", "purpose", "metadata"])
async def test_a_key_used_for_another_body_is_a_conflict(world: World, tmp_path: Path, change: str) -> None:
    file = an_image(tmp_path)
    await world.api.upload(request_for(file))
    changes: dict[str, Any] = {
        "content": {},
        "purpose": {"purpose": Purpose.LAST_FRAME},
        "metadata": {"metadata": {"a": 1}},
    }[change]
    if change == "content":
        file = an_image(tmp_path, "other.jpg", "blue")
    with pytest.raises((KeyConflict, KeyInFlight) if world.bare else KeyConflict) as caught:
        await world.api.upload(request_for(file, **changes))
    assert caught.value.status == 409
    assert world.created() == 1


async def test_the_same_request_twice_at_once_makes_one_file(world: World, tmp_path: Path) -> None:
    request = request_for(an_image(tmp_path))
    results = await asyncio.gather(*(world.api.upload(request) for _ in range(4)), return_exceptions=True)
    receipts = [result for result in results if isinstance(result, Receipt)]
    others = [result for result in results if not isinstance(result, Receipt)]
    assert len({receipt.file_id for receipt in receipts}) == 1
    assert all(world.bare and isinstance(other, KeyInFlight) for other in others)
    assert world.created() == 1


async def test_many_at_once_are_each_their_own_file(world: World, tmp_path: Path) -> None:
    file = an_image(tmp_path)
    receipts = await asyncio.gather(*(world.api.upload(request_for(file, number)) for number in range(12)))
    assert len({receipt.file_id for receipt in receipts}) == 12


async def test_a_file_that_is_not_what_was_promised_is_not_ready(world: World, tmp_path: Path) -> None:
    file = an_image(tmp_path)
    request = request_for(file)
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(SourceNotReady) as caught:
        await world.api.upload(request)
    assert caught.value.reason == "changed"
    file.unlink()
    with pytest.raises(SourceNotReady) as caught:
        await world.api.upload(request)
    assert caught.value.reason == "vanished"
    assert world.created() == 0


async def test_an_image_that_is_refused_may_be_sent_again_under_its_key(world: World, tmp_path: Path) -> None:
    request = request_for(an_image(tmp_path))
    world.refuse_next("refused")
    with pytest.raises(ApiRefusedImage):
        await world.api.upload(request)
    assert not (await world.api.upload(request)).replayed


async def test_an_account_that_is_refused_is_no_fault_of_the_image(world: World, tmp_path: Path) -> None:
    request = request_for(an_image(tmp_path))
    world.refuse_next("balance")
    with pytest.raises(AccountRefused) as caught:
        await world.api.upload(request)
    assert caught.value.reason == "balance"
    assert not isinstance(caught.value, ApiError)
    await world.api.upload(request)


# -- fetch and delete ------------------------------------------------------------------------------


async def test_a_fetch_gives_the_same_facts_and_a_url(world: World, tmp_path: Path) -> None:
    receipt = await world.api.upload(request_for(an_image(tmp_path)))
    file = await world.api.fetch(receipt.file_id)
    assert facts(file.receipt) == facts(receipt)
    assert file.url.startswith(("http://", "https://"))
    assert file.url not in repr(file)


async def test_a_purged_file_is_gone_and_may_be_purged_again(world: World, tmp_path: Path) -> None:
    receipt = await world.api.upload(request_for(an_image(tmp_path)))
    await world.api.delete(receipt.file_id)
    with pytest.raises(FileGone):
        await world.api.fetch(receipt.file_id)
    await world.api.delete(receipt.file_id)


async def test_an_expired_file_is_gone(world: World, tmp_path: Path) -> None:
    receipt = await world.api.upload(request_for(an_image(tmp_path)))
    world.advance(DAY - 60)
    await world.api.fetch(receipt.file_id)
    world.advance(61)
    with pytest.raises(FileGone):
        await world.api.fetch(receipt.file_id)


@pytest.mark.parametrize("text", ["file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", "file_x", "..", "", "file_a/b", "no id at all"])
async def test_an_id_that_never_was_is_gone_and_can_be_purged(world: World, text: str) -> None:
    with pytest.raises(FileGone):
        await world.api.fetch(FileId(text))
    await world.api.delete(FileId(text))


# -- around it -------------------------------------------------------------------------------------


async def test_it_tells_the_rates_of_each_call_once(world: World, tmp_path: Path) -> None:
    if not world.bare:
        assert not hasattr(world.api, "listen")
        return
    told: list[tuple[Call, RateHeaders]] = []
    api: Any = world.api
    api.listen(lambda call, headers: told.append((call, headers)))
    receipt = await api.upload(request_for(an_image(tmp_path)))
    await api.fetch(receipt.file_id)
    await api.delete(receipt.file_id)
    world.refuse_next("refused")
    with pytest.raises(ApiRefusedImage):
        await api.upload(request_for(an_image(tmp_path), 2))
    assert [call for call, _ in told] == [Call.UPLOAD, Call.FETCH, Call.DELETE, Call.UPLOAD]


async def test_it_can_be_closed_more_than_once(world: World) -> None:
    await world.api.close()
    await world.api.close()

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from ingestor.errors import SourceNotReady
from ingestor.files_api.form import form_of
from ingestor.files_api.sending import PIECE_BYTES, SendStalled, Watchdog, body, read_exactly
from ingestor.model import FileIdentity
from tests.api_kit import an_upload


async def not_ready(file: Path, size_bytes: int = 3) -> str:
    with pytest.raises(SourceNotReady) as caught:
        await read_exactly(file, size_bytes)
    assert str(file) in str(caught.value)
    return caught.value.reason


async def test_all_bytes_of_a_file_are_read(tmp_path: Path) -> None:
    content = os.urandom(3 * PIECE_BYTES + 17)
    (tmp_path / "x").write_bytes(content)
    assert await read_exactly(tmp_path / "x", len(content)) == content


async def test_a_file_is_read_in_one_hop_to_a_thread(tmp_path: Path, hops: Counter[str]) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    await read_exactly(tmp_path / "x", 3)
    assert hops.total() == 1


@pytest.mark.parametrize("content", [b"", b"ab", b"abcd", b"x" * 100_000])
async def test_a_file_of_another_size_is_not_ready(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert await not_ready(tmp_path / "x") == "changed"


async def test_a_file_that_vanished_is_not_ready(tmp_path: Path) -> None:
    assert await not_ready(tmp_path / "gone") == "vanished"
    (tmp_path / "x").write_bytes(b"abc")
    assert await not_ready(tmp_path / "x" / "below") == "vanished"


async def test_what_is_no_regular_file_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert await not_ready(tmp_path / "link") == "unreadable"
    assert await not_ready(tmp_path / "pipe") == "unreadable"
    assert await not_ready(tmp_path / "folder") in ("unreadable", "busy")
    assert await not_ready(Path("/dev/zero")) == "unreadable"


async def test_a_file_is_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x").write_bytes(b"abc")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await not_ready(tmp_path / "folder")
        await not_ready(tmp_path / "x", 4)
        await read_exactly(tmp_path / "x", 3)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_body_is_the_form_around_the_image(tmp_path: Path) -> None:
    content = os.urandom(2 * PIECE_BYTES + 5)
    form = form_of(an_upload(tmp_path, content))
    async with Watchdog(10.0) as watchdog:
        sent = [bytes(piece) async for piece in body(form, content, watchdog)]
    assert b"".join(sent) == form.head + content + form.tail
    assert max(len(piece) for piece in sent) <= PIECE_BYTES


async def test_an_image_of_no_bytes_has_a_body_too(tmp_path: Path) -> None:
    form = form_of(an_upload(tmp_path, b""))
    async with Watchdog(10.0) as watchdog:
        assert [piece async for piece in body(form, b"", watchdog)] == [form.head, form.tail]


async def test_a_body_that_stands_still_is_ended(tmp_path: Path) -> None:
    form = form_of(an_upload(tmp_path, b"abc"))

    async def send() -> None:
        async with Watchdog(0.02) as watchdog:
            async for _ in body(form, b"abc", watchdog):
                await asyncio.sleep(3600)

    with pytest.raises(SendStalled):
        await send()


async def test_after_the_body_nothing_is_ended(tmp_path: Path) -> None:
    form = form_of(an_upload(tmp_path, b"abc"))
    async with Watchdog(0.02) as watchdog:
        async for _ in body(form, b"abc", watchdog):
            pass
        await asyncio.sleep(0.05)


async def test_an_upload_that_never_begins_to_send_is_not_ended() -> None:
    async with Watchdog(0.02):
        await asyncio.sleep(0.05)


async def test_a_body_that_outlives_the_exchange_does_no_harm(tmp_path: Path) -> None:
    form = form_of(an_upload(tmp_path, b"abc"))
    async with Watchdog(0.02) as watchdog:
        pieces = body(form, b"abc", watchdog)
        await anext(pieces)
    assert [bytes(piece) async for piece in pieces] == [b"abc", form.tail]


async def test_other_errors_pass_through_the_watchdog() -> None:
    async def fail() -> None:
        async with Watchdog(10.0) as watchdog:
            watchdog.progress()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_a_cancelled_caller_is_cancelled_and_not_stalled() -> None:
    async def send() -> None:
        async with Watchdog(10.0) as watchdog:
            watchdog.progress()
            await asyncio.sleep(3600)

    task = asyncio.ensure_future(send())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_source_that_was_rewritten_since_it_was_hashed_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"first")
    identity = FileIdentity.of(file.stat())
    assert await read_exactly(file, 5, identity) == b"first"
    file.write_bytes(b"other")
    with pytest.raises(SourceNotReady) as caught:
        await read_exactly(file, 5, identity)
    assert caught.value.reason == "changed"

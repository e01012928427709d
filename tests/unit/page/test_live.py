from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingestor.page import live as live_module
from ingestor.page.site import MOST_STREAMS
from tests.unit.page.kit import TOKEN, Page


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "LOOK_SECONDS", 0.005)


async def test_a_change_is_told_once(page: Page) -> None:
    async with asyncio.timeout(20), page.client.get("/events") as stream:
        assert stream.content_type == "text/event-stream"
        first = await stream.content.readuntil(b"\n\n")
        assert first.startswith(b"event: change\ndata: ")
        page.site.recent.notice("found", folder="inbox", number=1)
        second = await stream.content.readuntil(b"\n\n")
        assert second.startswith(b"event: change\ndata: ")
        assert second != first


async def test_silence_is_filled_so_that_the_stream_stays(page: Page) -> None:
    async with asyncio.timeout(20), page.client.get("/events") as stream:
        await stream.content.readuntil(b"\n\n")
        page.world.clock.advance(live_module.QUIET_SECONDS)
        assert await stream.content.readuntil(b"\n\n") == b": nothing new\n\n"


async def test_a_stream_has_no_head_alone(page: Page) -> None:
    assert (await page.client.head("/events")).status == 405


async def test_streams_end_with_the_page(page: Page) -> None:
    async with asyncio.timeout(20), page.client.get("/events") as stream:
        await stream.content.readuntil(b"\n\n")
        page.site.ending.set()
        assert await stream.content.read() == b""


async def test_there_are_only_so_many_streams(page: Page) -> None:
    async with asyncio.timeout(20):
        streams = [await page.get("/events") for _ in range(MOST_STREAMS)]
        refused = await page.get("/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        streams[0].close()
        while (again := await page.get("/events")).status == 503:
            await asyncio.sleep(0.01)  # until it is noticed that a reader has gone
        for stream in (*streams, again):
            stream.close()


class TestWithToken:
    @pytest.fixture
    def token_file(self, tmp_path: Path) -> Path:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        file.chmod(0o600)
        return file

    async def test_a_stream_ends_with_its_session(self, page: Page) -> None:
        await page.post("/login", {"token": TOKEN}, page=None)
        async with asyncio.timeout(20), page.client.get("/events") as stream:
            await stream.content.readuntil(b"\n\n")
            assert (await page.post("/logout", {}, page="/")).status == 303
            assert await stream.content.read() == b""

"""The page, asked over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ingestor.ledger import SqliteLedger
from ingestor.page.page import application
from tests.fakes import FakeClock, FakeFilesApi
from tests.ledger_kit import empty_ledger_in
from tests.unit.page.kit import Engine, Page, World, site_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def world(tmp_path: Path, clock: FakeClock) -> AsyncIterator[World]:
    ledger = SqliteLedger(empty_ledger_in(tmp_path), clock)
    await ledger.open()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    yield World(inbox=inbox, clock=clock, ledger=ledger, api=FakeFilesApi(clock), engine=Engine(clock))
    await ledger.close()


@pytest.fixture
def token_file() -> Path | None:
    """Overridden by tests of a page that asks for one."""
    return None


@pytest.fixture
async def page(world: World, token_file: Path | None) -> AsyncIterator[Page]:
    site = await site_of(world, token_file)
    async with TestClient(TestServer(application(site))) as client:
        yield Page(site, world, client)
        site.ending.set()
    await site.retrying.stop()
    await site.thumbnails._close()
    await site.browser.close()

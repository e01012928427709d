from __future__ import annotations

import asyncio
import re

import pytest

from ingestor.ledger.browsing import Sought
from ingestor.model import SourceState
from ingestor.page import quarantine as quarantine_module
from ingestor.page.places import word_of
from tests.ledger_kit import sighting
from tests.unit.page.kit import Page


async def quarantined(page: Page, path: str, reason: str = "truncated", folder: str = "inbox") -> None:
    source = await page.world.walk.taken(sighting(path, folder=folder))
    await page.world.ledger.quarantine(source, None, reason, f"{path}: <no>", "req_1")


async def waiting(page: Page) -> list[str]:
    return [entry.path for entry in await page.world.ledger.entries(states=[SourceState.WAITING])]


async def until_done(page: Page) -> None:
    async with asyncio.timeout(20):
        while page.site.retrying.is_busy:
            await asyncio.sleep(0.005)


async def test_reasons_and_images_are_listed(page: Page) -> None:
    await quarantined(page, "a.jpg")
    await quarantined(page, "b.jpg", "not_an_image")
    await page.count()
    text = await page.text("/quarantine")
    assert "a.jpg: &lt;no&gt;" in text
    assert "request req_1" in text
    assert "The end of the file is missing" in text
    assert text.count(">Put back</button>") == 2
    narrowed = await page.text("/quarantine?reason=not_an_image&folder=inbox")
    assert narrowed.count(">Put back</button>") == 1
    assert "b.jpg" in narrowed


async def test_nothing_in_quarantine_is_said(page: Page) -> None:
    await page.count()
    assert "Nothing is quarantined." in await page.text("/quarantine")


async def test_one_image_is_put_back_and_that_is_said(page: Page) -> None:
    await quarantined(page, "a.jpg")
    await quarantined(page, "b.jpg")
    await page.count()
    answer = await page.post("/retry", {"at": word_of(("inbox", "a.jpg"))})
    assert (answer.status, answer.headers["Location"]) == (303, "/quarantine")
    assert await waiting(page) == ["a.jpg"]
    text = await page.text("/quarantine")
    assert re.search(r"Put back in line.*inbox/a\.jpg.*1 image,", text)
    assert (await page.post("/retry", {"at": word_of(("inbox", "a.jpg"))})).status == 409
    assert (await page.post("/retry", {"at": word_of(("inbox", "nowhere.jpg"))})).status == 409
    assert (await page.post("/retry", {"at": "%"})).status == 400
    assert (await page.post("/retry", {})).status == 400


async def test_all_with_a_reason_of_a_folder_are_put_back(page: Page) -> None:
    await quarantined(page, "a.jpg")
    await quarantined(page, "b.jpg", "not_an_image")
    await quarantined(page, "c.jpg", folder="other")
    await page.count()
    await page.post("/retry", {"reason": "truncated", "folder": "inbox"})
    await until_done(page)
    assert await waiting(page) == ["a.jpg"]


async def test_what_the_daemon_does_not_watch_stays_quarantined_and_is_told_of(page: Page) -> None:
    await quarantined(page, "a.jpg")
    await quarantined(page, "c.jpg", folder="elsewhere")
    await page.count()
    await page.post("/retry", {"all": "yes"})
    await until_done(page)
    assert await waiting(page) == ["a.jpg"]
    retried = page.site.retrying.latest
    assert retried is not None
    ((place, why),) = retried.problems
    assert place == ("elsewhere", "c.jpg")
    assert "the folder elsewhere is not one of the running `ingestor watch`" in why


async def test_hundreds_are_put_back_while_the_page_answers(page: Page) -> None:
    for number in range(130):
        await quarantined(page, f"{number:03}.jpg")
    await page.count()
    assert (await page.post("/retry", {"all": "yes"})).status == 303
    assert (await page.get("/healthz")).status == 200
    await until_done(page)
    retried = page.site.retrying.latest
    assert retried is not None
    assert (retried.put_back, retried.failed) == (130, 0)
    assert retried.ended_at is not None
    assert len(await waiting(page)) == 130


async def test_all_once_is_enough(page: Page) -> None:
    await quarantined(page, "a.jpg")
    await page.count()
    retrying = page.site.retrying
    assert retrying.all(Sought(state="quarantined"))
    assert not retrying.all(Sought(state="quarantined"))
    await until_done(page)
    retrying._task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    assert (await page.post("/retry", {"all": "yes"})).status == 409


async def test_what_cannot_be_put_back_is_told_and_stays(page: Page) -> None:
    await quarantined(page, "a.jpg")
    source = sighting("a.jpg").source
    await page.world.ledger.note_put_away(source, "/nowhere/a.jpg")
    await page.count()
    await page.post("/retry", {"all": "yes"})
    await until_done(page)
    retried = page.site.retrying.latest
    assert retried is not None
    assert (retried.put_back, retried.failed) == (0, 1)
    assert "1 could not be" in await page.text("/quarantine")
    assert await waiting(page) == []


async def test_pages_of_the_quarantine_lead_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_module, "PAGE", 2)
    for number in range(3):
        await quarantined(page, f"{number}.jpg")
    await page.count()
    text = await page.text("/quarantine")
    found = re.search(r'rel="next" href="([^"]+)"', text)
    assert found is not None
    assert "2.jpg" in await page.text(found[1].replace("&amp;", "&"))

from __future__ import annotations

import asyncio
import html
import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from ingestor.errors import ApiUnavailable
from ingestor.ledger import browsing
from ingestor.model import Purpose, UploadRequest
from ingestor.page import images as images_module
from ingestor.page import thumbnails
from ingestor.page.places import word_of
from tests.ledger_kit import content, payload, sighting, source_of
from tests.unit.page.kit import Page, World

LINK = re.compile(r'href="(/image\?at=[\w-]+)">([^<]*)<')


async def listed(page: Page, query: str = "") -> list[str]:
    return [html.unescape(path) for _, path in LINK.findall(await page.text(f"/images{query}"))]


async def live(world: World, path: str, number: int) -> str:
    """A file in the inbox that the API has; its file id."""
    file = world.inbox / path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (number, 90, 200)).save(file)
    source = source_of(world.inbox, path)
    seen = sighting(path)
    seen = seen.__class__(source=source, context=seen.context)
    intent = await world.walk.intended(seen, content(number))
    receipt = await world.api.upload(
        UploadRequest(
            key=intent.key,
            file=file,
            mime_type="image/png",
            size_bytes=file.stat().st_size,
            purpose=Purpose.REFERENCE,
            metadata={},
        )
    )
    assert await world.ledger.complete(source, intent, payload(), receipt)
    await world.ledger.finish(source, None)
    return receipt.file_id


async def test_search_filters_and_ids_find_what_they_say(page: Page) -> None:
    walk = page.world.walk
    receipt = await walk.uploaded(sighting("a/one.jpg"), content(1, campaign="x"))
    await walk.uploaded(sighting("a/two.jpg", folder="other"), content(2))
    bad = await walk.taken(sighting("bad.jpg"))
    await walk.ledger.quarantine(bad, None, "truncated", "no", None)
    await page.count()
    assert await listed(page) == ["bad.jpg", "a/one.jpg", "a/two.jpg"]
    assert await listed(page, "?q=ONE") == ["a/one.jpg"]
    assert await listed(page, "?folder=other") == ["a/two.jpg"]
    assert await listed(page, "?state=quarantined") == ["bad.jpg"]
    assert await listed(page, "?state=live&q=other%2Fa") == ["a/two.jpg"]
    assert await listed(page, f"?q={receipt.file_id}") == ["a/one.jpg"]
    assert await listed(page, f"?q={content(2).digest}") == ["a/two.jpg"]
    assert await listed(page, "?state=nonsense&folder=") == ["bad.jpg", "a/one.jpg", "a/two.jpg"]
    assert await listed(page, "?q=nowhere") == []
    assert "No image is like this." in await page.text("/images?q=nowhere")


async def test_a_file_id_of_the_past_still_finds_its_image(page: Page) -> None:
    walk = page.world.walk
    first = await walk.uploaded(sighting("one.jpg"), content(1))
    second = await walk.renewed(sighting("one.jpg"), content(1))
    assert first.file_id != second.file_id
    assert await listed(page, f"?q={first.file_id}") == ["one.jpg"]


async def test_pages_lead_on_and_keep_what_was_asked(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "PAGE", 4)
    names = [f"x&{number:02}.jpg" for number in range(10)]
    await page.world.walk.taken(*(sighting(name) for name in names), sighting("other.png"))
    seen: list[str] = []
    query = "?q=x%26&state=waiting"
    while True:
        text = await page.text(f"/images{query}")
        seen += [html.unescape(path) for _, path in LINK.findall(text)]
        found = re.search(r'rel="next" href="/images([^"]+)"', text)
        if found is None:
            break
        query = html.unescape(found[1])
    assert seen == names
    assert "First page" in text


async def test_a_search_that_takes_long_offers_to_look_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "SLICE", 3)
    monkeypatch.setattr(browsing, "LOOK_SECONDS", 0.0)
    await page.world.walk.taken(*(sighting(f"{number}.jpg") for number in range(8)))
    text = await page.text("/images?q=nowhere")
    assert "as far as" in text
    assert "inbox/2.jpg" in text
    assert "Look on" in text


@pytest.mark.parametrize(
    "path", ["a b/c&d=e?.jpg", "\udcff\udcfe.jpg", "back\\slash.jpg", "ünï/日本.jpg", "%2e%2e/x.jpg"]
)
async def test_an_image_of_any_name_has_its_page(page: Page, path: str) -> None:
    receipt = await page.world.walk.uploaded(sighting(path), content(1))
    ((link, _),) = LINK.findall(await page.text("/images"))
    text = await page.text(link)
    assert receipt.file_id in text
    assert "uploaded as" in text
    assert "Fresh URL" in text


async def test_the_story_is_told_latest_first_with_its_next_step(page: Page) -> None:
    walk = page.world.walk
    await walk.uploaded(sighting("one.jpg"), content(1, campaign="<b>launch</b>"))
    page.world.clock.advance(60)
    await walk.renewed(sighting("one.jpg"), content(1, campaign="<b>launch</b>"))
    text = await page.text(f"/image?at={word_of(('inbox', 'one.jpg'))}")
    assert 0 < text.index("uploaded again, now") < text.index("uploaded as")
    assert "its id is good until" in text
    assert "<code>ingestor renew</code> prevents that" in text
    assert "&lt;b&gt;launch&lt;/b&gt;" in text
    assert "data-copy=" in text
    assert content(1).digest in text


@pytest.mark.parametrize("at", ["", "%", word_of(("inbox", "nowhere.jpg")), word_of(("nobody", "../../etc/passwd"))])
async def test_what_the_ledger_does_not_know_is_not_found(page: Page, at: str) -> None:
    for path in ("/image", "/thumbnail"):
        assert (await page.get(f"{path}?at={at}")).status == 404


# -- urls


async def test_a_fresh_url_is_whole_on_the_page_and_asked_for_once(page: Page) -> None:
    file_id = await live(page.world, "one.png", 1)
    at = word_of(("inbox", "one.png"))
    for _ in range(3):
        answer = await page.post("/url", {"at": at}, page=f"/image?at={at}")
        text = await answer.text()
        assert answer.status == 200
        assert f'value="https://files.invalid/{file_id}?token=' in text
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert 'rel="noreferrer noopener"' in text
    assert [call for call, _ in page.world.api.calls].count("fetch") == 1
    assert "files.invalid" not in await page.text(f"/image?at={at}")


async def test_a_url_of_an_id_that_is_gone_is_refused_in_words(page: Page) -> None:
    file_id = await live(page.world, "one.png", 1)
    await page.world.api.delete(file_id)  # type: ignore[arg-type]
    at = word_of(("inbox", "one.png"))
    answer = await page.post("/url", {"at": at}, page=f"/image?at={at}")
    assert "No URL: the API does not know this id any more" in await answer.text()


async def test_a_url_while_the_api_is_down_is_not_waited_for_long(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    await live(page.world, "one.png", 1)
    at = word_of(("inbox", "one.png"))
    page.world.api.script(ApiUnavailable("api", "the API cannot be reached"))
    answer = await page.post("/url", {"at": at}, page=f"/image?at={at}")
    assert "No URL: the API cannot be reached" in await answer.text()

    async def never(file_id: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(images_module, "URL_SECONDS", 0.01)
    monkeypatch.setattr(page.world.api, "fetch", never)
    answer = await page.post("/url", {"at": at}, page=f"/image?at={at}")
    assert "No URL: the API does not answer just now" in await answer.text()


async def test_an_image_without_an_id_has_no_url(page: Page) -> None:
    await page.world.walk.taken(sighting("one.jpg"))
    at = word_of(("inbox", "one.jpg"))
    assert "Fresh URL" not in await page.text(f"/image?at={at}")
    answer = await page.client.post("/url", data={"at": at, "proof": page.site.access.form_proof(None)})
    assert "No URL: there is no live id any more" in await answer.text()


# -- thumbnails


async def test_a_thumbnail_is_small_and_made_by_a_worker(page: Page) -> None:
    await live(page.world, "a/one.png", 1)
    at = word_of(("inbox", "a/one.png"))
    for _ in range(2):
        answer = await page.get(f"/thumbnail?at={at}")
        assert answer.status == 200
        made = Image.open(io.BytesIO(await answer.read()))
        assert max(made.size) == thumbnails.SIDE_PX
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    pool = page.site.thumbnails._pool
    assert pool is not None
    assert len(pool.worker_pids) == 1
    left = [path.name for path in page.world.ledger.path.parent.glob("ingest-*")]
    assert left == [], "nothing stays in the spool"


async def test_a_file_that_was_put_away_is_looked_for_where_it_is(page: Page, tmp_path: Path) -> None:
    await live(page.world, "one.png", 1)
    moved = tmp_path / "done" / "one.png"
    moved.parent.mkdir()
    source = source_of(page.world.inbox, "one.png")
    shutil.move(page.world.inbox / "one.png", moved)
    await page.world.ledger.note_put_away(source, str(moved))
    assert (await page.get(f"/thumbnail?at={word_of(('inbox', 'one.png'))}")).status == 200


@pytest.mark.parametrize("spoil", ["gone", "text", "symlink"])
async def test_there_is_no_picture_of_what_is_no_image(page: Page, spoil: str) -> None:
    await live(page.world, "one.png", 1)
    file = page.world.inbox / "one.png"
    file.unlink()
    if spoil == "text":
        file.write_text("root:x:0:0")
    elif spoil == "symlink":
        Image.new("RGB", (64, 64)).save(page.world.inbox / "secret.png")
        file.symlink_to("secret.png")
    answer = await page.get(f"/thumbnail?at={word_of(('inbox', 'one.png'))}")
    assert answer.status == 404
    assert "root" not in await answer.text()


async def test_who_asks_for_too_many_at_once_is_told_to_come_again(page: Page) -> None:
    await live(page.world, "one.png", 1)
    page.site.thumbnails._waiting = thumbnails.MOST_WAITING
    answer = await page.get(f"/thumbnail?at={word_of(('inbox', 'one.png'))}")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


async def test_the_worker_of_thumbnails_ends_when_nobody_looks(page: Page) -> None:
    await live(page.world, "one.png", 1)
    await page.get(f"/thumbnail?at={word_of(('inbox', 'one.png'))}")
    running = asyncio.create_task(page.site.thumbnails.run())
    async with asyncio.timeout(20):
        while page.site.thumbnails._pool is not None:
            page.world.clock.advance(thumbnails.IDLE_SECONDS)
            await asyncio.sleep(0.005)
    running.cancel()

"""The pictures of the README; PICTURES=config/docs pytest -n 0 tests/browser/test_pictures.py puts them there

A day of a studio is told to the page by a clock of its own, so that there is something to see, and always the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import math
import os
import random
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from PIL import Image, ImageFilter
from playwright.async_api import Browser, Page

from ingestor.ledger import SqliteLedger
from ingestor.model import Digest, FileId, Sighting
from ingestor.page.page import application
from ingestor.page.places import word_of
from ingestor.page.site import Site
from ingestor.policy.idempotency import content_id
from tests.fakes import FakeClock, FakeFilesApi
from tests.ledger_kit import Walk, content, empty_ledger_in, payload, receipt, sighting, source_of
from tests.samples import photograph
from tests.unit.page.kit import QUOTA, Engine, World, site_of

MOST_BYTES = 150_000

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = (
    ("spring/look-017.jpg", "truncated", "look-017.jpg: the end of the image is missing (1,204,224 bytes so far)"),
    ("spring/look-018.jpg", "truncated", "look-018.jpg: the end of the image is missing (88,064 bytes so far)"),
    ("notes/brief.png", "not_an_image", "brief.png: is not an image but text; exclude such files"),
    ("scans/poster.tif", "too_many_pixels", "poster.tif: 30000x20000 pixels are more than normalise.max_pixels"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio() -> AsyncIterator[tuple[Site, str]]:
    """The page after a day's work, and its address."""
    with contextlib.ExitStack() as stack:
        async for made in _studio(stack):
            yield made


async def _studio(stack: contextlib.ExitStack) -> AsyncIterator[tuple[Site, str]]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="studio-")))
    clock = FakeClock()
    ledger = SqliteLedger(empty_ledger_in(folder), clock)
    await ledger.open()
    inbox = folder / "inbox"
    inbox.mkdir()
    world = World(inbox=inbox, clock=clock, ledger=ledger, api=FakeFilesApi(clock), engine=Engine(clock))
    site = await site_of(world)
    await a_day(world, site)
    server = TestServer(application(site))
    await server.start_server()
    yield site, f"http://127.0.0.1:{server.port}"
    site.ending.set()
    await server.close()
    await site.thumbnails._close()
    await site.browser.close()
    await ledger.close()


async def a_day(world: World, site: Site) -> None:
    """Bursts of uploads over 24 hours, a few bad images, a dozen good ones that can be looked at."""
    rng, recent, clock = random.Random(5), site.recent, world.clock
    recent.notice("watch_mode", folder="inbox", mode="native", why="a local file system", degraded=False)
    left = 60.0
    for minute in range(24 * 60):
        busy = max(0.0, math.sin(minute / 150) + math.sin(minute / 47) * 0.6)
        uploads = min(int(left) + 30, int(busy * 24 + rng.random() * 3)) if busy > 0.15 else 0
        left = max(0.0, min(60.0, left + 30 - uploads))
        for _ in range(uploads):
            recent.notice("image_end", outcome="uploaded", folder="inbox", path="x.jpg")
        if uploads and left < 1 and rng.random() < 0.05:
            recent.notice("quota_held", call="upload")
        if uploads and rng.random() < 0.04:
            recent.notice("image_end", outcome="quarantined", folder="inbox", path="x.jpg", reason="truncated")
        world.quota = replace(QUOTA, left=int(left))
        recent.set_snapshot(site.counting.snapshot())
        clock.advance(60)
    await the_latest(world, site)
    world.quota, world.engine.running = replace(QUOTA, left=17, in_flight=4), 4
    await site.counting.count_totals()
    await site.counting.count_stands()
    beating = asyncio.create_task(site.pulse.run())
    await asyncio.sleep(0)
    beating.cancel()


async def the_latest(world: World, site: Site) -> None:
    walk, recent, clock = Walk(world.ledger, world.clock), site.recent, world.clock
    for path, reason, message in BAD:
        source = await walk.taken(sighting(path))
        await world.ledger.quarantine(source, None, reason, message, None)
        clock.advance(7 * 60)
    recent.notice("found", folder="inbox", number=1240)
    for number in range(12):
        path = f"spring/look-{number:03}.jpg"
        file = world.inbox / path
        file.parent.mkdir(exist_ok=True)
        photograph(640, 480, number).filter(ImageFilter.GaussianBlur(12)).save(file, quality=90)
        seen = replace(sighting(path), source=source_of(world.inbox, path))
        file_id = await uploaded(walk, seen, file)
        recent.notice("image_end", outcome="uploaded", folder="inbox", path=path, file_id=file_id)
        clock.advance(3)
    path, reason, message = BAD[0]
    recent.notice("image_end", outcome="quarantined", folder="inbox", path=path, reason=reason, message=message)
    recent.notice("file_event", folder="inbox", number=1)
    recent.notice("scan_end", folder="inbox", files=1256, seconds=0.1, rescued=2)
    await walk.taken(*(sighting(f"spring/look-{number:03}.jpg") for number in range(20, 46)))
    clock.advance(4)


async def uploaded(walk: Walk, seen: Sighting, file: Path) -> FileId:
    """From found to live, with numbers such as the API gives."""
    digest = Digest(hashlib.sha256(file.read_bytes()).hexdigest())
    metadata = {"campaign": "launch-2026", "original": seen.source.path}
    what = replace(content(), digest=digest, metadata=metadata)
    what = replace(what, content_id=content_id(digest, what.purpose, metadata))
    intent = await walk.intended(seen, what)
    size_bytes = file.stat().st_size
    file_id = FileId(f"file_01M88{digest[:21].upper()}")
    promised = replace(
        receipt(walk.clock),
        file_id=file_id,
        mime_type="image/jpeg",
        size_bytes=size_bytes,
        width_px=640,
        height_px=480,
        request_id=f"req_01M88{digest[-21:].upper()}",
    )
    as_found = replace(payload(), sha256=digest, mime_type="image/jpeg", size_bytes=size_bytes, normalised=())
    assert await walk.ledger.complete(seen.source, intent, as_found, promised)
    await walk.ledger.finish(seen.source, None)
    return file_id


async def picture(browser: Browser, site: Site, url: str, file: Path, width: int, height: int, *, dark: bool) -> None:
    """A page as it looks; in fewer colours where it would be large, since a README is fetched often."""
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page: Page = await context.new_page()
    await page.clock.set_fixed_time(site.now() + timedelta(milliseconds=300))
    await page.goto(url)
    await page.wait_for_function("() => document.getElementById('live-state').textContent === 'Live'")
    await page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth)")
    shot = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    await context.close()
    file.parent.mkdir(parents=True, exist_ok=True)
    shot.save(file, optimize=True)
    if file.stat().st_size > MOST_BYTES:
        shot.quantize(256).save(file, optimize=True)
    assert file.stat().st_size < MOST_BYTES


async def test_pictures_are_made(browser: Browser, studio: tuple[Site, str], tmp_path: Path) -> None:
    site, url = studio
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    image = f"{url}/image?at={word_of(('inbox', 'spring/look-004.jpg'))}"
    await picture(browser, site, url, folder / "page-overview.png", 1180, 1200, dark=False)
    await picture(browser, site, image, folder / "page-image.png", 1180, 720, dark=True)
    await picture(browser, site, f"{url}/quarantine", folder / "page-quarantine.png", 1180, 800, dark=False)
    await picture(browser, site, url, folder / "page-phone.png", 400, 800, dark=True)

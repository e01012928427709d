from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from ingestor.files_api import BreakerStatus, SlotsStatus
from ingestor.observe.recent import Recent
from ingestor.page.overview import overview, rate_per_minute, verdict
from ingestor.runtime.now import status_now
from ingestor.runtime.pulse import Phase
from tests.ledger_kit import content, sighting
from tests.unit.page.kit import Page


def said(page: Page) -> tuple[str, str]:
    return verdict(page.site, status_now(page.site.parts, page.site.recent))


def text_of(html: str) -> str:
    """What a reader sees, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def test_before_anything_has_happened_all_is_said_to_be_well(page: Page) -> None:
    text = text_of(await page.text("/"))
    assert "All is done; watching for new images." in text
    assert "41 of 60" in text
    assert "None since the start." in text


async def test_an_image_that_arrives_is_in_every_number(page: Page) -> None:
    walk, recent = page.world.walk, page.site.recent
    receipt = await walk.uploaded(sighting("a/b.jpg"), content(1))
    source = await walk.taken(sighting("bad.jpg"))
    await walk.ledger.quarantine(source, None, "truncated", "bad.jpg: the end is missing", None)
    await walk.taken(sighting("next.jpg"))
    recent.notice("found", folder="inbox", number=3)
    recent.notice("watch_mode", folder="inbox", mode="native", why="a local file system", degraded=False)
    recent.notice("scan_end", folder="inbox", files=3, seconds=0.5, rescued=1)
    recent.notice("file_event", folder="inbox", number=1)
    recent.notice("image_end", outcome="uploaded", folder="inbox", path="a/b.jpg", file_id=receipt.file_id)
    await page.count()
    text = text_of(await page.text("/"))
    assert "Working." in text
    assert "1 in line" in text
    assert "Live ids 1 next ends in 1 d" in text
    assert "Quarantined 1" in text
    assert f"uploaded {receipt.file_id}" in text
    assert "events a local file system now now 3 files, under 1 s 3 1 1 1" in text
    facts = overview(page.site)
    assert facts["queue"] == {"settling": 0, "waiting": 1, "working": 0}
    assert facts["rate"] == 1.0


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda page: setattr(page.site.pulse, "phase", Phase.STARTING), "waiting", "Starting"),
        (lambda page: setattr(page.site.pulse, "phase", Phase.DRAINING), "waiting", "Stopping: 0 images"),
        (lambda page: setattr(page.world.engine, "stands_since", 0.0), "bad", "Something is wrong: the engine"),
        (
            lambda page: setattr(
                page.world, "breaker", BreakerStatus(is_open=True, reason="balance", message="too low")
            ),
            "bad",
            "Waiting for the API: too low",
        ),
        (
            lambda page: page.site.recent.notice("disk_paused", reason="disk_full", message="var is full"),
            "waiting",
            "Waiting for a disk: var is full.",
        ),
        (
            lambda page: page.site.recent.notice("folder_gone", folder="inbox", path="/mnt/x"),
            "bad",
            "A folder is not there: inbox.",
        ),
    ],
)
async def test_what_is_waited_for_is_said_first(page: Page, change: object, kind: str, words: str) -> None:
    change(page)  # type: ignore[operator]
    assert said(page)[0] == kind
    assert said(page)[1].startswith(words)
    assert f"verdict-{kind}" in await page.text("/")


async def test_with_tokens_left_it_is_no_quota_that_uploads_wait_for(page: Page) -> None:
    now = page.world.clock.now()
    page.world.quota = replace(page.world.quota, waiting=16, next_free_at=now)
    page.world.slots = SlotsStatus(in_flight=8, limit=8, most=8)
    assert status_now(page.site.parts, page.site.recent)["waiting_for"] is None
    page.world.slots = SlotsStatus(in_flight=2, limit=2, most=8)
    assert said(page)[1].startswith("Waiting for the API or the link, which takes only 2 uploads at once")
    assert status_now(page.site.parts, page.site.recent)["uploads"] == {"in_flight": 2, "at_once": 2, "most": 8}
    page.world.quota = replace(page.world.quota, next_free_at=now + timedelta(seconds=2))
    assert said(page)[1].startswith("Waiting for quota: 16 uploads wait for tokens, the next one is there at")


async def test_the_rate_is_that_of_the_last_minutes(page: Page) -> None:
    clock, recent = page.world.clock, page.site.recent
    for _ in range(10):
        for _ in range(30):
            recent.notice("image_end", outcome="uploaded", folder="inbox", path="x.jpg")
        clock.advance(60)
    rate = rate_per_minute(recent.snapshot(), clock.now())
    assert rate == pytest.approx(30, rel=0.25)
    assert rate_per_minute(recent.snapshot(), clock.now() + timedelta(seconds=1)) <= rate


async def test_names_of_any_kind_are_shown_without_harm(page: Page) -> None:
    walk, recent = page.world.walk, page.site.recent
    for number, path in enumerate(("<script>alert(1)</script>.jpg", "a\"b'c.jpg", "line\nbreak.jpg", "\udcff.jpg")):
        await walk.uploaded(sighting(path), content(number))
        recent.notice("image_end", outcome="uploaded", folder="inbox", path=path)
        recent.notice("image_end", outcome="quarantined", folder="inbox", path=path, reason="x", message=f"{path}: <b>")
    await page.count()
    for where in ("/", "/images", "/images?q=%3Cscript%3E"):
        html = await page.text(where)
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html
        assert "<b>" not in html.replace("<b>0</b>", "").replace("<b>ok</b>", "") or where == "/"
    assert "line\\nbreak.jpg" in await page.text("/images")
    assert "\\xff.jpg" in await page.text("/images")


async def test_numbers_that_could_not_be_counted_are_said_to_be_old(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page.count()
    page.site.counting.latest = page.site.counting.latest.__class__(
        totals=page.site.counting.latest.totals,
        totals_at=page.world.clock.now() - timedelta(minutes=3),
        fault="ledger.db: cannot be read",
    )
    assert "Numbers are from 3 min ago : ledger.db: cannot be read" in text_of(await page.text("/"))


async def test_the_rate_after_a_restart_is_not_that_of_all_uploads_in_one_minute(page: Page) -> None:
    clock = page.world.clock
    before = Recent(clock)
    for _ in range(10):
        before.notice("image_end", outcome="uploaded", folder="inbox", path="x.jpg")
        clock.advance(30)
    after = Recent(clock)
    after.recall_minutes(before.kept_minutes())
    assert rate_per_minute(after.snapshot(), clock.now()) <= 2.1

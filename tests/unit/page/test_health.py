from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingestor.errors import DiskFault
from ingestor.files_api import BreakerStatus
from ingestor.runtime.pulse import Phase
from tests.ledger_kit import content, sighting
from tests.unit.page.kit import Page


async def told(page: Page, path: str) -> tuple[int, str]:
    answer = await page.get(path)
    return answer.status, (await answer.text()).strip()


async def test_all_is_well(page: Page) -> None:
    assert await told(page, "/healthz") == (200, "ok")
    assert await told(page, "/readyz") == (200, "ok")


async def test_who_stands_still_is_neither_alive_nor_ready(page: Page) -> None:
    page.world.engine.stands_since = page.world.clock.monotonic() - 300
    why = "the engine has begun nothing and looked at nothing for 300 s"
    assert await told(page, "/healthz") == (503, why)
    assert await told(page, "/readyz") == (503, why)


async def test_who_waits_for_the_api_is_alive_but_not_ready(page: Page) -> None:
    page.world.breaker = BreakerStatus(is_open=True, reason="balance", message="the balance is too low")
    assert await told(page, "/healthz") == (200, "ok")
    assert await told(page, "/readyz") == (503, "waiting for the API (balance): the balance is too low")


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
async def test_who_starts_or_stops_is_alive_but_not_ready(page: Page, phase: Phase) -> None:
    page.site.pulse.phase = phase
    assert (await told(page, "/healthz"))[0] == 200
    assert (await told(page, "/readyz"))[0] == 503


async def test_a_ledger_at_fault_is_not_ready(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(name: str) -> None:
        raise DiskFault("disk_full", "ledger.db: the disk is full")

    monkeypatch.setattr(page.world.ledger, "fact", full)
    assert await told(page, "/readyz") == (503, "the ledger: ledger.db: the disk is full")
    assert await told(page, "/healthz") == (200, "ok")


async def test_metrics_tell_what_was_counted(page: Page) -> None:
    walk = page.world.walk
    await walk.uploaded(sighting("a.jpg"), content(1))
    await walk.taken(sighting("b.jpg"))
    page.world.clock.advance(90)
    await page.count()
    await page.site.counting.count_totals()
    answer = await page.get("/metrics")
    assert answer.content_type == "text/plain"
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(await answer.text())
        for sample in family.samples
    }
    assert samples["ingestor_entries", "inbox", "live"] == 1
    assert samples["ingestor_queue_files", "waiting"] == 1
    assert samples["ingestor_oldest_waiting_seconds",] == 90
    assert samples["ingestor_quota_left",] == 41
    expiry = page.world.clock.now() - timedelta(seconds=90) + timedelta(hours=24)
    assert samples["ingestor_next_expiry_timestamp_seconds",] == expiry.timestamp()


async def test_metrics_speak_open_metrics_to_who_asks_for_it(page: Page) -> None:
    answer = await page.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type == "application/openmetrics-text"
    assert (await answer.text()).endswith("# EOF\n")

"""The page around a ledger and an API of its own, for tests to change; nothing runs beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from ingestor.files_api import BreakerStatus, SlotsStatus
from ingestor.images.workers.pool import ImagePool
from ingestor.ledger import SqliteBrowser, SqliteLedger
from ingestor.observe.metrics import Metrics
from ingestor.observe.recent import Recent
from ingestor.page.access import Access
from ingestor.page.counting import Counting
from ingestor.page.rendering import Rendering
from ingestor.page.retrying import Retrying
from ingestor.page.site import Site
from ingestor.page.thumbnails import Thumbnails
from ingestor.pipeline import Tools
from ingestor.ports import NormaliseRules
from ingestor.quota import QuotaStatus
from ingestor.runtime.parts import Parts
from ingestor.runtime.pulse import Phase, Pulse
from ingestor.runtime.upkeep import Urls
from ingestor.settings import FolderSettings, Settings
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver
from tests.ledger_kit import Walk

TOKEN = "0123456789abcdef-token"
PROOF = re.compile(r'name="proof" value="([0-9a-f]{64})"')


@dataclass
class Engine:
    """An engine that has just come round."""

    clock: FakeClock
    running: int = 0
    stands_since: float | None = None

    @property
    def turned_at(self) -> float:
        return self.clock.monotonic() if self.stands_since is None else self.stands_since


class Gate:
    def stop(self) -> None: ...

    async def ready(self) -> None: ...


CLOSED = BreakerStatus(is_open=False)
QUOTA = QuotaStatus(
    left=41,
    capacity=60,
    per_minute=30.0,
    learned=True,
    held_until=None,
    next_free_at=None,
    waiting=0,
    in_flight=0,
    others_spending=0,
)

SLOTS = SlotsStatus(in_flight=0, limit=8, most=8)


@dataclass
class World:
    """What the page looks at, for a test to change."""

    inbox: Path
    clock: FakeClock
    ledger: SqliteLedger
    api: FakeFilesApi
    engine: Engine
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    breaker: BreakerStatus = CLOSED
    quota: QuotaStatus = QUOTA
    slots: SlotsStatus = SLOTS

    @property
    def walk(self) -> Walk:
        return Walk(self.ledger, self.clock)

    async def parts(self) -> Parts:
        folder = FolderSettings.model_validate({"path": self.inbox, "name": "inbox", "purpose": "reference"})
        settings = Settings(ledger=self.ledger.path, folders=(folder,))
        tools = Tools(
            folders={"inbox": folder},
            ledger=self.ledger,
            manifest=Manifest(self.ledger.path.parent / "manifest.jsonl", self.ledger),
            api=self.api,
            images=ImagePool(NormaliseRules(), workers=1),
            spool=self.ledger.path.parent,
            clock=self.clock,
            observer=self.observer,
        )
        return Parts(
            settings=settings,
            tools=tools,
            gate=Gate(),
            snapshots={},
            upload_quota=lambda: self.quota,
            read_quota=lambda: self.quota,
            breaker=lambda: self.breaker,
            slots=lambda: self.slots,
        )


class Page:
    """The page as a browser or a program meets it."""

    def __init__(self, site: Site, world: World, client: TestClient[Any, Any]) -> None:
        self.site = site
        self.world = world
        self.client = client

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **more)

    async def text(self, path: str, status: int = 200) -> str:
        answer = await self.get(path, headers={"Accept": "text/html"})
        assert answer.status == status, await answer.text()
        return await answer.text()

    async def post(self, path: str, form: dict[str, str], *, page: str | None = "/quarantine") -> ClientResponse:
        """A form, with the proof that `page` has for it; without one where that is None."""
        if page is not None:
            found = PROOF.search(await self.text(page))
            assert found, f"no form on {page}"
            form = {**form, "proof": found[1]}
        return await self.client.post(path, data=form, allow_redirects=False)

    async def count(self) -> None:
        await self.site.counting.count_totals()
        await self.site.counting.count_stands()


async def site_of(world: World, token_file: Path | None = None) -> Site:
    """The page's parts as the daemon puts them together."""
    parts, clock = await world.parts(), world.clock
    status = parts.settings.status.model_copy(update={"token_file": token_file})
    parts = replace(parts, settings=parts.settings.model_copy(update={"status": status}))
    browser = SqliteBrowser(world.ledger.path, clock)
    recent, metrics = Recent(clock), Metrics(clock)
    pulse = Pulse(clock=clock, engine=world.engine, settling=lambda: 0)
    pulse.phase = Phase.RUNNING
    return Site(
        parts=parts,
        pulse=pulse,
        recent=recent,
        metrics=metrics,
        browser=browser,
        counting=Counting(
            quick=browser,
            slow=browser,
            pulse=pulse,
            quota=parts.upload_quota,
            told=[metrics.set_snapshot, recent.set_snapshot],
            clock=clock,
        ),
        access=Access(token_file, clock),
        rendering=Rendering(),
        urls=Urls(api=world.api, clock=clock),
        thumbnails=Thumbnails(max_pixels=1_000_000, spool=world.ledger.path.parent, clock=clock),
        retrying=Retrying(
            ledger=world.ledger, browser=browser, clock=clock, served=[folder.name for folder in parts.folders]
        ),
    )

"""No id ends, and none is renewed, by a clock that the API has not confirmed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.engines import embedded
from ingestor.errors import AccountRefused
from ingestor.policy.verdicts import Call
from ingestor.runtime.clock_watch import ANSWER_SECONDS, CLOCK_FACT, FRESH_SECONDS, ClockWatch
from ingestor.settings import Settings, load
from tests.fakes import FakeClock, FakeFilesApi, RecordingObserver, WrongClock
from tests.simulated import Simulation, look_every, simulated

HOUR = 3600.0
IMAGES = 3


@pytest.fixture(autouse=True)
def _rarer_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of looks each second takes long: what is looked at for its own sake is looked at less often."""
    look_every(monkeypatch, 120.0)
    monkeypatch.setattr(embedded, "LOOK_SECONDS", 120.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(IMAGES):
        (inbox / f"{number}.jpg").write_bytes(b"image %d" % number)
    folder = {"path": "inbox", "purpose": "reference", "settle": "0s", "watch": "poll", "rescan": "5m"}
    document = {
        "ledger": "var/ledger.db",
        "manifest": "var/manifest.jsonl",
        "folders": [{**folder, "renew": "while-source-exists"}],
        "status": {"listen": None},
    }
    (tmp_path / "ingestor.yaml").write_text(yaml.safe_dump(document))
    return load(tmp_path / "ingestor.yaml", {})


def machine(settings: Settings, **more: Any) -> contextlib.AbstractAsyncContextManager[Simulation]:
    return simulated(settings, burst=60, per_minute=30, **more)


@contextlib.asynccontextmanager
async def watching(run: Simulation) -> AsyncIterator[None]:
    running = asyncio.create_task(run.daemon.run())
    yield
    run.daemon.stop()
    await running


async def lines(run: Simulation) -> list[dict[str, Any]]:
    return [{"event": entry.event, "at": entry.at} for entry in await run.ledger.lines_after(0, 100)]


async def events(run: Simulation) -> list[str]:
    return [line["event"] for line in await lines(run)]


def questions(run: Simulation) -> int:
    return sum(call is Call.FETCH for call, _ in run.api.calls)


async def test_a_clock_that_is_ahead_at_the_start_ends_no_id(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    async with machine(settings, off_seconds=25 * HOUR, after=first) as run:
        async with watching(run):
            await run.clock.sleep(300)
        assert await events(run) == ["uploaded"] * IMAGES
        assert questions(run) == 1
        assert [round(told["seconds"] / HOUR) for told in run.observer.of("clock_wrong")] == [25]
    async with machine(settings, after=run) as again, watching(again):
        await again.clock.sleep(300)
        assert await events(again) == ["uploaded"] * IMAGES
        assert again.observer.events().count("clock_right") == 1


async def test_a_clock_that_is_ahead_ends_no_id_in_a_backfill(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    async with machine(settings, off_seconds=25 * HOUR, after=first) as run:
        await run.backfill()
        assert await events(run) == ["uploaded"] * IMAGES
        assert run.api.created == IMAGES


async def test_a_correction_that_is_out_of_date_ends_no_id(settings: Settings) -> None:
    async with machine(settings, off_seconds=-26 * HOUR) as first:
        await first.backfill()
        assert await first.ledger.fact(CLOCK_FACT) == pytest.approx(26 * HOUR, abs=2)
    async with machine(settings, after=first) as run:
        async with watching(run):
            await run.clock.sleep(300)
        assert await events(run) == ["uploaded"] * IMAGES
        assert await run.ledger.fact(CLOCK_FACT) == 0


async def test_a_correction_that_is_out_of_date_makes_no_renewal_late(settings: Settings) -> None:
    async with machine(settings, off_seconds=2 * HOUR) as first:
        await first.backfill()
        assert await first.ledger.fact(CLOCK_FACT) == pytest.approx(-2 * HOUR, abs=2)
    first.clock.advance(23.75 * HOUR)
    async with machine(settings, after=first) as run:
        async with watching(run):
            await run.clock.sleep(120)
        assert await events(run) == ["uploaded"] * IMAGES + ["renewed"] * IMAGES


async def test_a_clock_that_is_set_wrong_meanwhile_ends_no_id(settings: Settings) -> None:
    async with machine(settings) as run:
        async with watching(run):
            await run.clock.sleep(300)
            run.machine.off_seconds = 25 * HOUR
            await run.clock.sleep(120)
            (settings.folders[0].path / "copy.jpg").write_bytes(b"image 0")
            await run.clock.sleep(900)
        told = await lines(run)
        assert {line["event"] for line in told} == {"uploaded"}
        assert run.api.created == IMAGES
        assert [round(wrong["seconds"] / HOUR) for wrong in run.observer.of("clock_wrong")] == [25]
        assert not run.observer.of("quota_shared")


async def test_an_image_that_comes_first_after_the_clock_was_set_wrong_ends_no_id(settings: Settings) -> None:
    async with machine(settings) as run:
        await run.backfill()
    async with machine(settings, after=run) as run:
        await run.ledger.confirm_time()
        (settings.folders[0].path / "copy.jpg").write_bytes(b"image 0")
        run.machine.off_seconds = 25 * HOUR
        await run.backfill()
        assert await events(run) == ["uploaded"] * (IMAGES + 1)
        assert run.api.created == IMAGES


async def test_the_api_is_asked_again_when_nothing_was_heard_for_long(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    async with machine(settings, after=first) as run, watching(run):
        await run.clock.sleep(FRESH_SECONDS - 5)
        assert questions(run) == 1
        await run.clock.sleep(3 * FRESH_SECONDS + 200)
        assert questions(run) == 5


async def test_nobody_is_asked_while_there_is_no_id(settings: Settings) -> None:
    for file in settings.folders[0].path.iterdir():
        file.unlink()
    async with machine(settings) as run, watching(run):
        await run.clock.sleep(HOUR)
        assert not run.api.calls


async def test_an_api_that_is_away_is_waited_for_and_told_of_once(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    first.clock.advance(25 * HOUR)
    first.api.is_away = True
    async with machine(settings, after=first) as run:
        began = run.clock.monotonic()
        while await run.ledger.expire():
            pass
        assert run.clock.monotonic() - began <= ANSWER_SECONDS
        assert (await events(run))[IMAGES:] == ["expired"] * IMAGES, "the clock is taken as it is"
        run.machine.off_seconds = 100.0
        await run.ledger.expire()
        assert run.observer.events().count("clock_unconfirmed") == 1


async def test_an_api_that_comes_back_is_asked_soon(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    first.api.is_away = True
    async with machine(settings, off_seconds=2 * HOUR, after=first) as run:
        async with watching(run):
            await run.clock.sleep(300)
            run.api.is_away = False
            await run.clock.sleep(300)
        assert run.machine.correction() == pytest.approx(-2 * HOUR, abs=2)


async def test_a_refusal_tells_the_time_as_well(settings: Settings) -> None:
    async with machine(settings) as first:
        await first.backfill()
    first.api.script(AccountRefused("key", "the API refuses the key"))
    async with machine(settings, off_seconds=25 * HOUR, after=first) as run:
        began = run.clock.monotonic()
        assert await run.ledger.expire() == 0
        assert run.clock.monotonic() - began < 1
        assert not run.observer.of("clock_unconfirmed")


@dataclass
class Line:
    """As much of a ledger as is set right."""

    moved: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    async def shift_line(self, seconds: float) -> None:
        self.moved.append(seconds)

    async def set_fact(self, name: str, value: Any) -> None:
        self.facts[name] = value


@pytest.mark.parametrize(("off_seconds", "moved"), [(2 * HOUR, [-2 * HOUR]), (-2 * HOUR, [])])
async def test_turns_that_a_fast_clock_has_set_come_earlier_and_no_turn_comes_later(
    off_seconds: float, moved: list[float]
) -> None:
    true = FakeClock()
    ledger: Any = Line()
    clock = WrongClock(true, off_seconds)
    watch = ClockWatch(FakeFilesApi(true), ledger=ledger, observer=RecordingObserver(), clock=clock)
    running = asyncio.create_task(watch.run())
    watch.hear(true.now().timestamp() - 0.5)
    await true.sleep(1)
    running.cancel()
    assert ledger.moved == pytest.approx(moved)
    assert ledger.facts == {CLOCK_FACT: pytest.approx(-off_seconds)}

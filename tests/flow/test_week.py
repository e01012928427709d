"""A simulated week of a folder that is kept alive: at no moment is an image that should be alive without an id."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.engines import embedded
from ingestor.policy.renewing import most_kept_alive
from ingestor.runtime import renewer
from ingestor.settings import Settings, load
from tests.simulated import Simulation, look_every, simulated

DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def _rarer_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of looks each second would take an hour: what is looked at for its own sake is looked at less often."""
    look_every(monkeypatch, 1800.0)
    monkeypatch.setattr(renewer, "LOOK_SECONDS", 300.0)
    monkeypatch.setattr(embedded, "LOOK_SECONDS", 200.0)


def settings_for(folder: Path, images: int, *, burst: int, per_minute: int) -> Settings:
    inbox = folder / "inbox"
    inbox.mkdir()
    for number in range(images):
        (inbox / f"{number:04}.jpg").write_bytes(b"image %d" % number)
    config = folder / "ingestor.yaml"
    document = {
        "api": {"quota": {"burst": burst, "per_minute": per_minute}},
        "ledger": "var/ledger.db",
        "manifest": "var/manifest.jsonl",
        "folders": [
            {
                "path": "inbox",
                "purpose": "reference",
                "settle": "0s",
                "watch": "poll",
                "rescan": "1h",
                "renew": "while-source-exists",
            }
        ],
        "status": {"listen": None},
    }
    config.write_text(yaml.safe_dump(document))
    return load(config, {})


def lines_by_path(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    by_path: dict[str, list[dict[str, Any]]] = {}
    for text in settings.manifest.read_text().splitlines():
        line = json.loads(text)
        by_path.setdefault(line["path"], []).append(line)
    return by_path


def check_always_alive(settings: Settings, images: int, until: datetime) -> int:
    """No gap between an id and its successor, for any image, until the end; how many uploads there were."""
    by_path = lines_by_path(settings)
    assert len(by_path) == images
    uploads = 0
    for path, lines in by_path.items():
        assert {line["event"] for line in lines} <= {"uploaded", "renewed"}, path
        lives = [(datetime.fromisoformat(line["at"]), datetime.fromisoformat(line["expires_at"])) for line in lines]
        for (_, end), (successor_at, _) in itertools.pairwise(lives):
            assert successor_at < end, f"{path} has no id from {end} to {successor_at}"
        assert lives[-1][1] > until, f"{path} has no id at the end"
        uploads += len(lines)
    return uploads


async def run_for(simulation: Simulation, seconds: float) -> None:
    running = asyncio.create_task(simulation.daemon.run())
    await simulation.clock.sleep(seconds)
    simulation.daemon.stop()
    await running


async def keep_alive(folder: Path, images: int, days: float, *, burst: int, per_minute: int) -> str:
    settings = settings_for(folder, images, burst=burst, per_minute=per_minute)
    async with simulated(settings, burst=burst, per_minute=per_minute) as simulation:
        await run_for(simulation, days * DAY)
        uploads = check_always_alive(settings, images, simulation.clock.now() - timedelta(seconds=1))
        assert simulation.bucket.refused <= 2
        assert uploads == simulation.api.created
        # Each life is used but for the margin, and for what it takes to spread those that end together.
        assert uploads <= images * (days + 2)
        return f"{images} images, {uploads} uploads in {days:g} days, {simulation.bucket.refused} answers 429"


async def test_a_week_of_a_folder(tmp_path: Path) -> None:
    await keep_alive(tmp_path, 40, 7, burst=20, per_minute=1)


@pytest.mark.soak
async def test_a_folder_near_what_the_quota_can_keep_alive(tmp_path: Path) -> None:
    images = 900
    assert images < most_kept_alive(1) < images * 1.3
    await keep_alive(tmp_path, images, 1.2, burst=20, per_minute=1)


@pytest.mark.soak
async def test_a_week_of_two_thousand_images_at_the_default_tier(tmp_path: Path) -> None:
    print(await keep_alive(tmp_path, 2000, 7, burst=60, per_minute=30))


async def test_a_source_that_changes_or_goes_is_not_renewed_as_what_it_was(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, 3, burst=20, per_minute=10)
    async with simulated(settings, burst=20, per_minute=10) as simulation:
        running = asyncio.create_task(simulation.daemon.run())
        await simulation.clock.sleep(600)
        (tmp_path / "inbox" / "0000.jpg").write_bytes(b"another image")
        (tmp_path / "inbox" / "0001.jpg").unlink()
        await simulation.clock.sleep(2 * 24 * 3600)
        simulation.daemon.stop()
        await running
    by_path = lines_by_path(settings)
    assert [line["event"] for line in by_path["0001.jpg"]] == ["uploaded", "expired"]
    changed = by_path["0000.jpg"]
    assert [line["event"] for line in changed[:2]] == ["uploaded", "uploaded"]
    assert changed[0]["sha256"] != changed[1]["sha256"]
    assert {line["sha256"] for line in changed[2:]} == {changed[1]["sha256"]}
    assert [line["event"] for line in by_path["0002.jpg"]].count("renewed") == 2

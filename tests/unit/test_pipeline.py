from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from ingestor.model import Done, DoneAs, Lane, Quarantined, QueuedSource, Sighting, Snoozed
from ingestor.pipeline import ingest_one
from ingestor.settings import Settings, load
from ingestor.stages.discover import DropFolder
from tests.simulated import Simulation, simulated


def settings_for(folder: Path) -> Settings:
    (folder / "inbox").mkdir()
    config = folder / "ingestor.yaml"
    inbox = {"path": "inbox", "purpose": "reference", "settle": "0s"}
    config.write_text(yaml.safe_dump({"folders": [inbox], "status": {"listen": None}}))
    return load(config, {})


async def in_line(settings: Settings, simulation: Simulation, name: str) -> QueuedSource:
    """A file that is in line, as the engine gets it."""
    sighting = DropFolder(settings.folders[0]).sighting(name)
    assert isinstance(sighting, Sighting)
    await simulation.ledger.take([sighting], Lane.FRESH, None)
    due = await simulation.ledger.due(Lane.FRESH, 10)
    return next(queued for queued in due if queued.source.path == name)


def manifest(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in settings.manifest.read_text().splitlines()]


async def test_a_generation_that_another_machine_has_completed_counts_as_what_that_recorded(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    (settings.folders[0].path / "one.jpg").write_bytes(b"image")
    async with simulated(settings, burst=60, per_minute=30) as simulation:
        tools = simulation.daemon._parts.tools
        complete = simulation.ledger.complete

        async def late(*arguments: Any) -> bool:
            assert await complete(*arguments), "the other machine was first"
            return await complete(*arguments)

        simulation.ledger.complete = late  # type: ignore[method-assign]
        await tools.manifest.open()
        outcome = await ingest_one(await in_line(settings, simulation, "one.jpg"), tools)
    assert isinstance(outcome, Done)
    assert outcome.how is DoneAs.ALREADY_LIVE
    assert [line["event"] for line in manifest(settings)] == ["uploaded"]


async def test_a_file_that_is_larger_than_any_picture_is_not_even_read(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with open(settings.folders[0].path / "one.jpg", "wb") as file:
        file.truncate(1 << 40)
    async with simulated(settings, burst=60, per_minute=30) as simulation:
        tools = simulation.daemon._parts.tools
        await tools.manifest.open()
        outcome = await ingest_one(await in_line(settings, simulation, "one.jpg"), tools)
    assert isinstance(outcome, Quarantined)
    assert outcome.reason == "too_many_bytes"
    assert outcome.message.startswith("one.jpg: 1,099,511,627,776 bytes are more than")


async def test_the_same_bytes_under_two_names_are_one_upload_and_two_lines(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    for name in ("one.jpg", "two.jpg"):
        (settings.folders[0].path / name).write_bytes(b"image")
    async with simulated(settings, burst=60, per_minute=30) as simulation:
        tools = simulation.daemon._parts.tools
        await tools.manifest.open()
        outcomes = [
            await ingest_one(await in_line(settings, simulation, f"{name}.jpg"), tools) for name in ("one", "two")
        ]
        assert simulation.api.created == 1
    assert [outcome.how for outcome in outcomes if isinstance(outcome, Done)] == [DoneAs.UPLOADED, DoneAs.DUPLICATE]
    assert len({line["file_id"] for line in manifest(settings)}) == 1
    assert [line["path"] for line in manifest(settings)] == ["one.jpg", "two.jpg"]


async def test_what_was_purged_after_it_was_read_from_the_line_gets_no_new_id(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    (settings.folders[0].path / "one.jpg").write_bytes(b"image")
    async with simulated(settings, burst=60, per_minute=30) as simulation:
        tools, ledger = simulation.daemon._parts.tools, simulation.ledger
        await tools.manifest.open()
        await ingest_one(await in_line(settings, simulation, "one.jpg"), tools)
        (entry,) = await ledger.entries()
        assert entry.content_id is not None
        assert entry.file_id is not None
        await ledger.want_renewal(entry.content_id, None)
        (queued,) = await ledger.due(Lane.RENEWAL, 1)
        assert await ledger.purge(entry.content_id, entry.file_id, "asked to", withdraw=True)
        outcome = await ingest_one(queued, tools)
        assert isinstance(outcome, Snoozed)
        assert (outcome.reason, simulation.api.created) == ("withdrawn", 1)
        assert await ledger.count_waiting() == 0
        await tools.manifest.flush()
    assert [line["event"] for line in manifest(settings)] == ["uploaded", "purged"]

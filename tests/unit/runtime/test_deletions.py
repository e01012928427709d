"""`on_source_delete: purge` in a daemon in simulated time: what is deleted is purged, what has only moved never is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.policy.verdicts import Call
from ingestor.runtime import deletions
from ingestor.settings import Settings, load
from tests.simulated import Simulation, simulated

SETTLE = 10.0
FUTURE = 4_000_000_000.0
"""A change time that proves nothing, so that a file settles under our eyes."""


class Place:
    """Two drop folders, and what becomes of their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.other = folder / "inbox", folder / "other"
        self.inbox.mkdir()
        self.other.mkdir()

    def settings(self, **fields: Any) -> Settings:
        """`fields` of both; of the second one, deletions are not purged."""
        common = {"purpose": "reference", "settle": f"{SETTLE}s", "watch": "poll", "rescan": "2s", **fields}
        document = {
            "ledger": "var/ledger.db",
            "manifest": "var/manifest.jsonl",
            "folders": [{"path": "inbox", "on_source_delete": "purge", **common}, {"path": "other", **common}],
            "status": {"listen": None},
        }
        config = self.folder / "ingestor.yaml"
        config.write_text(yaml.safe_dump(document))
        return load(config, {})

    def write(self, path: str, content: bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (FUTURE, FUTURE))
        return file

    def present(self) -> dict[str, tuple[str, str]]:
        """By folder and path, the event and the id of its last line."""
        lines = map(json.loads, (self.folder / "var" / "manifest.jsonl").read_text().splitlines())
        return {f"{line['folder']}/{line['path']}": (line["event"], line["file_id"]) for line in lines}

    def ids(self) -> dict[str, str]:
        return {path: file_id for path, (event, file_id) in self.present().items() if event != "purged"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextlib.asynccontextmanager
async def running(
    settings: Settings, *, burst: int = 60, per_minute: float = 30.0, after: Simulation | None = None
) -> AsyncIterator[Simulation]:
    async with simulated(settings, burst=burst, per_minute=per_minute, after=after) as simulation:
        task = asyncio.create_task(simulation.daemon.run())
        try:
            yield simulation
        finally:
            simulation.daemon.stop()
            await task


def purged(simulation: Simulation) -> list[str]:
    return [file_id for call, file_id in simulation.api.calls if call is Call.DELETE]


async def test_a_deleted_file_is_purged_when_it_has_been_gone_for_as_long_as_files_settle(place: Place) -> None:
    gone, _ = place.write("inbox/gone.jpg", b"gone"), place.write("inbox/stays.jpg", b"stays")
    place.write("other/stays.jpg", b"and stays")
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
        ids = place.ids()
        gone.unlink()
        await simulation.clock.sleep(SETTLE - 1)
        assert purged(simulation) == []
        await simulation.clock.sleep(SETTLE + 5)
        assert purged(simulation) == [ids["inbox/gone.jpg"]]
        assert place.present()["inbox/gone.jpg"][0] == "purged"
        (place.other / "stays.jpg").unlink()
        await simulation.clock.sleep(3 * SETTLE)
        assert len(purged(simulation)) == 1, "nobody wants that of the second folder"


def renamed(place: Place) -> str:
    (place.inbox / "one.jpg").rename(place.inbox / "zz.jpg")
    return "inbox/zz.jpg"


def moved_to_the_second_folder(place: Place) -> str:
    (place.inbox / "one.jpg").rename(place.other / "one.jpg")
    return "other/one.jpg"


def copied_and_deleted(place: Place) -> str:
    place.write("other/copy.jpg", (place.inbox / "one.jpg").read_bytes())
    (place.inbox / "one.jpg").unlink()
    return "other/copy.jpg"


def moved_over_another(place: Place) -> str:
    (place.inbox / "one.jpg").rename(place.inbox / "two.jpg")
    return "inbox/two.jpg"


def moved_with_its_directory(place: Place) -> str:
    (place.inbox / "sub").rename(place.inbox / "a-new-name")
    (place.inbox / "one.jpg").rename(place.inbox / "a-new-name" / "one.jpg")
    return "inbox/a-new-name/one.jpg"


WAYS = [renamed, moved_to_the_second_folder, copied_and_deleted, moved_over_another, moved_with_its_directory]


def fill(place: Place) -> None:
    place.write("inbox/one.jpg", b"image one")
    place.write("inbox/two.jpg", b"the second image")
    for number in range(5):
        place.write(f"inbox/sub/{number}.jpg", b"below" * (number + 1))


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_under_a_new_name_keeps_its_id(place: Place, way: Callable[[Place], str]) -> None:
    fill(place)
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
        before = place.ids()
        path = way(place)
        await simulation.clock.sleep(4 * SETTLE)
        assert place.present()[path] == ("uploaded", before["inbox/one.jpg"])
        assert purged(simulation) == []
        assert simulation.api.created == 7
        (place.folder / path).unlink()
        await simulation.clock.sleep(4 * SETTLE)
        # What the path itself had before goes with it.
        assert purged(simulation) == [before["inbox/one.jpg"], *(before[path] for path in [path] if path in before)]


@pytest.mark.parametrize("way", [renamed, moved_to_the_second_folder])
async def test_a_file_that_waits_in_a_long_line_under_its_new_name_keeps_its_id(
    place: Place, way: Callable[[Place], str]
) -> None:
    fill(place)
    async with running(place.settings(settle="0s"), burst=10, per_minute=6) as simulation:
        await simulation.clock.sleep(10)
        before, lines = place.ids(), place.present()
        for number in range(50):
            place.write(f"inbox/drop-{number:02}.jpg", b"drop" * (number + 10))
        await simulation.clock.sleep(10)
        path = way(place)
        await simulation.clock.sleep(60)
        assert place.present().get(path) == lines.get(path), "it waits"
        await simulation.clock.sleep(540)
        assert place.present()[path] == ("uploaded", before["inbox/one.jpg"])
        assert purged(simulation) == []
        assert simulation.api.created == 57


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_that_was_moved_while_nothing_ran_keeps_its_id(place: Place, way: Callable[[Place], str]) -> None:
    fill(place)
    place.write("inbox/gone.jpg", b"this one is deleted meanwhile")
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
    before = place.ids()
    path = way(place)
    (place.inbox / "gone.jpg").unlink()
    async with running(place.settings(), after=simulation) as simulation:
        await simulation.clock.sleep(4 * SETTLE)
        assert place.present()[path] == ("uploaded", before["inbox/one.jpg"])
        assert purged(simulation) == [before["inbox/gone.jpg"]]
        assert simulation.api.created == 8


async def test_a_file_that_is_taken_away_and_written_anew_by_an_editor_keeps_its_id(place: Place) -> None:
    file = place.write("inbox/one.jpg", b"image one")
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
        before = place.present()
        file.rename(file.with_name("one.jpg~"))
        await simulation.clock.sleep(SETTLE / 2)
        place.write("inbox/one.jpg", b"image one")
        await simulation.clock.sleep(3 * SETTLE)
        assert place.present() == before
        assert purged(simulation) == []


async def test_nothing_is_purged_while_a_part_of_a_folder_cannot_be_looked_at(place: Place) -> None:
    file = place.write("inbox/one.jpg", b"image one")
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
        place.other.rename(place.folder / "away")
        file.unlink()
        await simulation.clock.sleep(4 * SETTLE)
        assert purged(simulation) == []
        (place.folder / "away").rename(place.other)
        await simulation.clock.sleep(2 * SETTLE)
        assert len(purged(simulation)) == 1


async def test_a_source_that_cannot_be_looked_at_may_be_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place.write("inbox/one.jpg", b"image one")
    async with running(place.settings()) as simulation:
        await simulation.clock.sleep(2 * SETTLE)
        [entry] = await simulation.ledger.entries()
        assert deletions.may_be_there(entry)
        file.unlink()
        assert not deletions.may_be_there(entry)

        def refused(path: Path) -> os.stat_result:
            raise PermissionError(13, "Permission denied", str(path))

        with monkeypatch.context() as patch:
            patch.setattr(deletions.os, "lstat", refused)
            assert deletions.may_be_there(entry)

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestor.cli import exporting
from ingestor.ledger import SqliteReader
from ingestor.model import HistoryEntry
from ingestor.stages.manifest import Manifest
from tests.ledger_kit import content
from tests.unit.cli.conftest import Corner, Filled


@pytest.fixture
def filled(corner: Corner) -> Corner:
    """`a.jpg` live and renewed once, its copy, `b.jpg` purged, `text.jpg` quarantined."""
    for name in ("a.jpg", "copy.jpg", "b.jpg", "text.jpg"):
        corner.drop(name, name.encode())

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg")
        copy = ledger.seen("copy.jpg")
        await ledger.entered(copy, content(1))
        await ledger.ledger.list_source(copy.source, content(1).content_id)
        await ledger.ledger.finish(copy.source, None)
        await ledger.renewed(ledger.seen("a.jpg"), content(1))
        gone = await ledger.live("b.jpg", 2)
        await ledger.ledger.purge(content(2).content_id, gone.file_id, "by hand")
        await ledger.bad("text.jpg")
        await Manifest(corner.folder / "var" / "manifest.jsonl", ledger.ledger).open()

    corner.fill(story)
    return corner


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_path_has_its_present_line_and_no_other(filled: Corner) -> None:
    ran = filled.run("manifest")
    assert ran.code == 0
    assert {line["path"]: line["event"] for line in lines(ran.out)} == {
        "a.jpg": "renewed",
        "copy.jpg": "renewed",
        "b.jpg": "purged",
        "text.jpg": "quarantined",
    }
    assert len(lines(ran.out)) == 4


def test_the_lines_are_those_of_the_manifest_file_byte_for_byte(filled: Corner) -> None:
    file = (filled.folder / "var" / "manifest.jsonl").read_text().splitlines()
    last = {json.loads(line)["path"]: line for line in file}
    assert sorted(filled.run("manifest").out.splitlines()) == sorted(last.values())


def test_lines_come_in_the_order_of_their_numbers(filled: Corner) -> None:
    numbers = [line["seq"] for line in lines(filled.run("manifest").out)]
    assert numbers == sorted(numbers)


def test_live_leaves_out_what_cannot_be_used(filled: Corner) -> None:
    assert {line["path"] for line in lines(filled.run("manifest", "--live").out)} == {"a.jpg", "copy.jpg"}


def test_live_leaves_out_an_id_whose_time_is_over_although_nobody_has_marked_it(corner: Corner) -> None:
    corner.drop("old.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.live("old.jpg")

    corner.fill(story, start=datetime.now(UTC) - timedelta(hours=24, seconds=1))
    assert corner.run("manifest", "--live").out == ""
    assert len(lines(corner.run("manifest").out)) == 1


def test_json_is_one_array(filled: Corner) -> None:
    assert json.loads(filled.run("manifest", "--format", "json").out) == lines(filled.run("manifest").out)
    assert filled.run("manifest", "--json").out == filled.run("manifest", "--format", "json").out


@pytest.mark.parametrize(("form", "empty"), [("jsonl", ""), ("json", "[]\n")])
def test_nothing_to_export_is_well_formed_too(corner: Corner, form: str, empty: str) -> None:
    async def nothing(ledger: Filled) -> None:
        pass

    corner.fill(nothing)
    assert corner.run("manifest", "--format", form).out == empty


def test_csv_has_a_column_for_every_field(filled: Corner) -> None:
    rows = list(csv.DictReader(io.StringIO(filled.run("manifest", "--format", "csv").out)))
    fields = {name for line in lines(filled.run("manifest").out) for name in line}
    assert fields <= set(exporting.FIELDS) == set(rows[0])
    (renewed,) = [row for row in rows if row["path"] == "a.jpg"]
    assert json.loads(renewed["normalised"]) == ["resized", "webp"]
    assert json.loads(renewed["metadata"]) == {}
    assert (renewed["replayed"], renewed["size_bytes"], renewed["message"]) == ("false", "11", "")


def test_a_name_that_is_not_utf_8_is_exported_in_every_form(corner: Corner) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    corner.drop(name)

    async def story(ledger: Filled) -> None:
        await ledger.live(name)

    corner.fill(story)
    assert lines(corner.run("manifest").out)[0]["path"] == name
    assert json.loads(corner.run("manifest", "--json").out)[0]["path"] == name
    (row,) = csv.DictReader(io.StringIO(corner.run("manifest", "--format", "csv").out))
    assert row["path"] == "caf\\xe9.jpg"


def test_one_folder_alone(filled: Corner) -> None:
    assert len(lines(filled.run("manifest", "--folder", "inbox").out)) == 4


def test_a_folder_that_nobody_knows_is_told_with_those_that_are_known(filled: Corner) -> None:
    ran = filled.run("manifest", "--folder", "outbox")
    assert ran.code == 2
    assert ran.last_words == "--folder outbox: there is no such folder; known are: inbox"


@pytest.mark.parametrize(
    "arguments", [["--format", "xml"], ["--compact", "--live"], ["--compact", "--folder", "inbox"]]
)
def test_wrong_usage_is_told(filled: Corner, arguments: list[str]) -> None:
    assert filled.run("manifest", *arguments).code == 2


def test_without_a_ledger_there_is_nothing_to_export(corner: Corner) -> None:
    ran = corner.run("manifest")
    assert ran.code == 1
    assert "there is no ledger yet" in ran.last_words
    assert not corner.ledger.exists()


def test_no_signed_url_is_in_it(filled: Corner) -> None:
    text = filled.run("manifest").out
    assert all("url" not in line for line in lines(text))
    assert "://" not in text


# -- where it is written ---------------------------------------------------------------------------


def test_a_file_is_written_whole_and_replaces_an_older_one(filled: Corner, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("older")
    ran = filled.run("manifest", "--output", str(target))
    assert (ran.code, ran.out) == (0, "")
    assert target.read_text() == filled.run("manifest").out
    assert [file.name for file in tmp_path.iterdir() if "out.jsonl" in file.name] == ["out.jsonl"]


def test_an_export_that_fails_leaves_the_older_file_alone(
    filled: Corner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.csv"
    target.write_text("older")

    def full(self: object, line: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting.Csv, "write", full)
    ran = filled.run("manifest", "--format", "csv", "--output", str(target))
    assert ran.code == 1
    assert "No space left" in ran.last_words or "full" in ran.last_words
    assert target.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir() if "out.csv" in file.name] == ["out.csv"]


def test_a_file_through_a_link_keeps_the_link(filled: Corner, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert filled.run("manifest", "--output", str(tmp_path / "link")).code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == filled.run("manifest").out


def test_a_place_that_cannot_be_written_is_told(filled: Corner, tmp_path: Path) -> None:
    ran = filled.run("manifest", "--output", str(tmp_path / "nowhere" / "out"))
    assert ran.code == 1
    assert "nowhere" in ran.last_words


def test_a_reader_that_goes_away_is_no_failure(filled: Corner) -> None:
    command = f"{sys.executable} -m ingestor manifest -c {filled.config} | head -c 1"
    ran = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "{", "")


# -- pages -----------------------------------------------------------------------------------------


def test_pages_join_without_a_gap_or_a_repetition(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    names = [f"{number:02d}.jpg" for number in range(11)]
    for name in names:
        corner.drop(name, name.encode())

    async def story(ledger: Filled) -> None:
        for number, name in enumerate(names):
            await ledger.live(name, number)
        await ledger.renewed(ledger.seen("04.jpg"), content(4))

    corner.fill(story)
    exported = [line["path"] for line in lines(corner.run("manifest").out)]
    assert exported == [name for name in names if name != "04.jpg"] + ["04.jpg"]


def test_what_happens_meanwhile_is_not_half_in_it(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path whose line is replaced between two pages is exported once, as it was at the beginning."""
    monkeypatch.setattr(exporting, "PAGE", 1)
    for name in ("a.jpg", "b.jpg"):
        corner.drop(name, name.encode())

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg", 1)
        await ledger.live("b.jpg", 2)
        reader = SqliteReader(corner.ledger, ledger.clock)
        seen = []
        async for line in exporting.present_lines(reader, folder=None, live=False):
            if not seen:
                await ledger.renewed(ledger.seen("b.jpg"), content(2))
            seen.append((line["path"], line["event"]))
        await reader.close()
        assert seen == [("a.jpg", "uploaded"), ("b.jpg", "uploaded")]

    corner.fill(story)


# -- compaction ------------------------------------------------------------------------------------


def test_compact_shortens_the_file_to_the_present_lines(filled: Corner) -> None:
    before = filled.run("manifest").out
    ran = filled.run("manifest", "--compact", "--json")
    assert ran.json == {"removed": 3}
    assert sorted((filled.folder / "var" / "manifest.jsonl").read_text().splitlines()) == sorted(before.splitlines())
    assert filled.run("manifest", "--compact").out.startswith("0 lines removed")


def test_an_export_is_the_same_before_and_after_compaction(filled: Corner) -> None:
    before = filled.run("manifest").out
    filled.run("manifest", "--compact")
    assert filled.run("manifest").out == before


def test_the_export_needs_no_manifest_file(filled: Corner) -> None:
    before = filled.run("manifest").out
    (filled.folder / "var" / "manifest.jsonl").unlink()
    assert filled.run("manifest").out == before
    assert not (filled.folder / "var" / "manifest.jsonl").exists()


def test_a_million_lines_would_not_be_held_at_once(corner: Corner) -> None:
    """The first line is written before the second page is asked for."""

    class Pages:
        asked = 0

        async def last_seq(self) -> int:
            return 10

        async def present_lines(self, **_: object) -> list[object]:
            self.asked += 1
            entry = HistoryEntry(
                seq=self.asked, at=datetime.now(UTC), folder="f", path="p", event="uploaded", listed=True, detail={}
            )
            return [entry] if self.asked < 4 else []

    async def first() -> int:
        pages = Pages()
        async for _ in exporting.present_lines(pages, folder=None, live=False):  # type: ignore[arg-type]
            return pages.asked
        return 0

    assert asyncio.run(first()) == 1

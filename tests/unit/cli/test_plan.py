"""`ingestor plan`, with real images and real workers."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.app import UPLOAD_QUOTA_FACT
from ingestor.model import Purpose
from ingestor.observe.instants import parsed
from ingestor.policy.idempotency import content_id
from ingestor.stages.fingerprint import fingerprint
from tests import image_kit as kit
from tests.ledger_kit import content, source_of
from tests.unit.cli.conftest import Corner, Filled, Ran, on_terminal

KEYS = {
    "discovered",
    "already_live",
    "duplicates",
    "to_upload",
    "skipped",
    "deferred",
    "quarantined",
    "new",
    "changed",
    "expired",
    "in_line",
    "as_found",
    "resized",
    "reencoded",
    "recoded",
    "stripped",
    "trimmed",
    "mended",
    "turned",
    "first_frame",
    "colour",
    "skipped_reasons",
    "deferred_reasons",
    "quarantined_reasons",
    "bytes_read",
    "quota",
    "tokens",
    "seconds",
    "ends_at",
    "expired_before_end",
    "live_that_end_before",
    "problems",
}


def picture(kind: str = "JPEG", size: tuple[int, int] = (8, 8), colour: str = "red", **options: Any) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, kind, **options)
    return data.getvalue()


@pytest.fixture
def filled(corner: Corner) -> Corner:
    """Six different images of all sorts, a copy, and a text file."""
    turned = Image.Exif()
    turned[0x0112] = 6
    corner.drop("fits.jpg", picture())
    corner.drop("copies/fits.jpg", picture())
    corner.drop("large.jpg", picture(size=(5000, 10)))
    corner.drop("turned.jpg", picture(colour="blue", exif=turned))
    corner.drop("odd.bmp", picture("BMP"))
    corner.drop("text.png", b"this is no picture")
    corner.drop("torn.jpg", picture(size=(64, 64))[:300])
    corner.drop("notes.txt", b"notes")
    return corner


def plan(corner: Corner, *arguments: str) -> dict[str, Any]:
    ran = corner.run("plan", *arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json  # type: ignore[no-any-return]


def test_the_json_has_the_documented_shape_and_adds_up(filled: Corner) -> None:
    told = plan(filled)
    assert told.keys() == KEYS
    assert told["discovered"] == 8
    ends = ("already_live", "duplicates", "to_upload", "skipped", "deferred", "quarantined")
    assert sum(told[name] for name in ends) == told["discovered"]
    assert told["to_upload"] == told["new"] + told["changed"] + told["expired"] + told["in_line"] == told["tokens"]


def test_what_is_done_to_images_is_told_from_their_headers(filled: Corner) -> None:
    told = plan(filled)
    assert (told["as_found"], told["resized"], told["reencoded"], told["turned"]) == (1, 1, 1, 1)
    assert told["duplicates"] == 1
    assert told["quarantined_reasons"]["not_an_image"] == 1
    assert told["skipped_reasons"] == {"not_an_image_name": 1}
    assert {os.path.basename(problem["path"]) for problem in told["problems"]} == {"text.png", "torn.jpg"}
    assert all(problem.keys() == {"path", "reason", "message"} for problem in told["problems"])


def test_a_picture_whose_colours_are_converted_is_told_of(corner: Corner) -> None:
    corner.drop("inks.tif", kit.saved(kit.quarters().convert("CMYK"), "TIFF"))
    assert plan(corner)["colour"] == 1
    assert "converted to sRGB" in corner.run("plan").out


def test_a_plan_makes_no_file_and_sends_nothing(filled: Corner) -> None:
    before = sorted(filled.folder.rglob("*"))
    plan(filled)
    assert sorted(filled.folder.rglob("*")) == before


def test_a_plan_changes_nothing_in_a_ledger_that_is_there(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.live("fits.jpg")

    filled.fill(story)
    before = {file: file.read_bytes() for file in filled.ledger.parent.iterdir()}
    assert plan(filled)["already_live"] == 1
    assert {file: file.read_bytes() for file in filled.ledger.parent.iterdir()} == before


def test_what_is_known_is_not_looked_at_again(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.live("fits.jpg", 1)
        await ledger.waits("odd.bmp")
        await ledger.bad("text.png")

    filled.fill(story)
    told = plan(filled)
    assert (told["already_live"], told["in_line"], told["quarantined_reasons"]["not_an_image"]) == (1, 1, 1)


def test_a_copy_of_an_image_that_is_live_costs_no_token(corner: Corner) -> None:
    corner.drop("a.jpg", picture())
    digest = asyncio.run(fingerprint(source_of(corner.inbox, "a.jpg")))

    async def story(ledger: Filled) -> None:
        what = replace(content(1), digest=digest, content_id=content_id(digest, Purpose.REFERENCE, {}))
        await ledger.uploaded(ledger.seen("a.jpg"), what)

    corner.fill(story)
    corner.drop("copy.jpg", picture())
    told = plan(corner)
    assert (told["already_live"], told["duplicates"], told["to_upload"]) == (1, 1, 0)


# -- quota and time --------------------------------------------------------------------------------


def with_quota(corner: Corner, burst: int, per_minute: int) -> Corner:
    corner.settings["api"]["quota"] = {"burst": burst, "per_minute": per_minute}
    corner.save()
    return corner


def test_time_is_what_the_quota_takes(filled: Corner) -> None:
    told = plan(with_quota(filled, burst=1, per_minute=2))
    assert told["tokens"] == 4
    assert told["seconds"] == pytest.approx(90, abs=1)
    ends_at = parsed(told["ends_at"])
    assert ends_at is not None
    assert (ends_at - datetime.now(UTC)).total_seconds() == pytest.approx(90, abs=30)
    assert told["quota"]["largest_alive_set"] == 1 + 2 * 60 * 24


def test_ids_that_end_before_the_last_image_is_uploaded_are_counted(corner: Corner) -> None:
    """At one an hour, 24 images are alive at once: of 27 the first two have ended when the last leaves."""
    for number in range(27):
        corner.drop(f"{number}.jpg", picture(size=(8 + number, 8)))
    corner.fill(_remember({"low": 1 / 3600, "high": 1 / 3600, "capacity": 1.0, "tokens": 1.0}))
    told = plan(corner)
    assert told["seconds"] == pytest.approx(26 * 3600, rel=0.01)
    assert told["expired_before_end"] == 2
    shown = corner.run("plan").out
    assert "2 ids of this run will have expired before its last image is uploaded" in shown


def test_live_ids_that_end_before_the_run_does_are_counted(corner: Corner) -> None:
    for number in range(27):
        corner.drop(f"{number}.jpg", picture(size=(8 + number, 8)))

    async def story(ledger: Filled) -> None:
        await ledger.live("0.jpg")
        await _remember({"low": 1 / 3600, "high": 1 / 3600, "capacity": 1.0, "tokens": 1.0})(ledger)

    corner.fill(story)
    assert plan(corner)["live_that_end_before"] == 1


def _remember(changes: dict[str, Any]) -> Any:
    async def story(ledger: Filled) -> None:
        told = {
            "v": 1,
            "at": datetime.now(UTC).isoformat(),
            "learned": True,
            "held_seconds": 0.0,
            "others": 0,
            "reserve": 0.0,
        }
        await ledger.ledger.set_fact(UPLOAD_QUOTA_FACT, told | changes)

    return story


# -- what is looked at -----------------------------------------------------------------------------


def test_paths_stand_in_for_the_folders(filled: Corner) -> None:
    assert plan(filled, "inbox/fits.jpg", "inbox/copies")["discovered"] == 2


def test_a_path_outside_of_every_folder_is_planned_with_its_own_purpose(corner: Corner, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "x.jpg").write_bytes(picture())
    told = plan(corner, "extra", "--purpose", "first_frame", "--metadata", "campaign=x")
    assert (told["discovered"], told["new"]) == (1, 1)


def test_planning_a_path_leaves_no_trace_of_it_in_the_ledger(corner: Corner, tmp_path: Path) -> None:
    async def nothing(ledger: Filled) -> None:
        pass

    corner.fill(nothing)
    (tmp_path / "extra").mkdir()
    before = corner.ledger.read_bytes()
    plan(corner, "extra")
    assert corner.ledger.read_bytes() == before


def test_a_list_of_files_may_come_from_stdin(filled: Corner) -> None:
    ran = as_process(filled, "plan", "--files-from", "-", "-0", "--json", stdin=b"inbox/fits.jpg\0inbox/odd.bmp\0")
    assert ran.json["discovered"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--purpose", "reference"], "name the paths they are for"),
        (["nowhere.jpg"], "there is no such file or folder"),
        (["inbox", "--metadata", "campaign"], "KEY=VALUE"),
        (["inbox", "--purpose", "decoration"], "decoration"),
        (["-0"], "name that list"),
    ],
)
def test_wrong_usage_is_told(corner: Corner, arguments: list[str], words: str) -> None:
    ran = corner.run("plan", *arguments)
    assert ran.code == 2
    assert words in ran.last_words


def test_without_folders_there_is_nothing_to_plan(corner: Corner) -> None:
    corner.settings["folders"] = []
    corner.save()
    assert corner.run("plan").code == 2


# -- for people ------------------------------------------------------------------------------------


def test_people_read_what_why_and_how_long(filled: Corner) -> None:
    shown = with_quota(filled, burst=1, per_minute=2).run("plan").out
    for words in ("files found", "to be uploaded", "written anew as WebP", "not_an_image", "1 min 30 s at least"):
        assert words in shown
    assert "1 of 1 left, 2 a minute (as the settings say, until the API tells)" in shown


def test_on_a_terminal_of_80_columns_no_line_is_longer(filled: Corner) -> None:
    screen = on_terminal(["plan", "-c", str(filled.config)])
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.decode())
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "tokens needed" in plain


def test_as_a_process_data_is_on_stdout_and_nothing_on_stderr(filled: Corner) -> None:
    ran = as_process(filled, "plan", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json.keys() == KEYS


def as_process(corner: Corner, *arguments: str, stdin: bytes = b"") -> Ran:
    ran = subprocess.run(
        [sys.executable, "-m", "ingestor", *arguments, "-c", str(corner.config)],
        input=stdin,
        capture_output=True,
        cwd=corner.folder,
        timeout=60,
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

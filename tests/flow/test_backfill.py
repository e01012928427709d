"""The main job on a folder such as people have, in processes of its own, against the sandbox over real sockets."""

from __future__ import annotations

import hashlib
import io
import shutil
import signal
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from ingestor.sandbox import Sandbox, SandboxOptions
from tests.home import Home, until
from tests.samples import noise, photograph

FIT = ("fits.jpg", "fits.webp", "cmyk.jpg", "sub/copy-of-fits.jpg")
MADE_FIT = ("6000x4000.jpg", "3000x6000.png", "noise-23mb.png", "turned.jpg", "drawing.bmp", "scan.tiff")
QUARANTINED = {"truncated.jpg": "truncated", "text.png": "not_an_image"}


def fill(folder: Path) -> None:
    """All of the issue's files."""
    (folder / "sub").mkdir()
    small = photograph(800, 600, 1)
    small.save(folder / "fits.jpg", quality=85)
    shutil.copy(folder / "fits.jpg", folder / "sub" / "copy-of-fits.jpg")
    photograph(700, 500, 2).save(folder / "fits.webp", quality=80)
    photograph(6000, 4000, 3).save(folder / "6000x4000.jpg", quality=85)
    photograph(3000, 6000, 4).save(folder / "3000x6000.png", compress_level=1)
    noise(3200, 2400).save(folder / "noise-23mb.png", compress_level=1)
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph(900, 600, 5).save(folder / "turned.jpg", exif=turned)
    photograph(640, 480, 6).convert("CMYK").save(folder / "cmyk.jpg")
    photograph(640, 480, 7).save(folder / "drawing.bmp")
    photograph(640, 480, 8).save(folder / "scan.tiff")
    (folder / "notes.txt").write_text("not for upload")
    (folder / "text.png").write_text("this is no PNG at all")
    whole = (folder / "fits.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) * 2 // 3])


async def sent_bytes(sandbox: Sandbox, file_id: str) -> bytes:
    """What the API has under an id, through its signed URL."""
    headers = {"X-Api-Key": sandbox.api_key}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{sandbox.base_url}/v1/files/{file_id}", headers=headers) as answer:
            url = (await answer.json())["url"]
        async with session.get(url) as answer:
            assert answer.status == 200
            return await answer.read()


def uploads_asked(sandbox: Sandbox) -> int:
    """How many times the API was asked to take a file."""
    asked = sandbox.stats()["requests"]
    return sum(sum(by_status.values()) for route, by_status in asked.items() if "POST" in route)


@pytest.fixture(scope="module")
def folder_of_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    fill(folder)
    return folder


async def test_a_mixed_folder_ends_in_the_manifest_whatever_is_in_it(home: Home, folder_of_images: Path) -> None:
    shutil.copytree(folder_of_images, home.inbox, dirs_exist_ok=True)

    ran = await home.run("backfill", "--json")

    assert ran.code == 3, ran.err
    told = ran.json
    assert told["discovered"] == 13
    assert told["uploaded"] == 9
    assert told["duplicates"] == 1
    assert told["skipped"] == 1
    assert told["quarantined"] == 2
    assert {problem["reason"] for problem in told["problems"]} == set(QUARANTINED.values())
    assert "quarantined" in ran.last_words

    present = home.present()
    assert {path: present[path]["reason"] for path in QUARANTINED} == QUARANTINED
    assert all("file_id" not in present[path] for path in QUARANTINED)
    assert present["fits.jpg"]["file_id"] == present["sub/copy-of-fits.jpg"]["file_id"]
    assert len({present[path]["file_id"] for path in (*FIT, *MADE_FIT)}) == 9
    await check_what_was_sent(home)


async def check_what_was_sent(home: Home) -> None:
    present = home.present()
    for path in (*FIT, *MADE_FIT):
        line = present[path]
        content = await sent_bytes(home.sandbox, line["file_id"])
        assert hashlib.sha256(content).hexdigest() == line["sent_sha256"]
        assert hashlib.sha256((home.inbox / path).read_bytes()).hexdigest() == line["sha256"]
        assert len(content) == line["size_bytes"] <= 10_000_000
        image = Image.open(io.BytesIO(content))
        image.load()
        assert image.size == (line["width_px"], line["height_px"])
        assert max(image.size) <= 4096
        if path in FIT:
            assert content == (home.inbox / path).read_bytes()
            assert line["normalised"] == []
        else:
            assert line["normalised"] != []
    assert present["turned.jpg"]["height_px"] > present["turned.jpg"]["width_px"], "it stands upright"
    assert present["6000x4000.jpg"]["width_px"] == 4096
    assert present["3000x6000.png"]["height_px"] == 4096


async def test_a_second_run_sends_nothing_and_a_third_without_ledger_gets_the_same_ids(
    home: Home, folder_of_images: Path
) -> None:
    shutil.copytree(folder_of_images, home.inbox, dirs_exist_ok=True)
    await home.run("backfill")
    first = home.present()
    uploads = uploads_asked(home.sandbox)

    second = await home.run("backfill", "--json")
    assert uploads_asked(home.sandbox) == uploads
    assert second.code == 3
    assert (second.json["already_live"], second.json["quarantined"], second.json["skipped"]) == (10, 2, 1)
    assert second.json["discovered"] == 13

    shutil.rmtree(home.folder / "var")
    third = await home.run("backfill", "--json")
    assert third.json["replayed"] == 9
    assert third.json["uploaded"] == 0
    again = home.present()
    for path in (*FIT, *MADE_FIT):
        assert again[path]["file_id"] == first[path]["file_id"]
        assert again[path]["idempotency_key"] == first[path]["idempotency_key"]
        assert again[path]["expires_at"] == first[path]["expires_at"]
    assert again["fits.webp"]["replayed"] is True


async def test_paths_on_the_command_line_go_by_their_own_settings(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    photograph(300, 200, 11).save(elsewhere / "one.jpg")
    photograph(300, 200, 12).save(elsewhere / "two.jpg")

    ran = await home.run("backfill", str(elsewhere), "--purpose", "first_frame", "--metadata", "shot=12", "--json")

    assert ran.code == 0, ran.err
    assert ran.json["uploaded"] == 2
    assert {(line["purpose"], line["metadata"]["shot"]) for line in home.manifest()} == {("first_frame", "12")}


async def test_a_list_of_paths_may_come_from_stdin(home: Home) -> None:
    for number in range(3):
        photograph(200, 100, 20 + number).save(home.inbox / f"{number}.jpg")
    listed = b"\0".join(str(home.inbox / name).encode() for name in ("0.jpg", "2.jpg"))

    ran = await home.run("backfill", "--files-from", "-", "-0", "--json", stdin=listed)

    assert ran.code == 0, ran.err
    assert home.present().keys() == {"0.jpg", "2.jpg"}
    assert {line["folder"] for line in home.manifest()} == {"inbox"}


async def test_two_on_one_ledger_is_one_too_many(home: Home) -> None:
    async with home.watching():
        ran = await home.run("backfill")
    assert ran.code == 6
    assert "holds this ledger" in ran.last_words


async def test_a_key_that_is_refused_ends_the_run_and_blames_no_image(home: Home) -> None:
    photograph(200, 100, 30).save(home.inbox / "one.jpg")
    ran = await home.run("backfill", "--json", AUROUS_API_KEY="al_live_wrong0123456789")
    assert ran.code == 4
    assert ran.json["deferred"] == 1
    assert ran.json["quarantined"] == 0
    assert "al_live_wrong0123456789" not in ran.err + ran.out


async def test_an_api_that_cannot_be_reached_is_waited_for_until_the_deadline(home: Home) -> None:
    photograph(200, 100, 31).save(home.inbox / "one.jpg")
    home.settings["api"]["base_url"] = "http://127.0.0.1:9"
    home.save()
    ran = await home.run("backfill", "--json", "--deadline", "2s")
    assert ran.code == 5
    assert ran.json["deferred"] == 1
    assert "deadline" in ran.last_words


async def test_a_deadline_that_passes_while_the_quota_holds_says_so(tmp_path: Path) -> None:
    options = SandboxOptions(data_dir=tmp_path / "slow", fault_retry_after_seconds=3600)
    async with Sandbox(options) as sandbox:
        home = Home(tmp_path / "home", sandbox)
        for number in range(5):
            photograph(200, 100, number).save(home.inbox / f"{number}.jpg")
        sandbox.set_faults({"rate_limit": 1.0})
        ran = await home.run("backfill", "--json", "--deadline", "3s")
    assert ran.code == 5
    assert "the deadline has passed: quota: 5 uploads wait for tokens, the next one is there at" in ran.last_words
    assert {problem["reason"] for problem in ran.json["problems"]} == {"quota"}
    assert all("5 uploads wait for tokens" in problem["message"] for problem in ran.json["problems"])


async def test_on_errors_stop_ends_the_run_with_the_first_quarantined_image(home: Home) -> None:
    for number in range(6):
        (home.inbox / f"{number}.png").write_text(f"no image {number}")
    ran = await home.run("backfill", "--json", "--on-errors", "stop")
    told = ran.json
    assert ran.code == 3
    assert told["quarantined"] >= 1
    assert "--on-errors" in ran.last_words
    assert told["discovered"] == told["quarantined"] + told["deferred"]


async def test_images_are_moved_when_done_and_quarantined_ones_with_their_reason(home: Home) -> None:
    home.settings["folders"][0] |= {"after_upload": "move:done", "on_quarantine": "move:bad"}
    home.save()
    (home.inbox / "a").mkdir()
    photograph(200, 100, 40).save(home.inbox / "a" / "good.jpg")
    (home.inbox / "bad.png").write_text("no image")

    ran = await home.run("backfill", "--json")

    assert ran.code == 3, ran.err
    assert sorted(path.name for path in home.inbox.rglob("*") if path.is_file()) == []
    assert (home.folder / "done" / "a" / "good.jpg").is_file()
    assert (home.folder / "bad" / "bad.png").is_file()
    error = (home.folder / "bad" / "bad.error.json").read_text()
    assert "not_an_image" in error
    again = await home.run("backfill", "--json")
    assert (again.code, again.json["discovered"]) == (0, 0)

    retried = await home.run("retry", "--all", "--json")
    assert retried.json["put_back"] == 1
    assert (home.inbox / "bad.png").is_file()


@pytest.mark.parametrize(
    ("fault", "number"), [("slow", signal.SIGINT), ("slow", signal.SIGTERM), ("hang", signal.SIGINT)]
)
async def test_a_run_that_is_interrupted_leaves_the_rest_to_the_next(home: Home, fault: str, number: int) -> None:
    """What is in flight finishes; a second signal does not wait for it."""
    for name in range(30):
        photograph(64, 48, name).save(home.inbox / f"{name:02}.jpg")
    home.sandbox.set_faults({fault: 1.0})
    async with home.running("backfill", "--json") as running:
        await until(lambda: bool(home.sandbox.stats()["faults"]))
        running.process.send_signal(number)
        if fault == "hang":
            await running.until_logged("draining")
            running.process.send_signal(number)
        assert await running.ended() == 130
    assert "Traceback" not in "".join(running.lines)
    assert len(home.manifest()) < 30
    home.sandbox.set_faults({fault: 0.0})
    ran = await home.run("backfill", "--json")
    assert ran.code == 0, ran.err
    assert len(home.present()) == 30
    assert home.sandbox.stats()["created_total"] == 30

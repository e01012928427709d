"""Lives of ids, by the API's clock; and who goes first when tokens are short."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home, until
from tests.samples import photograph

DAY = 24 * 3600.0


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    photograph(64, 48, seed).save(buffer, "JPEG")
    return buffer.getvalue()


async def test_a_wrong_clock_is_told_and_reckoned_with(home: Home) -> None:
    home.sandbox.advance(3 * 3600)
    (home.inbox / "one.jpg").write_bytes(jpeg(1))
    ran = await home.run("backfill", "--json")
    assert ran.code == 0, ran.err
    told = [line for line in ran.log if line["event"] == "clock_wrong"]
    assert len(told) == 1
    assert -3 * 3600 - 10 < told[0]["seconds"] < -3 * 3600 + 10
    again = await home.run("backfill", "--json")
    assert again.json["already_live"] == 1
    assert not [line for line in again.log if line["event"] == "clock_wrong"], "the ledger remembers"


async def test_ids_that_end_while_nothing_runs_are_known_to_have_ended_and_come_back(home: Home) -> None:
    (home.inbox / "one.jpg").write_bytes(jpeg(2))
    await home.run("backfill")
    first = home.present()["one.jpg"]
    home.sandbox.advance(DAY + 60)
    (home.inbox / "two.jpg").write_bytes(jpeg(3))
    await home.run("backfill")  # its first answer tells the time
    ran = await home.run("backfill", "--json")
    assert ran.code == 0, ran.err
    present = home.present()["one.jpg"]
    assert present["file_id"] != first["file_id"]
    assert present["generation"] == 1
    assert [line["event"] for line in home.manifest() if line["path"] == "one.jpg"] == [
        "uploaded",
        "expired",
        "renewed",
    ]


async def test_the_id_of_a_replay_is_good_or_is_not_taken(home: Home) -> None:
    (home.inbox / "one.jpg").write_bytes(jpeg(4))
    await home.run("backfill")
    first = home.present()["one.jpg"]["file_id"]
    await home.delete_at_api(first)
    shutil.rmtree(home.folder / "var")
    ran = await home.run("backfill", "--json")
    assert ran.code == 0, ran.err
    assert home.present()["one.jpg"]["file_id"] != first
    assert (await home.run("verify", "--json")).json == {
        "checked": 1,
        "gone": 0,
        "expired": 0,
        "in_line": 0,
        "files": [],
    }


async def test_renewals_come_before_the_end_and_the_old_id_lives_meanwhile(home: Home) -> None:
    home.settings["folders"][0]["renew"] = "while-source-exists"
    home.save()
    (home.inbox / "one.jpg").write_bytes(jpeg(5))
    (home.inbox / "gone.jpg").write_bytes(jpeg(6))
    async with home.watching() as running:
        await home.until_listed({"one.jpg", "gone.jpg"})
        assert await running.stop() == 0
    (home.inbox / "gone.jpg").unlink()
    home.sandbox.advance(DAY - 20 * 60)
    (home.inbox / "new.jpg").write_bytes(jpeg(7))
    await home.run("backfill")  # hears the time
    async with home.watching() as running:
        await until(lambda: home.present()["one.jpg"]["event"] == "renewed")
        assert await running.stop() == 0
    assert home.present()["gone.jpg"]["generation"] == 0, "what has no source is not renewed"
    assert home.sandbox.stats()["created_total"] == 4


async def test_ids_that_ended_while_nothing_ran_are_uploaded_again_where_they_are_kept_alive(home: Home) -> None:
    home.settings["folders"][0]["renew"] = "while-source-exists"
    home.save()
    (home.inbox / "one.jpg").write_bytes(jpeg(5))
    (home.inbox / "gone.jpg").write_bytes(jpeg(6))
    await home.run("backfill")
    home.sandbox.advance(3 * DAY)
    (home.inbox / "gone.jpg").unlink()
    await home.run("verify")  # hears the time
    assert home.present()["one.jpg"]["event"] == "expired"
    async with home.watching() as running:
        await until(lambda: home.present()["one.jpg"]["event"] == "renewed")
        assert await running.stop() == 0
    assert home.present()["gone.jpg"]["event"] == "expired"


@pytest.fixture
async def slow_sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(data_dir=tmp_path / "slow", upload_bucket=Bucket(5, 480))) as sandbox:
        yield sandbox


async def test_a_folder_that_was_renamed_in_the_settings_is_kept_alive_under_its_new_name(home: Home) -> None:
    folder = home.settings["folders"][0]
    folder["renew"] = "while-source-exists"
    home.save()
    (home.inbox / "one.jpg").write_bytes(jpeg(1))
    await home.run("backfill")
    first = home.present()["one.jpg"]
    folder["name"] = "products"
    home.save()
    assert (await home.run("backfill", "--json")).json["duplicates"] == 1
    home.sandbox.advance(DAY - 20 * 60)
    await home.run("verify")  # hears the time
    async with home.watching() as watch:
        await watch.until_logged("renewal_planned")
        await until(lambda: home.present()["one.jpg"]["file_id"] != first["file_id"])
        assert await watch.stop() == 0
    status = (await home.run("status", "--json")).json
    assert [(one["name"], one["live"], one["renewing"]) for one in status["folders"]] == [
        ("products", 1, 0),
        ("inbox", 1, 0),
    ]


@pytest.mark.parametrize("command", ["backfill", "watch"])
async def test_renewals_that_wait_in_a_folder_that_left_the_settings_leave_the_line(home: Home, command: str) -> None:
    (home.inbox / "one.jpg").write_bytes(jpeg(1))
    await home.run("backfill")
    with contextlib.closing(sqlite3.connect(home.folder / "var/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE sources SET state = 'waiting', lane = 1, wanted_generation = 1, ready_at = 0")
    home.settings["folders"][0]["name"] = "products"
    home.save()
    told = await home.run("status")
    assert "due since" not in told.out
    assert "inbox (not in the settings)" in told.out
    if command == "backfill":
        log = (await home.run("backfill")).log
    else:
        async with home.watching() as watch:
            log = [await watch.until_logged("renewals_withdrawn")]
    assert [line["number"] for line in log if line["event"] == "renewals_withdrawn"] == [1]
    status = (await home.run("status", "--json")).json
    assert [one["renewing"] for one in status["folders"] if one["name"] == "inbox"] == [0]


async def test_a_fresh_drop_goes_before_a_backlog(tmp_path: Path, slow_sandbox: Sandbox) -> None:
    home = Home(tmp_path / "home2", slow_sandbox)
    home.settings["api"]["quota"] = {"burst": 5, "per_minute": 480}
    home.save()
    for number in range(300):
        (home.inbox / f"{number:03}.jpg").write_bytes(jpeg(1000 + number))
    async with home.watching() as running:
        await until(lambda: len(home.manifest()) > 10)
        await asyncio.sleep(0.3)
        (home.inbox / "fresh.jpg").write_bytes(jpeg(1))
        await running.until_logged("found")
        before = len(home.manifest())
        await home.until_listed({"fresh.jpg"})
        place = [line["path"] for line in home.manifest()].index("fresh.jpg")
        running.process.kill()
    # What was found, settled and hashed meanwhile takes 0.1 s of settling: one or two tokens, not the backlog.
    assert place - before <= 8
    assert home.sandbox.stats()["requests"].get("POST /v1/files", {}).get(429, 0) == 0


async def test_an_image_whose_file_is_deleted_is_deleted_at_the_api_where_that_is_wanted(home: Home) -> None:
    home.settings["folders"][0] |= {"on_source_delete": "purge", "rescan": "300ms"}
    home.save()
    (home.inbox / "sub").mkdir()
    for name in ("one.jpg", "twin-of-one.jpg", "sub/two.jpg", "keep.jpg"):
        (home.inbox / name).write_bytes(jpeg({"sub/two.jpg": 2, "keep.jpg": 3}.get(name, 1)))
    async with home.watching() as running:
        await home.until_listed({"one.jpg", "twin-of-one.jpg", "sub/two.jpg", "keep.jpg"})
        (home.inbox / "one.jpg").unlink()
        shutil.rmtree(home.inbox / "sub")
        await until(lambda: home.present()["sub/two.jpg"]["event"] == "purged", 40)
        assert home.present()["one.jpg"]["event"] == "uploaded", "its twin is still there"
        (home.inbox / "twin-of-one.jpg").unlink()
        await until(lambda: home.present()["twin-of-one.jpg"]["event"] == "purged", 40)
        assert home.present()["keep.jpg"]["event"] == "uploaded"
        assert await running.stop() == 0
    assert home.sandbox.stats()["live"] == 1


async def test_what_a_deleted_file_had_before_goes_too_but_not_what_a_renamed_one_had(home: Home) -> None:
    home.settings["folders"][0] |= {"on_source_delete": "purge", "rescan": "300ms"}
    home.save()
    for number, name in enumerate(("gone.jpg", "moved.jpg", "edited.jpg")):
        (home.inbox / name).write_bytes(jpeg(number))

    def live() -> int:
        return int(home.sandbox.stats()["live"])

    def ids() -> dict[str, str]:
        return {name: line["file_id"] for name, line in home.present().items()}

    await home.run("backfill")
    first = ids()
    assert (await home.run("renew", "inbox/gone.jpg", "inbox/moved.jpg")).code == 0
    second = ids()
    for number, name in enumerate(("gone.jpg", "moved.jpg", "edited.jpg"), 10):
        (home.inbox / name).write_bytes(jpeg(number))
    await home.run("backfill")
    third = ids()
    everything = {*first.values(), *second.values(), *third.values()}
    assert await home.at_api() == everything
    async with home.watching() as running:
        (home.inbox / "moved.jpg").rename(home.inbox / "elsewhere.jpg")
        await home.until_listed({"elsewhere.jpg"})
        (home.inbox / "gone.jpg").unlink()
        theirs = {one["gone.jpg"] for one in (first, second, third)}
        await until(lambda: live() == len(everything - theirs), 40)
        assert await home.at_api() == everything - theirs
        await until(lambda: home.present()["gone.jpg"]["event"] == "purged")
        (home.inbox / "elsewhere.jpg").unlink()
        theirs |= {one["moved.jpg"] for one in (first, second, third)}
        await until(lambda: live() == len(everything - theirs), 40)
        assert await home.at_api() == everything - theirs
        assert await running.stop() == 0


async def test_a_renamed_image_keeps_its_id_where_deletions_reach_the_api(home: Home) -> None:
    home.settings["folders"][0] |= {"on_source_delete": "purge", "rescan": "300ms", "settle": "1s"}
    home.save()
    (home.inbox / "one.jpg").write_bytes(jpeg(1))
    async with home.watching() as running:
        await home.until_listed({"one.jpg"})
        before = home.present()["one.jpg"]["file_id"]
        (home.inbox / "one.jpg").rename(home.inbox / "two.jpg")
        await home.until_listed({"two.jpg"})
        assert home.present()["two.jpg"]["file_id"] == before
        assert home.present()["one.jpg"]["event"] == "uploaded"
        (home.inbox / "two.jpg").unlink()
        await until(lambda: home.present()["two.jpg"]["event"] == "purged", 60)
        assert await running.stop() == 0
    assert home.sandbox.stats()["created_total"] == 1

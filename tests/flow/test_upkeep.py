"""What `verify` and `purge` do to ids, and what they leave alone."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home, until
from tests.samples import photograph

RENEWING = "SELECT count(*) FROM uploads WHERE state = 'renewing'"
DAY = 24 * 3600.0


def drop(home: Home, name: str, seed: int) -> None:
    buffer = io.BytesIO()
    photograph(64, 48, seed).save(buffer, "JPEG")
    (home.inbox / name).parent.mkdir(exist_ok=True)
    (home.inbox / name).write_bytes(buffer.getvalue())


@pytest.mark.parametrize("renew", [False, True])
async def test_an_id_that_has_ended_by_itself_is_not_marked_as_deleted(home: Home, renew: bool) -> None:
    drop(home, "one.jpg", 1)
    await home.run("backfill")
    home.sandbox.advance(DAY + 60)  # which nothing here has heard of yet
    ran = await home.run("verify", "--json", *(["--renew"] if renew else []))
    assert ran.code == 0, ran.err
    assert ran.json == {"checked": 1, "gone": 0, "expired": 1, "in_line": int(renew), "files": []}
    assert home.present()["one.jpg"]["event"] == "expired"
    assert [line["event"] for line in ran.log if line["event"] == "clock_wrong"] == ["clock_wrong"]
    await home.run("backfill")
    assert home.present()["one.jpg"]["event"] == "renewed"


async def test_an_id_that_has_ended_by_a_clock_that_is_right_is_told_of_too(home: Home) -> None:
    drop(home, "one.jpg", 1)
    await home.run("backfill")
    home.sandbox.advance(DAY + 60)
    with contextlib.closing(sqlite3.connect(home.folder / "var/ledger.db")) as ledger, ledger:
        ledger.execute("INSERT INTO facts (name, value, changed_at) VALUES ('clock.correction', ?, 0)", (DAY + 60,))
    ran = await home.run("verify", "--json")
    assert ran.json == {"checked": 1, "gone": 0, "expired": 1, "in_line": 0, "files": []}


async def test_what_somebody_has_deleted_is_marked_so(home: Home) -> None:
    for number in range(3):
        drop(home, f"{number}.jpg", number)
    await home.run("backfill")
    await home.delete_at_api(home.present()["1.jpg"]["file_id"])
    ran = await home.run("verify", "--json")
    assert (ran.json["checked"], ran.json["gone"], ran.json["expired"]) == (3, 1, 0)
    assert [file["path"] for file in ran.json["files"]] == ["1.jpg"]
    assert home.present()["1.jpg"]["event"] == "purged"


async def test_what_a_running_daemon_does_not_watch_is_not_handed_over_to_it(home: Home) -> None:
    extra = home.folder / "extra"
    extra.mkdir()
    for name, seed in (("one.jpg", 1), ("two.jpg", 2)):
        drop(home, name, seed)
        (home.inbox / name).rename(extra / name)
    drop(home, "mine.jpg", 3)
    await home.run("backfill")
    await home.run("backfill", str(extra))
    first = home.present()
    async with home.watching():
        for named in (["extra/one.jpg"], ["--within", "48h", "--folder", "extra"]):
            ran = await home.run("renew", *named)
            assert ran.code == 1
            assert "put in line for a new id: 0 images" in ran.out
            assert "extra/one.jpg" in ran.err
            assert "the folder extra is not one of the running `ingestor watch`" in ran.err
        both = await home.run("renew", "extra/one.jpg", "inbox/mine.jpg", "--json")
        assert (both.code, both.json["in_line"]) == (1, 1)
        await home.delete_at_api(first["two.jpg"]["file_id"])
        ran = await home.run("verify", "--renew", "--json")
        assert (ran.code, ran.json["gone"], ran.json["in_line"]) == (1, 1, 0)
        assert "extra/two.jpg: not put in line" in ran.err
    ran = await home.run("renew", "extra/one.jpg", "extra/two.jpg")
    assert ran.code == 0, ran.err
    assert all(home.present()[name]["generation"] == 1 for name in ("one.jpg", "two.jpg"))


async def test_a_path_of_a_folder_that_left_the_settings_is_not_renewed_but_told_of(home: Home) -> None:
    drop(home, "one.jpg", 1)
    await home.run("backfill")
    home.settings["folders"][0] |= {"path": str(home.folder), "name": "all", "recursive": False}
    home.save()
    ran = await home.run("renew", home.present()["one.jpg"]["file_id"])
    assert ran.code == 1
    assert "inbox/one.jpg: not put in line: the folder inbox is not in the settings" in ran.err


async def test_an_id_that_a_copy_elsewhere_goes_by_is_kept(home: Home) -> None:
    scratch = home.folder / "scratch"
    scratch.mkdir()
    home.settings["folders"].append({"path": str(scratch), "purpose": "reference", "settle": "0s"})
    home.save()
    for name, seed in (("both.jpg", 1), ("mine.jpg", 2)):
        drop(home, name, seed)
    (scratch / "copy.jpg").write_bytes((home.inbox / "both.jpg").read_bytes())
    drop(home, "alone.jpg", 3)
    (home.inbox / "alone.jpg").rename(scratch / "alone.jpg")
    await home.run("backfill")
    for dry in (["--dry-run"], []):
        ran = await home.run("purge", "--folder", "scratch", "--json", *dry)
        assert ran.json["purged"] == (0 if dry else 1)
        assert [file["path"] for file in ran.json["files"]] == ["alone.jpg"]
        assert [(kept["path"], kept["held_by"]) for kept in ran.json["kept"]] == [("copy.jpg", ["inbox/both.jpg"])]
    told = await home.run("purge", str(home.inbox / "both.jpg"))
    assert told.code == 1
    assert told.last_words.endswith("inbox/both.jpg was kept for scratch/copy.jpg")
    assert "kept" in told.out
    assert "scratch/copy.jpg" in told.out
    assert home.present()["both.jpg"]["event"] == "uploaded"
    both = [str(home.inbox / "both.jpg"), str(scratch / "copy.jpg")]
    ran = await home.run("purge", "--json", *both)
    assert ran.json["files"][0]["paths"] == ["inbox/both.jpg", "scratch/copy.jpg"]
    assert home.present()["both.jpg"]["event"] == home.present()["copy.jpg"]["event"] == "purged"


async def test_an_id_is_deleted_for_all_its_copies_where_it_is_named_itself(home: Home) -> None:
    drop(home, "one.jpg", 1)
    drop(home, "two.jpg", 1)
    await home.run("backfill")
    file_id = home.present()["one.jpg"]["file_id"]
    ran = await home.run("purge", file_id)
    assert "and 1 more of the same image" in ran.out
    assert {line["event"] for line in home.present().values()} == {"purged"}


@pytest.mark.parametrize("command", [["verify"], ["purge"], ["renew", "--within", "1h"], ["manifest"]])
async def test_a_folder_that_is_mistyped_is_no_success(home: Home, command: list[str]) -> None:
    drop(home, "one.jpg", 1)
    await home.run("backfill")
    ran = await home.run(*command, "--folder", "inbax")
    assert ran.code == 2
    assert "inbax" in ran.last_words
    assert "inbox" in ran.last_words


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[Home]:
    """Four images with live ids, whose renewals wait for tokens in a running daemon."""
    async with Sandbox(SandboxOptions(data_dir=tmp_path / "slow", upload_bucket=Bucket(4, 1))) as sandbox:
        home = Home(tmp_path / "home2", sandbox)
        home.settings["api"]["quota"] = {"burst": 4, "per_minute": 1}
        home.settings["folders"][0]["renew"] = "while-source-exists"
        home.save()
        for number in range(4):
            drop(home, f"{number}.jpg", number)
        assert (await home.run("backfill")).code == 0
        async with home.watching():
            renewed = await home.run("renew", "--within", "48h", "--json")
            assert renewed.json["in_line"] == 4
            with contextlib.closing(sqlite3.connect(home.folder / "var" / "ledger.db")) as ledger:
                await until(lambda: ledger.execute(RENEWING).fetchone() == (4,))
            yield home


async def test_an_id_is_of_use_while_its_renewal_waits(waiting: Home) -> None:
    home = waiting
    file_id = home.present()["0.jpg"]["file_id"]
    for named in ("inbox/0.jpg", file_id):
        ran = await home.run("url", named)
        assert (ran.code, ran.out.count("://")) == (0, 1), ran.err
    assert len((await home.run("url", "--all")).out.splitlines()) == 4
    assert (await home.run("verify", "--json")).json["checked"] == 4
    again = await home.run("renew", "--within", "48h")
    assert again.out.splitlines()[0].startswith("put in line for a new id: 0 images")
    assert again.out.splitlines()[1] == "in line for one already: 4 images"
    for which in (["--all"], ["--folder", "inbox"], ["--older-than", "1ms"]):
        assert len((await home.run("purge", *which, "--dry-run", "--json")).json["files"]) == 4


async def test_a_purge_ends_a_renewal_that_waits(waiting: Home) -> None:
    home = waiting
    file_id = home.present()["0.jpg"]["file_id"]
    ran = await home.run("purge", "inbox/0.jpg", home.present()["1.jpg"]["file_id"])
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "deleted 2 files at the API"), ran.err
    assert "its renewal was under way" in ran.out
    assert [home.present()[f"{number}.jpg"]["event"] for number in range(3)] == ["purged", "purged", "uploaded"]
    counts = (await home.run("status", "--json")).json["total"]
    assert (counts["purged"], counts["renewing"], counts["live_ids"]) == (2, 2, 2)
    refused = await home.run("purge", file_id, "inbox/2.jpg", "--json")
    assert refused.json["purged"] == 1
    assert refused.code == 1
    assert refused.last_words == f"{file_id}: inbox/0.jpg is purged: there is no live id to purge"


async def test_a_duration_that_is_none_is_refused_with_what_would_be_one(home: Home) -> None:
    for command in (["purge", "--older-than"], ["renew", "--within"], ["backfill", "--deadline"]):
        ran = await home.run(*command, "bla")
        assert ran.code == 2
        assert ran.last_words == f'{command[1]}: "bla" is not a duration; write one such as 90s, 5m or 24h'


async def uploaded(home: Home, *names: str) -> list[str]:
    assert (await home.run("backfill")).code == 0
    return [home.present()[name]["file_id"] for name in names]


async def renewed(home: Home, name: str) -> str:
    assert (await home.run("renew", f"inbox/{name}")).code == 0
    return str(home.present()[name]["file_id"])


async def test_a_purge_of_a_path_reaches_the_ids_that_it_had_before(home: Home) -> None:
    drop(home, "one.jpg", 1)
    drop(home, "two.jpg", 2)
    first, other = await uploaded(home, "one.jpg", "two.jpg")
    second = await renewed(home, "one.jpg")
    drop(home, "one.jpg", 3)
    (third,) = await uploaded(home, "one.jpg")
    assert await home.at_api() == {first, second, third, other}
    ran = await home.run("purge", "inbox/one.jpg", "--json", "--dry-run")
    theirs = {(third, False), (first, True), (second, True)}
    assert {(file["file_id"], file["former"]) for file in ran.json["files"]} == theirs
    assert (ran.json["purged"], len(await home.at_api())) == (0, 4)
    lines = len(home.manifest())
    ran = await home.run("purge", "inbox/one.jpg")
    assert ran.code == 0, ran.err
    assert f"deleted: {first}  inbox/one.jpg, from before" in ran.out.splitlines()
    assert ran.out.splitlines()[-1] == "deleted 3 files at the API"
    assert await home.at_api() == {other}
    assert [line["file_id"] for line in home.manifest()[lines:]] == [third]
    told = (await home.run("explain", "inbox/one.jpg")).out
    for file_id in (first, second):
        assert f"{file_id}, which it had before, is gone at the API (deleted by `ingestor purge`)" in told
    again = await home.run("purge", "inbox/one.jpg", first)
    assert again.code == 1
    assert "inbox/one.jpg is purged: there is no live id to purge" in again.err
    assert again.last_words == f"{first}: inbox/one.jpg had this id before, and it has ended: there is nothing to purge"
    drop(home, "one.jpg", 1)
    (anew,) = await uploaded(home, "one.jpg")
    assert await home.at_api() == {anew, other}


async def test_an_id_from_before_has_the_url_of_its_successor_but_not_of_other_bytes(home: Home) -> None:
    drop(home, "one.jpg", 1)
    (first,) = await uploaded(home, "one.jpg")
    second = await renewed(home, "one.jpg")
    assert (await home.run("url", first, "--json")).json["file_id"] == second
    drop(home, "one.jpg", 3)
    await uploaded(home, "one.jpg")
    for former in (first, second):
        ran = await home.run("url", former)
        assert (ran.code, ran.out) == (1, "")
        assert ran.last_words == f"{former} was of inbox/one.jpg as it was before: it has other bytes now"


async def test_an_id_from_before_that_is_named_goes_alone(home: Home) -> None:
    drop(home, "one.jpg", 1)
    (first,) = await uploaded(home, "one.jpg")
    second = await renewed(home, "one.jpg")
    ran = await home.run("purge", first)
    assert ran.code == 0, ran.err
    stays = f"{first} was followed by {second}, which stays; name the path to delete both"
    assert ran.out.splitlines() == [f"deleted: {first}  inbox/one.jpg, from before", stays, "deleted 1 file at the API"]
    assert await home.at_api() == {second}
    assert home.present()["one.jpg"]["event"] == "renewed"


async def test_a_path_whose_present_id_has_ended_is_purged_of_the_one_before(home: Home) -> None:
    drop(home, "one.jpg", 1)
    drop(home, "new.jpg", 2)
    first, _ = await uploaded(home, "one.jpg", "new.jpg")
    second = await renewed(home, "one.jpg")
    await home.delete_at_api(second)
    assert (await home.run("verify", "--json")).json["gone"] == 1
    ran = await home.run("purge", "inbox/one.jpg", "--json")
    assert (ran.code, [file["file_id"] for file in ran.json["files"]]) == (0, [first]), ran.err


async def test_each_id_goes_by_its_own_age(home: Home) -> None:
    drop(home, "one.jpg", 1)
    (first,) = await uploaded(home, "one.jpg")
    home.sandbox.advance(3600)
    await home.run("verify")  # hears the time
    second = await renewed(home, "one.jpg")
    ran = await home.run("purge", "--older-than", "30m", "--json")
    assert [(file["file_id"], file["former"]) for file in ran.json["files"]] == [(first, True)]
    assert await home.at_api() == {second}
    drop(home, "one.jpg", 2)
    (third,) = await uploaded(home, "one.jpg")
    ran = await home.run("purge", "--all")
    assert ran.out.splitlines()[-1] == "deleted 2 files at the API"
    assert third in ran.out
    assert await home.at_api() == set()


async def test_an_id_from_before_that_a_copy_goes_by_is_kept(home: Home) -> None:
    drop(home, "one.jpg", 1)
    drop(home, "copy.jpg", 1)
    (both,) = await uploaded(home, "copy.jpg")
    drop(home, "one.jpg", 2)
    (mine,) = await uploaded(home, "one.jpg")
    ran = await home.run("purge", "inbox/one.jpg", "--json")
    assert [file["file_id"] for file in ran.json["files"]] == [mine]
    assert [(kept["file_id"], kept["former"], kept["held_by"]) for kept in ran.json["kept"]] == [
        (both, True, ["inbox/copy.jpg"])
    ]
    assert await home.at_api() == {both}
    assert home.present()["copy.jpg"]["event"] == "uploaded"
    ran = await home.run("purge", "inbox/one.jpg", "inbox/copy.jpg")
    assert ran.out.splitlines()[-1] == "deleted 1 file at the API"
    assert await home.at_api() == set()

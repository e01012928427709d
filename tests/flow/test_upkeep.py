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

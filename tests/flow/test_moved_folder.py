"""A drop folder that is at another place now, under its old name."""

from __future__ import annotations

import io
import json

from tests.home import Home
from tests.samples import photograph


def drop(home: Home, number: int) -> None:
    buffer = io.BytesIO()
    photograph(64, 48, number).save(buffer, "JPEG")
    (home.inbox / f"{number}.jpg").write_bytes(buffer.getvalue())


def now_at(home: Home, name: str) -> None:
    home.settings["folders"][0] |= {"path": name, "name": "inbox"}
    home.save()


async def test_a_renewal_that_was_asked_for_finds_its_file_where_the_folder_is_now(home: Home) -> None:
    for number in range(3):
        drop(home, number)
    await home.run("backfill")
    home.inbox.rename(home.folder / "box")
    now_at(home, "box")
    ran = await home.run("renew", "--within", "25h", "--json")
    assert (ran.code, ran.json["uploaded"], ran.json["deferred"]) == (0, 3, 0), ran.err
    assert [line["files"] for line in ran.log if line["event"] == "folder_moved"] == [3]
    lines = home.manifest()[3:]
    assert {line["event"] for line in lines} == {"renewed"}
    assert {line["source"] for line in lines} == {str(home.folder / "box" / f"{number}.jpg") for number in range(3)}
    again = await home.run("backfill", "--json")
    assert again.json["already_live"] == 3
    assert not [line for line in again.log if line["event"] == "folder_moved"]


async def test_what_did_not_move_stays_where_it_is_looked_for(home: Home) -> None:
    drop(home, 1)
    await home.run("backfill")
    (home.folder / "empty").mkdir()
    now_at(home, "empty")
    ran = await home.run("backfill", "--json")
    assert ran.json["discovered"] == 0
    assert not [line for line in ran.log if line["event"] == "folder_moved"]
    told = json.loads((await home.run("explain", "--json", "inbox/1.jpg")).out)
    assert str(home.inbox / "1.jpg") in json.dumps(told)

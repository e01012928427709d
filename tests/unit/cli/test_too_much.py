"""What `backfill` and `watch` refuse before they begin: what `plan` says of the same folder, and what is certain."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.app import UPLOAD_QUOTA_FACT
from ingestor.policy.renewing import RENEWS, most_kept_alive
from ingestor.runtime import capacity
from ingestor.runtime.capacity import too_many_to_renew
from tests.ledger_kit import folder_settings
from tests.unit.cli.conftest import Corner, Filled

MOST = 25
"""At one upload an hour and a burst of one, so many ids are alive at once."""


async def slow_quota(filled: Filled) -> None:
    told = {"v": 1, "at": datetime.now(UTC).isoformat(), "learned": True, "held_seconds": 0.0, "others": 0}
    bucket = {"reserve": 0.0, "low": 1 / 3600, "high": 1 / 3600, "capacity": 1.0, "tokens": 1.0}
    await filled.ledger.set_fact(UPLOAD_QUOTA_FACT, told | bucket)


def picture(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(data, "PNG")
    return data.getvalue()


def drop(corner: Corner, count: int, *, different: int = 256) -> list[str]:
    names = [f"{number:02}.png" for number in range(count)]
    for number, name in enumerate(names):
        corner.drop(name, picture(number % different))
    return names


def fill(corner: Corner, live: list[str], *, hours_ago: float = 0.0) -> None:
    async def story(filled: Filled) -> None:
        for number, name in enumerate(live, 1):
            await filled.live(name, number)

    corner.fill(story, start=datetime.now(UTC) - timedelta(hours=hours_ago))
    corner.fill(slow_quota)


def plan(corner: Corner) -> dict[str, Any]:
    planned: dict[str, Any] = corner.run("plan", "--json").json
    return planned


def refused_as_planned(corner: Corner) -> dict[str, Any]:
    """The plan, whose numbers are those that a backfill is refused with, twice."""
    planned = plan(corner)
    for _ in range(2):
        ran = corner.run("backfill")
        assert ran.code == 2, ran.err
        assert f"{planned['to_upload']} uploads take" in ran.last_words
        assert f"{planned['expired_before_end']} ids will have ended" in ran.last_words
    return planned


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled when a backfill goes on to its work, which these tests have no API for."""
    reached: list[str] = []

    def assemble(*_: Any, **__: Any) -> Any:
        reached.append("begun")
        raise SystemExit(0)

    monkeypatch.setattr("ingestor.app.assemble", assemble)
    return reached


def test_ids_that_have_ended_cost_an_upload_each(corner: Corner) -> None:
    fill(corner, drop(corner, 40), hours_ago=25)
    assert refused_as_planned(corner)["expired"] == 40


def test_images_that_have_changed_cost_an_upload_each(corner: Corner) -> None:
    names = drop(corner, 40)
    fill(corner, names)
    for number, name in enumerate(names[:30]):
        corner.drop(name, picture(100 + number), age_seconds=1800)
    planned = refused_as_planned(corner)
    assert (planned["changed"], planned["already_live"]) == (30, 10)


def test_what_is_live_but_not_in_the_folder_makes_no_room(corner: Corner) -> None:
    fill(corner, gone := drop(corner, 40))
    for name in gone:
        (corner.inbox / name).unlink()
    for number in range(40):
        corner.drop(f"new{number}.png", picture(100 + number))
    assert refused_as_planned(corner)["new"] == 40


def test_what_is_live_costs_nothing(corner: Corner, begun: list[str]) -> None:
    fill(corner, drop(corner, 60)[:40])
    assert plan(corner)["to_upload"] == 20
    assert corner.run("backfill").code == 0
    assert begun


def test_of_very_many_the_ids_that_are_live_are_counted_and_not_the_files(
    corner: Corner, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "MANY", 30)
    monkeypatch.setattr(capacity, "_wanted", None)
    fill(corner, drop(corner, 40))
    corner.run("backfill")
    assert begun


def test_of_very_many_those_whose_ids_have_ended_cost_an_upload_each(
    corner: Corner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "MANY", 30)
    fill(corner, drop(corner, 40), hours_ago=25)
    assert refused_as_planned(corner)["to_upload"] == 40


def test_the_same_bytes_twice_cost_one_upload(corner: Corner, begun: list[str]) -> None:
    drop(corner, 40, different=9)
    fill(corner, [])
    assert plan(corner)["to_upload"] == 9
    assert corner.run("backfill").code == 0
    assert begun


def test_the_numbers_are_those_of_different_images(corner: Corner) -> None:
    drop(corner, 60, different=MOST + 5)
    fill(corner, [])
    assert refused_as_planned(corner)["to_upload"] == MOST + 5


def test_files_that_are_named_and_live_cost_nothing(corner: Corner, begun: list[str], tmp_path: Path) -> None:
    names = drop(corner, 60)
    fill(corner, names[:40])
    named = [str(corner.inbox / name) for name in names]
    assert corner.run("backfill", *named).code == 0
    assert begun


# -- renewals --------------------------------------------------------------------------------------

PER_MINUTE = 0.01
"""At which `most_kept_alive` is 11."""


def too_many(corner: Corner) -> str | None:
    """Why `watch` would not begin."""
    told: list[str | None] = []

    async def story(filled: Filled) -> None:
        renewing = [folder_settings(corner.inbox, renew=RENEWS)]
        told.append(await too_many_to_renew(renewing, filled.ledger, PER_MINUTE))

    corner.fill(story)
    return told[0]


def hold(corner: Corner, contents: dict[str, int]) -> None:
    """Each of the files is uploaded, and has this content."""

    async def story(filled: Filled) -> None:
        for name, number in contents.items():
            await filled.live(name, number)

    corner.fill(story)


def test_files_with_the_same_bytes_are_renewed_as_one(corner: Corner) -> None:
    assert most_kept_alive(PER_MINUTE) == 11
    hold(corner, {name: number % 9 for number, name in enumerate(drop(corner, 79, different=9))})
    assert too_many(corner) is None


def test_more_different_images_than_can_be_kept_alive_are_refused(corner: Corner) -> None:
    hold(corner, {name: number % 12 for number, name in enumerate(drop(corner, 40, different=12))})
    assert (too_many(corner) or "").startswith("12 different images in folders")


def test_unknown_files_may_all_be_the_same_but_for_those_of_other_sizes(corner: Corner) -> None:
    for number in range(40):
        corner.drop(f"{number}.png", b"x" * 500)
    assert too_many(corner) is None
    for number in range(11):
        corner.drop(f"larger{number}.png", b"x" * (501 + number))
    assert (too_many(corner) or "").startswith("at least 12 different images in folders")


def test_unknown_files_of_one_size_are_told_apart_by_a_look_into_them(corner: Corner) -> None:
    for number in range(12):
        middle = b"%06d" % number if number else b"white."
        corner.drop(f"scan{number}.bmp", b"x" * 40_000 + middle + b"x" * 20_000)
        corner.drop(f"copy{number}.bmp", b"x" * 40_000 + middle + b"x" * 20_000)
    (corner.inbox / "scan0.bmp").unlink()
    (corner.inbox / "copy0.bmp").unlink()
    assert too_many(corner) is None
    corner.drop("scan0.bmp", b"x" * 40_000 + b"white." + b"x" * 20_000)
    assert (too_many(corner) or "").startswith("at least 12 different images in folders")


def test_what_cannot_be_looked_into_counts_for_nothing(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(corner, 40)
    assert too_many(corner) is not None
    monkeypatch.setattr(capacity, "open_regular", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    assert too_many(corner) is None


def test_of_very_many_files_only_so_many_are_looked_into(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "MANY", 0)
    monkeypatch.setattr(capacity, "LOOKS_AT_ONCE", 5)
    looked: list[int] = []
    look = capacity._looks
    monkeypatch.setattr(capacity, "_looks", lambda some: looked.append(len(some)) or look(some))
    for number in range(60):
        corner.drop(f"{number}.png", b"x" * 500)
    assert too_many(corner) is None
    assert sum(looked) == 25


def test_an_unknown_file_may_be_the_same_as_a_known_one_of_its_size(corner: Corner) -> None:
    names = drop(corner, 40, different=11)
    hold(corner, {name: number for number, name in enumerate(names[:11])})
    assert too_many(corner) is None
    corner.drop("another.png", b"x" * 500)
    assert (too_many(corner) or "").startswith("at least 12 different images in folders")


def test_what_was_changed_quarantined_or_deleted_is_not_counted_as_it_was(corner: Corner) -> None:
    names = drop(corner, 30)
    hold(corner, {name: number for number, name in enumerate(names)})
    for name in names[:10]:
        (corner.inbox / name).unlink()
    for name in names[10:20]:
        corner.drop(name, picture(200), age_seconds=1800)

    async def bad(filled: Filled) -> None:
        await filled.bad("bad.png", number=99)

    corner.drop("bad.png", b"no image")
    corner.fill(bad)
    assert too_many(corner) is None


def test_status_counts_each_image_once_and_none_whose_files_are_gone(corner: Corner) -> None:
    corner.settings["folders"][0]["renew"] = RENEWS
    corner.save()
    names = drop(corner, 30, different=10)
    hold(corner, {name: number % 10 for number, name in enumerate(names)})

    async def gone(filled: Filled) -> None:
        await filled.ledger.miss("inbox", "", [name for name in names if name.endswith("3.png")], "is gone")

    assert corner.run("status", "--json").json["renewals"]["images"] == 10
    corner.fill(gone)
    assert corner.run("status", "--json").json["renewals"]["images"] == 9

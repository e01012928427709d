"""What `backfill` refuses before it begins, held against what `plan` says of the same folder."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.app import UPLOAD_QUOTA_FACT
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
    return corner.run("plan", "--json").json  # type: ignore[no-any-return]


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

"""More than the quota can carry is refused before anything is begun, with the arithmetic."""

from __future__ import annotations

from tests.home import Home

SLOWEST = {"burst": 1, "per_minute": 1}
"""1,441 ids can be alive at once."""


def fill(home: Home, count: int) -> None:
    for number in range(count):
        (home.inbox / f"{number}.jpg").write_bytes(str(number).encode())


async def test_a_backfill_whose_ids_would_end_before_it_does_is_refused(home: Home) -> None:
    home.settings["api"]["quota"] = SLOWEST
    home.save()
    fill(home, 1500)
    ran = await home.run("backfill", "--json")
    assert ran.code == 2
    assert "1,500 uploads take 25.0 hours" in ran.last_words
    assert "1,441 can be alive at once" in ran.last_words
    assert "--allow-expiry" in ran.last_words
    assert home.manifest() == []
    allowed = await home.run("backfill", "--json", "--allow-expiry")
    assert allowed.code == 3
    assert allowed.json["quarantined"] == 1500


async def test_files_that_are_no_images_do_not_count(home: Home) -> None:
    home.settings["api"]["quota"] = SLOWEST
    home.save()
    for number in range(1500):
        (home.inbox / f"{number}.txt").write_bytes(str(number).encode())
    fill(home, 1)
    ran = await home.run("backfill", "--json")
    assert ran.code == 3
    assert ran.json["quarantined"] == 1


async def test_what_is_named_by_itself_counts_and_the_rest_of_the_folder_does_not(home: Home) -> None:
    home.settings["api"]["quota"] = SLOWEST
    home.save()
    fill(home, 1500)
    ran = await home.run("backfill", "--json", str(home.inbox / "7.jpg"))
    assert ran.code == 3
    assert ran.json["discovered"] == 1


async def test_a_folder_that_cannot_be_kept_alive_is_refused_at_the_start(home: Home) -> None:
    home.settings["api"]["quota"] = SLOWEST
    home.settings["folders"][0]["renew"] = "while-source-exists"
    home.save()
    for number in range(1200):
        (home.inbox / f"{number}.jpg").write_bytes(b"x" * number)
    ran = await home.run("watch")
    assert ran.code == 2
    assert "at least 1,200 different images" in ran.last_words
    assert "can be kept alive" in ran.last_words

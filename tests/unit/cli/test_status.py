from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestor.app import UPLOAD_QUOTA_FACT
from ingestor.cli import status as command
from ingestor.ledger import LedgerLock
from ingestor.policy import renewing
from ingestor.quota import LocalQuota
from ingestor.runtime.clock_watch import CLOCK_FACT
from ingestor.runtime.now import RUNTIME_FACT
from ingestor.runtime.system_clock import SystemClock
from tests.fakes import FakeClock
from tests.ledger_kit import content
from tests.unit.cli.conftest import Corner, Filled, on_terminal

KEYS = {
    "at",
    "settings",
    "ledger",
    "manifest",
    "ledger_exists",
    "daemon",
    "folders",
    "total",
    "quarantined",
    "next_expiry_at",
    "next_attempt_at",
    "quota",
    "api",
    "waiting_for",
    "clock_slow_seconds",
    "hooks",
    "machines",
    "renewals",
    "uploads",
}
COUNTS = {
    "waiting",
    "sending",
    "renewing",
    "live",
    "expired",
    "purged",
    "quarantined",
    "vanished",
    "expiring_1h",
    "expiring_6h",
}


@pytest.fixture
def filled(corner: Corner) -> Corner:
    """One live, one that waits, two quarantined for different reasons."""
    for name in ("live.jpg", "waits.jpg", "text.jpg", "torn.jpg"):
        corner.drop(name, name.encode())

    async def story(ledger: Filled) -> None:
        await ledger.live("live.jpg")
        await ledger.bad("text.jpg")
        await ledger.bad("torn.jpg", "corrupt", "damaged", number=91)
        await ledger.waits("waits.jpg")

    corner.fill(story)
    return corner


def test_before_anything_has_run_status_says_so_and_makes_nothing(corner: Corner) -> None:
    ran = corner.run("status", "--json")
    assert ran.code == 0
    assert ran.json["ledger_exists"] is False
    assert ran.json["total"]["live"] == 0
    assert [folder["name"] for folder in ran.json["folders"]] == ["inbox"]
    assert not corner.ledger.parent.exists()
    assert "nothing has run on these settings" in corner.run("status").out


def test_what_is_kept_alive_is_held_against_the_quota(filled: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filled.run("status", "--json").json["renewals"] is None
    filled.settings["folders"][0]["renew"] = "while-source-exists"
    filled.save()
    renewals = filled.run("status", "--json").json["renewals"]
    assert renewals == {"images": 1, "most": 33840, "problem": None}
    assert "1 different image kept alive, of 33,840" in filled.run("status").out
    monkeypatch.setattr(renewing, "SHARE", 0.0)
    assert "at most 0 can be kept alive" in filled.run("status", "--json").json["renewals"]["problem"]
    assert "can be kept alive" in filled.run("status").out


def test_a_daemon_that_is_at_work_says_what_is_left(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(RUNTIME_FACT, {"quota": {"left": 3}})

    filled.fill(story)
    assert filled.run("status", "--json").json["quota"]["left"] == 60
    lock = LedgerLock(filled.ledger, "ingestor watch")
    lock.acquire()
    try:
        assert filled.run("status", "--json").json["quota"]["left"] == 3
    finally:
        lock.release()


def test_the_json_has_the_documented_shape(filled: Corner) -> None:
    status = filled.run("status", "--json").json
    assert status.keys() == KEYS
    assert status["total"].keys() == COUNTS | {"live_ids"}
    (folder,) = status["folders"]
    assert folder.keys() == COUNTS | {"name", "path", "problem", "served", "watch"}
    assert status["quota"].keys() == {
        "left",
        "capacity",
        "per_minute",
        "learned",
        "exact",
        "held_seconds",
        "others_spending",
        "largest_alive_set",
    }


def test_every_path_is_counted_where_it_stands(filled: Corner) -> None:
    status = filled.run("status", "--json").json
    total = status["total"]
    assert (total["live"], total["waiting"], total["quarantined"], total["live_ids"]) == (1, 1, 2, 1)
    assert sum(total[name] for name in COUNTS if not name.startswith("expiring")) == 4
    assert {(one["reason"], one["number"]) for one in status["quarantined"]} == {("not_an_image", 1), ("corrupt", 1)}


def test_an_id_that_has_expired_while_nothing_ran_is_not_live(corner: Corner) -> None:
    corner.drop("old.jpg")
    corner.fill(lambda ledger: _live(ledger, "old.jpg"), start=datetime.now(UTC) - timedelta(hours=25))
    total = corner.run("status", "--json").json["total"]
    assert (total["live"], total["live_ids"], total["expired"]) == (0, 0, 1)


@pytest.mark.parametrize(("hours_ago", "one", "six"), [(23.5, 1, 1), (20, 0, 1), (1, 0, 0)])
def test_ids_that_expire_soon_are_counted_by_how_soon(corner: Corner, hours_ago: float, one: int, six: int) -> None:
    corner.drop("a.jpg")
    corner.fill(lambda ledger: _live(ledger, "a.jpg"), start=datetime.now(UTC) - timedelta(hours=hours_ago))
    total = corner.run("status", "--json").json["total"]
    assert (total["live"], total["expiring_1h"], total["expiring_6h"]) == (1, one, six)


async def _live(ledger: Filled, path: str) -> None:
    await ledger.live(path)


def test_an_upload_whose_answer_never_came_counts_as_being_sent(corner: Corner) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.intended(ledger.seen("a.jpg"), content(1))

    corner.fill(story)
    total = corner.run("status", "--json").json["total"]
    assert (total["sending"], total["waiting"]) == (1, 0)


def test_a_live_image_that_waits_for_its_next_id_counts_as_being_renewed(corner: Corner) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg")
        await ledger.ledger.want_renewal(content(1).content_id, None)

    corner.fill(story)
    total = corner.run("status", "--json").json["total"]
    assert (total["renewing"], total["waiting"], total["live_ids"]) == (1, 0, 1)


def test_the_quota_is_what_the_ledger_remembers_brought_forward_to_now(corner: Corner) -> None:
    clock = FakeClock(datetime.now(UTC) - timedelta(minutes=1))
    state = {**LocalQuota(capacity=60, per_minute=30, clock=clock).snapshot(), "tokens": 0.0, "others": 4}

    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(UPLOAD_QUOTA_FACT, state)

    corner.fill(story)
    quota = corner.run("status", "--json").json["quota"]
    assert 29 <= quota["left"] <= 31
    assert quota["others_spending"] == 4
    assert "others of the team took 4 lately" in corner.run("status").out


def test_without_a_memory_the_quota_is_the_setting(corner: Corner) -> None:
    corner.settings["api"]["quota"] = {"burst": 10, "per_minute": 5}
    corner.save()
    quota = corner.run("status", "--json").json["quota"]
    assert (quota["left"], quota["capacity"], quota["per_minute"], quota["learned"]) == (10, 10, 5.0, False)
    assert quota["largest_alive_set"] == 10 + 5 * 60 * 24


@pytest.mark.parametrize("nonsense", [None, 7, "x", [], {"folders": 3, "api": "down", "waiting_for": None}])
def test_whatever_a_daemon_of_another_version_wrote_does_no_harm(filled: Corner, nonsense: object) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(RUNTIME_FACT, nonsense)
        await ledger.ledger.set_fact(UPLOAD_QUOTA_FACT, nonsense)

    filled.fill(story)
    assert filled.run("status", "--json").json["api"] is None
    assert filled.run("status").code == 0


TOLD = {
    "api": {
        "is_open": True,
        "reason": "key",
        "message": "the API refuses our API key",
        "since": "2026-11-24T10:00:00Z",
        "next_probe_at": "2026-11-24T10:01:00Z",
    },
    "waiting_for": "the API: the API refuses our API key",
    "folders": {
        "inbox": {
            "mode": "poll",
            "why": "the limit of inotify watches is reached",
            "degraded": True,
            "present": True,
            "rescued": 2,
            "last_event_at": None,
            "last_scan_at": "2026-11-24T09:59:00Z",
            "last_scan_files": 17,
        }
    },
}


def while_it_runs(filled: Corner, told: dict[str, Any]) -> tuple[Any, str]:
    """`status` as JSON and as text, of a daemon that has told this of itself."""

    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(RUNTIME_FACT, told)

    filled.fill(story)
    lock = LedgerLock(filled.ledger, "ingestor watch")
    lock.acquire()
    try:
        status, shown = filled.run("status", "--json").json, filled.run("status").out
    finally:
        lock.release()
    return status, shown


def test_a_running_daemon_says_what_it_waits_for_and_how_it_watches(filled: Corner) -> None:
    status, shown = while_it_runs(filled, TOLD)
    assert status["daemon"]["running"] is True
    assert status["api"]["is_open"] is True
    assert status["folders"][0]["watch"]["last_scan_files"] == 17
    for words in ("ingestor watch, process", "paused since", "the API refuses our API key", "degraded", "poll", "17"):
        assert words in shown


@pytest.mark.parametrize(
    ("uploads", "said"),
    [
        ({"in_flight": 2, "at_once": 2, "most": 8}, "2 uploads of 8 that `api.concurrency` allows"),
        ({"in_flight": 1, "at_once": 1, "most": 8}, "1 upload of 8 that `api.concurrency` allows"),
        ({"in_flight": 8, "at_once": 8, "most": 8}, None),
        ({"at_once": "many"}, None),
        (None, None),
    ],
)
def test_fewer_uploads_at_once_than_were_asked_for_are_told(filled: Corner, uploads: object, said: str | None) -> None:
    status, shown = while_it_runs(filled, {**TOLD, "uploads": uploads})
    assert status["uploads"] == uploads
    assert ("api.concurrency" in shown) == (said is not None)
    assert said is None or said in " ".join(shown.split())


def test_what_a_daemon_waited_for_that_is_gone_nobody_waits_for(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(RUNTIME_FACT, TOLD)

    filled.fill(story)
    status = filled.run("status", "--json").json
    assert (status["api"], status["waiting_for"]) == (None, None)
    assert status["daemon"] == {"running": False, "holder": None}
    assert "paused" not in filled.run("status").out


def test_a_clock_that_differs_from_the_apis_is_told_and_corrected(filled: Corner) -> None:
    """By a clock that is a day and an hour slow, an id that was given a moment ago looks good, and has ended."""
    SystemClock.correct(0.0)

    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(CLOCK_FACT, 25 * 3600.0)

    try:
        filled.fill(story)
        status, shown = filled.run("status", "--json").json, filled.run("status").out
    finally:
        SystemClock.correct(0.0)
    assert status["clock_slow_seconds"] == 25 * 3600.0
    assert (status["total"]["live"], status["total"]["expired"]) == (0, 1)
    assert "this machine's is 1 d 1 h slow" in shown


def test_a_folder_that_is_not_in_the_settings_any_more_is_still_told_of(filled: Corner) -> None:
    (filled.folder / "other").mkdir()
    filled.settings["folders"] = [{"path": "other", "purpose": "reference"}]
    filled.save()
    folders = filled.run("status", "--json").json["folders"]
    assert [(folder["name"], folder["path"] is None, folder["live"]) for folder in folders] == [
        ("other", False, 0),
        ("inbox", True, 1),
    ]


def test_a_folder_that_is_away_is_told_of_and_hides_nothing_else(filled: Corner) -> None:
    there = filled.run("status", "--json").json
    filled.inbox.rename(filled.folder / "away")
    away = filled.run("status", "--json").json
    assert there["folders"][0]["problem"] is None
    assert "does not exist" in away["folders"][0]["problem"]
    assert away["total"] == there["total"]
    assert re.search(r"inbox: .*does not exist", filled.run("status").out)
    live = next(one["path"] for one in filled.run("manifest", "--json", "--live").json)
    for words in (("explain", live), ("manifest", "--live"), ("purge", "--all", "--dry-run")):
        assert filled.run(*words).code == 0, words
    for words in (("backfill",), ("plan",), ("watch",), ("renew", "--within", "1h")):
        ended = filled.run(*words)
        assert (ended.code, "does not exist" in ended.err) == (2, True)


def test_people_read_a_table_with_reasons_and_their_meaning(filled: Corner) -> None:
    shown = filled.run("status").out
    assert re.search(r"inbox +1 +0 +1 +0 +0 +0 +2", shown)
    assert "The content is not an image, whatever the name says." in shown
    assert "\x1b" not in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_watch_shows_it_again_until_stopped(filled: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []

    def sleep(seconds: float) -> None:
        shown.append(seconds)
        if len(shown) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", sleep)
    ran = filled.run("status", "--watch", "--json")
    assert ran.code == 130
    assert len(ran.out.splitlines()) == 3
    assert shown == [command.REDRAW_SECONDS] * 3


def test_status_changes_nothing_beside_the_ledger(filled: Corner) -> None:
    before = {file: file.read_bytes() for file in filled.ledger.parent.iterdir()}
    filled.run("status")
    assert {file: file.read_bytes() for file in filled.ledger.parent.iterdir()} == before


def test_on_a_terminal_of_80_columns_no_line_is_longer(filled: Corner) -> None:
    screen = on_terminal(["status", "-c", str(filled.config)])
    assert b"\x1b[" in screen
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.decode())
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "not_an_image" in plain


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_left_out_where_they_are_not_wanted(filled: Corner, environment: dict[str, str]) -> None:
    screen = on_terminal(["status", "-c", str(filled.config)], **environment)
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]", screen)
    assert b"inbox" in screen


def test_messages_that_hooks_have_not_taken_are_counted(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.ledger.keep_targets(["a-hook"])
        await ledger.live("later.jpg", number=2)
        await ledger.ledger.enqueue({("inbox", "uploaded"): ["a-hook"]})

    assert filled.run("status", "--json").json["hooks"] == {"pending": 0}
    assert "hooks" not in filled.run("status").out
    filled.drop("later.jpg", b"later")
    filled.fill(story)
    assert filled.run("status", "--json").json["hooks"] == {"pending": 1}
    assert "1 still to be told" in filled.run("status").out

"""Every way in which the API can fail: each image arrives in the end, once, and none is blamed for it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.observe.levels import level_of
from ingestor.runtime.backfill import Ended
from ingestor.sandbox import FAULTS, ApiKey, Bucket, Sandbox, SandboxOptions
from tests.faults.kit import check_created_once, check_manifest, events, inside, picture
from tests.home import Home, until

BLAMES_THE_IMAGE = "refused"
"""The one fault that is an image's own."""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A Files API with quota to spare, in which nothing slow is very slow."""
    options = SandboxOptions(
        data_dir=tmp_path / "api", upload_bucket=Bucket(100_000, 600_000), time_scale=50.0, slow_seconds=0.1, seed=1
    )
    async with Sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture
def quick(home: Home) -> Home:
    """A home in which an answer that does not come is not waited for long."""
    home.settings["api"] |= {"timeout": "600ms", "quota": {"burst": 100_000, "per_minute": 600_000}}
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    return home


async def test_each_fault_alone_ends_with_the_image_uploaded_once(quick: Home, subtests: pytest.Subtests) -> None:
    async with inside(quick) as program, program.watching():
        for number, kind in enumerate(FAULTS):
            with subtests.test(kind):
                name = f"{kind}.png"
                quick.sandbox.script(kind)
                (quick.inbox / name).write_bytes(picture(number))
                await quick.until_listed({name})
                expected = "quarantined" if kind == BLAMES_THE_IMAGE else "uploaded"
                assert events(quick, [name]) == {name: expected}
                assert quick.sandbox.stats()["faults"].get(kind) == 1, "the fault was met"
        spent = [facts for facts in program.observer.of("image_end") if facts["attempt"] != 1]
    assert not spent, "no attempt is used up"
    check_created_once(quick)
    check_manifest(quick)
    assert quick.sandbox.stats()["redirects_followed"] == 0
    assert quick.sandbox.stats()["created_total"] == len(FAULTS) - 1


async def test_with_a_third_of_all_answers_bad_a_thousand_images_arrive_each_created_once(quick: Home) -> None:
    quick.settings["api"]["concurrency"] = 16
    quick.save()
    kinds = sorted(FAULTS.keys() - {BLAMES_THE_IMAGE})
    quick.sandbox.set_faults({kind: 0.35 / len(kinds) for kind in kinds})
    for number in range(1000):
        (quick.inbox / f"{number:04}.png").write_bytes(picture(10_000 + number))
    async with inside(quick) as program:
        report = await program.backfill()
    stats = quick.sandbox.stats()
    assert report.ended is Ended.DONE, report
    assert (report.tally.quarantined, report.tally.deferred) == (0, 0)
    assert set(events(quick, (f"{number:04}.png" for number in range(1000))).values()) == {"uploaded"}
    assert stats["created_total"] == 1000
    check_created_once(quick)
    check_manifest(quick)
    assert stats["faults"].keys() == set(kinds), "every kind was met"
    assert stats["redirects_followed"] == 0


# -- faults that last: the daemon waits, says what for, and goes on by itself


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("balance", "balance"),
        ("missing_scope", "scope"),
        ("no_route", "route"),
        ("redirect", "redirect"),
        ("html", "api"),
    ],
)
async def test_what_refuses_every_upload_pauses_the_daemon_until_it_is_over(
    quick: Home, fault: str, reason: str
) -> None:
    names = [f"{number}.png" for number in range(8)]
    quick.sandbox.set_faults({fault: 1.0})
    async with inside(quick) as program, program.watching():
        for number, name in enumerate(names):
            (quick.inbox / name).write_bytes(picture(number))
        await until(lambda: program.parts.breaker().is_open)
        assert program.parts.breaker().reason == reason
        await until(lambda: quick.sandbox.stats()["faults"][fault] >= 6)
        assert quick.manifest() == []
        for name in names:
            entry = await program.entry(name)
            assert (entry.state, entry.attempt) in (("waiting", 0), ("sending", 0))
        quick.sandbox.set_faults({fault: 0.0})
        await quick.until_listed(set(names))
        assert program.observer.of("api_paused")[0]["reason"] == reason
        assert program.observer.of("api_resumed")
    assert set(events(quick, names).values()) == {"uploaded"}
    check_created_once(quick)
    assert quick.sandbox.stats()["redirects_followed"] == 0


async def test_a_key_that_is_rotated_in_its_file_is_taken_up_without_a_restart(home: Home) -> None:
    old, new = home.sandbox.api_key, "al_live_rotated0123456789"
    key_file = home.folder / "key"
    key_file.write_text(old + "\n")
    key_file.chmod(0o600)
    home.settings["api"]["key_file"] = "key"
    home.save()
    async with home.watching(AUROUS_API_KEY="") as running:
        (home.inbox / "before.png").write_bytes(picture(1))
        await home.until_listed({"before.png"})
        home.sandbox.set_keys({new: ApiKey()})
        (home.inbox / "between.png").write_bytes(picture(2))
        assert "key" in (await running.until_logged("api_paused"))["reason"]
        fresh = home.folder / "key.new"
        fresh.write_text(new)
        fresh.chmod(0o600)
        fresh.rename(key_file)
        await home.until_listed({"between.png"})
        assert await running.stop() == 0
        logged = "\n".join(running.lines)
    assert set(events(home, ["before.png", "between.png"]).values()) == {"uploaded"}
    assert old not in logged
    assert new not in logged
    check_created_once(home)


async def test_an_api_that_is_down_at_the_start_is_waited_for_and_status_says_so(home: Home) -> None:
    for number in range(3):
        (home.inbox / f"{number}.png").write_bytes(picture(number))
    await home.sandbox.stop()
    async with home.watching() as running:
        await running.until_logged("api_paused")
        status = await _until_status(home, lambda told: bool(told["waiting_for"]))
        assert "the API" in status["waiting_for"]
        assert status["api"]["is_open"] is True
        assert status["total"]["quarantined"] == 0
        await home.sandbox.start()
        await home.until_listed({"0.png", "1.png", "2.png"}, 60)
        status = await _until_status(home, lambda told: told["waiting_for"] is None)
        assert status["total"]["live"] == 3
        assert await running.stop() == 0
    check_created_once(home)


async def _until_status(home: Home, is_so: Any) -> Any:
    async with asyncio.timeout(60):
        while not is_so(status := (await home.run("status", "--json")).json):
            pass
        return status


async def test_a_backfill_waits_for_the_api_until_its_deadline_and_uses_up_no_attempt(quick: Home) -> None:
    for number in range(5):
        (quick.inbox / f"{number}.png").write_bytes(picture(number))
    await quick.sandbox.stop()
    async with inside(quick, patient=False) as program:
        report = await program.backfill(deadline_seconds=60.0)
        assert report.ended is Ended.OUT_OF_TIME
        assert report.tally.deferred == 5
        assert {(await program.entry(f"{number}.png")).attempt for number in range(5)} == {0}
    await quick.sandbox.start()
    async with inside(quick, patient=False) as program:
        report = await program.backfill()
    assert (report.ended, report.tally.uploaded) == (Ended.DONE, 5)
    check_created_once(quick)


async def test_a_key_that_is_used_for_good_elsewhere_is_followed_by_the_next_generation(quick: Home) -> None:
    (quick.inbox / "one.png").write_bytes(picture(1))
    quick.sandbox.script("key_conflict")
    async with inside(quick, speed=200.0) as program:
        report = await program.backfill()
        told = program.observer.of("fresh_generation")
    assert report.tally.uploaded == 1
    assert [(facts["path"], facts["generation"]) for facts in told] == [("one.png", 1)]
    assert "another request" in told[0]["why"]
    line = quick.present()["one.png"]
    assert (line["event"], line["generation"]) == ("uploaded", 1)
    assert level_of("fresh_generation", told[0]) >= logging.INFO, "it is told in the log"
    check_created_once(quick)


async def test_a_name_that_does_not_resolve_blames_nobody_and_is_asked_again(
    quick: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.settings["api"]["base_url"] = quick.sandbox.base_url.replace("127.0.0.1", "localhost")
    quick.save()
    names = {f"{number}.png" for number in range(3)}
    loop = asyncio.get_running_loop()

    async def no_such_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as broken:
        broken.setattr(loop, "getaddrinfo", no_such_name)
        async with inside(quick) as program, program.watching():
            for name in names:
                (quick.inbox / name).write_bytes(picture(int(name[0])))
            await until(lambda: program.parts.breaker().is_open)
            assert quick.manifest() == []
            broken.undo()
            await quick.until_listed(names)
    assert set(events(quick, names).values()) == {"uploaded"}


async def test_a_tls_handshake_that_fails_blames_nobody_and_new_settings_cure_it(home: Home) -> None:
    good = home.sandbox.base_url
    home.settings["api"]["base_url"] = good.replace("http://", "https://")
    home.save()
    async with home.watching() as running:
        for number in range(3):
            (home.inbox / f"{number}.png").write_bytes(picture(number))
        await running.until_logged("api_paused")
        assert home.manifest() == []
        home.settings["api"]["base_url"] = good
        home.save()
        running.process.send_signal(signal.SIGHUP)
        await home.until_listed({"0.png", "1.png", "2.png"})
        assert await running.stop() == 0
    assert {line["event"] for line in home.manifest()} == {"uploaded"}
    check_created_once(home)

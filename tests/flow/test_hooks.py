"""Hooks of a process of its own: told at least once, whatever dies in between, and never in the way."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
from pathlib import Path
from typing import Any

from tests.home import Home, until
from tests.image_kit import jpeg, photograph
from tests.raw_server import RawServer, answer, raw_server

SECRET = b"a secret of at least sixteen characters"


def program(home: Home, name: str, script: str) -> str:
    path = home.folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return f"./{name}"


def set_hooks(home: Home, **on: list[dict[str, Any]]) -> None:
    home.settings["folders"][0]["on"] = on
    home.save()


def webhook(home: Home, server: RawServer) -> dict[str, Any]:
    secret = home.folder / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    return {"url": f"{server.base_url}/hook", "secret_file": "secret", "timeout": "5s"}


def drop(home: Home, name: str, seed: int) -> None:
    (home.inbox / name).write_bytes(jpeg(photograph(64, 48, seed)))


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_command_and_a_webhook_are_told_what_happens(home: Home) -> None:
    async with raw_server(answer(204)) as server:
        script = 'cat >> told.jsonl; printf "%s" "$AUROUS_API_KEY" >> key; echo "$INGESTOR_EVENT" >> events'
        command = {"command": [program(home, "tell", script)]}
        set_hooks(home, uploaded=[command], quarantined=[webhook(home, server), command])
        async with home.watching() as running:
            drop(home, "one.jpg", 1)
            (home.inbox / "bad.jpg").write_bytes(b"this is text")
            await until(lambda: len(told(home.folder / "told.jsonl")) == 2 and len(server.requests) == 1)
            assert await running.stop() == 0
    lines = {line["path"]: line for line in told(home.folder / "told.jsonl")}
    assert lines == home.present()
    assert sorted((home.folder / "events").read_text().split()) == ["quarantined", "uploaded"]
    assert (home.folder / "key").read_text() == ""
    (request,) = server.requests
    assert json.loads(request.body) == home.present()["bad.jpg"]
    expected = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-ingestor-signature"] == f"sha256={expected}"
    secrets = (home.sandbox.api_key, SECRET.decode())
    assert not any(secret in line for line in running.lines for secret in secrets)


async def test_what_a_killed_daemon_had_not_told_the_next_one_tells(home: Home) -> None:
    async with raw_server(answer(503)) as server:
        set_hooks(home, uploaded=[webhook(home, server)])
        async with home.watching() as running:
            drop(home, "one.jpg", 1)
            failing = await running.until_logged("hook_failing")
            assert failing["message"] == "answered 503"
            drop(home, "two.jpg", 2)
            await home.until_listed({"one.jpg", "two.jpg"})
            running.process.send_signal(signal.SIGKILL)
            await running.process.wait()
        failed = {request.headers["x-ingestor-event-id"] for request in server.requests}
        server.then(answer(200))
        server.requests.clear()
        async with home.watching() as running:
            await until(lambda: {json.loads(one.body)["path"] for one in server.requests} == {"one.jpg", "two.jpg"})
            assert await running.stop() == 0
        assert failed <= {request.headers["x-ingestor-event-id"] for request in server.requests}
        assert (await home.run("status", "--json")).json["hooks"] == {"pending": 0}


async def test_a_hook_that_hangs_is_in_nobody_s_way_and_does_not_outlive_the_daemon(home: Home) -> None:
    script = "cat > /dev/null; echo $$ > pid.new; mv pid.new pid; sleep 300"
    set_hooks(home, uploaded=[{"command": [program(home, "hang", script)], "timeout": "10m"}])
    async with home.watching() as running:
        drop(home, "first.jpg", 1)
        pid = home.folder / "pid"
        await until(pid.exists)
        for number in range(10):
            drop(home, f"{number}.jpg", 10 + number)
        await home.until_listed({f"{number}.jpg" for number in range(10)})
        assert await running.stop() == 0
    await until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    assert (await home.run("status", "--json")).json["hooks"]["pending"] >= 1


async def test_a_backfill_tells_before_it_ends_and_does_not_wait_for_what_fails(home: Home) -> None:
    script = 'cat >> told.jsonl; test "$INGESTOR_EVENT" = uploaded'
    command = {"command": [program(home, "tell", script)]}
    set_hooks(home, uploaded=[command], quarantined=[command])
    drop(home, "one.jpg", 1)
    (home.inbox / "bad.jpg").write_bytes(b"this is text")
    ran = await home.run("backfill", "--json")
    assert ran.code == 3, ran.err
    assert sorted(line["path"] for line in told(home.folder / "told.jsonl")) == ["bad.jpg", "one.jpg"]
    (failing,) = (line for line in ran.log if line["event"] == "hook_failing")
    assert (failing["told"], failing["message"]) == ("quarantined", "exited with 1")
    assert [line["number"] for line in ran.log if line["event"] == "hooks_left"] == [1]

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from ingestor.runtime.hooks.command import CommandHook
from ingestor.runtime.hooks.message import HookFailed, Message

MESSAGE = Message(event="uploaded", event_id="evt_1", body='{"path": "a \'b\' $(c).jpg", "é": "ü"}'.encode())


def hook(directory: Path, *argv: str, seconds: float = 20.0) -> CommandHook:
    return CommandHook(argv, timeout_seconds=seconds, directory=directory)


def python(directory: Path, code: str, *arguments: str, seconds: float = 20.0) -> CommandHook:
    return hook(directory, sys.executable, "-S", "-c", code, *arguments, seconds=seconds)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(pid: int) -> None:
    for _ in range(500):
        if not is_running(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")


async def test_a_command_gets_the_message_on_its_stdin_as_one_line(tmp_path: Path) -> None:
    await hook(tmp_path, "sh", "-c", "cat > told.json").tell(MESSAGE)
    assert (tmp_path / "told.json").read_bytes() == MESSAGE.body + b"\n"


async def test_no_shell_reads_its_arguments(tmp_path: Path) -> None:
    code = "import json, sys; json.dump(sys.argv[1:], open('argv.json', 'w'))"
    await python(tmp_path, code, "$(touch x)", "; touch x", "*", "").tell(MESSAGE)
    assert json.loads((tmp_path / "argv.json").read_text()) == ["$(touch x)", "; touch x", "*", ""]
    assert not (tmp_path / "x").exists()


async def test_its_environment_is_ours_without_any_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", "some key of an unusual kind")
    monkeypatch.setenv("ANOTHER_NAME", "al_live_0123456789abcdef")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("HARMLESS", "value")
    await python(tmp_path, "import json, os; json.dump(dict(os.environ), open('env.json', 'w'))").tell(MESSAGE)
    seen = json.loads((tmp_path / "env.json").read_text())
    assert (seen["HARMLESS"], seen["INGESTOR_EVENT"], seen["INGESTOR_EVENT_ID"]) == ("value", "uploaded", "evt_1")
    assert not seen.keys() & {"AUROUS_API_KEY", "ANOTHER_NAME", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"}


async def test_one_that_takes_too_long_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    script = "sleep 300 & echo $! > child; echo $$ > leader; sleep 300"
    with pytest.raises(HookFailed, match=r"longer than 0\.5 s"):
        await hook(tmp_path, "sh", "-c", script, seconds=0.5).tell(MESSAGE)
    for name in ("child", "leader"):
        await until_gone(int((tmp_path / name).read_text()))


async def test_one_that_is_cancelled_is_killed(tmp_path: Path) -> None:
    telling = asyncio.create_task(
        hook(tmp_path, "sh", "-c", "echo $$ > leader.new; mv leader.new leader; sleep 300").tell(MESSAGE)
    )
    while not (tmp_path / "leader").exists():
        await asyncio.sleep(0.01)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    await until_gone(int((tmp_path / "leader").read_text()))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "exited with 3"),
        ("echo first >&2; echo the last word >&2; exit 1", "exited with 1: the last word"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("printf 'caf\\351' >&2; exit 1", "exited with 1: caf\ufffd"),
    ],
)
async def test_one_that_fails_is_told_with_its_last_words(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(HookFailed) as failed:
        await hook(tmp_path, "sh", "-c", script).tell(MESSAGE)
    assert str(failed.value) == said


async def test_one_that_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(HookFailed, match="cannot be run: No such file"):
        await hook(tmp_path, str(tmp_path / "nowhere")).tell(MESSAGE)


async def test_one_that_reads_nothing_and_says_much_holds_up_nobody(tmp_path: Path) -> None:
    large = Message(event="uploaded", event_id="evt_1", body=b"x" * 1_000_000)
    await python(tmp_path, "import sys; sys.stderr.write('y' * 1_000_000); print('z' * 1_000_000)").tell(large)


async def test_one_that_leaves_something_behind_has_ended_all_the_same(tmp_path: Path) -> None:
    began = time.monotonic()
    await hook(tmp_path, "sh", "-c", "sleep 30 & echo $! > child").tell(MESSAGE)
    child = int((tmp_path / "child").read_text())
    assert is_running(child) or time.monotonic() - began > 30
    os.kill(child, 9)


def test_the_same_command_is_the_same_target_whatever_its_time_limit(tmp_path: Path) -> None:
    one, other = hook(tmp_path, "a", "b c", seconds=1), hook(tmp_path, "a", "b c", seconds=2)
    assert one.target == other.target
    assert len({one.target, hook(tmp_path, "a", "b", "c").target, hook(tmp_path, "a").target}) == 3
    assert one.name == "a"

"""The systemd unit: what it names exists, and what it promises is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ingestor.settings import Settings, load
from tests.packaging.conftest import CHECKOUT

UNIT = CHECKOUT / "config" / "ingestor.service"


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def seconds(key: str) -> float:
    (value,) = values(key)
    found = re.fullmatch(r"(\d+)(min|s)?", value)
    assert found
    return int(found[1]) * (60 if found[2] == "min" else 1)


def test_it_starts_the_daemon_as_a_user_of_its_own_and_waits_until_it_says_ready() -> None:
    (start,) = values("ExecStart")
    assert start.split()[1:3] == ["watch", "--config"]
    assert values("Type") == ["notify"]
    assert values("User") == ["ingestor"]
    assert values("ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_what_it_sets_in_the_environment_are_settings(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    settings = tmp_path / "ingestor.yaml"
    settings.write_text("folders: [{path: inbox, purpose: reference}]")
    key = tmp_path / "api-key"
    environ = dict(value.replace("%d", str(tmp_path)).split("=", 1) for value in values("Environment"))
    assert load(settings, environ).api.key_file == key
    assert values("LoadCredential") == ["api-key:/etc/ingestor/api-key"]


def test_its_times_fit_those_of_the_daemon() -> None:
    from ingestor.runtime.hooks.hooks import GRACE_SECONDS
    from ingestor.runtime.pulse import BEAT_SECONDS, LOOP_SECONDS

    assert seconds("TimeoutStopSec") > Settings().drain + GRACE_SECONDS + 30
    assert seconds("WatchdogSec") > 2 * (LOOP_SECONDS + BEAT_SECONDS)


def test_wrong_settings_are_not_tried_again_and_again() -> None:
    from ingestor.cli.exits import Exit

    assert values("RestartPreventExitStatus") == [str(int(Exit.WRONG_USAGE))]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_it_and_little_that_it_could_do(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    program = tmp_path / "ingestor"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit.write_text(UNIT.read_text().replace("/opt/ingestor/bin/ingestor", str(program)))
    environment = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"}
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], env=environment, capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert complaints == []
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", unit],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert found, rated.stdout + rated.stderr
    assert float(found[1]) < 2.0

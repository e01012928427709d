"""Dockerfile and compose file: what they name exists, and the image is what it should be."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from ingestor.cli.program import COMMANDS
from ingestor.settings import load
from tests.packaging.conftest import CHECKOUT

CONFIG = CHECKOUT / "config"


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each, in order, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (CONFIG / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def last_stage() -> dict[str, str]:
    """The last of each kind in the stage that is shipped."""
    found = instructions()
    start = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(last_stage()["ENV"]))


def test_every_base_image_has_a_version() -> None:
    images = [arguments.split()[0] for name, arguments in instructions() if name == "FROM"]
    assert images
    assert all(re.fullmatch(r"[a-z]+:[0-9][\w.\-]*", image) for image in images)


def test_it_runs_as_a_user_that_is_not_root() -> None:
    user, _, group = last_stage()["USER"].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert any(name == "RUN" and f"--uid {user} " in arguments for name, arguments in instructions())


def test_it_starts_the_daemon_by_itself_so_that_signals_reach_it() -> None:
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["ingestor"]
    assert json.loads(stage["CMD"])[0] in COMMANDS
    assert stage["STOPSIGNAL"] == "SIGTERM"


def test_its_health_is_that_of_the_page_by_default() -> None:
    check = last_stage()["HEALTHCHECK"].partition("CMD ")[2]
    assert json.loads(check)[:2] == ["python", "-c"]
    compile(json.loads(check)[2], "healthcheck", "exec")
    assert "http://127.0.0.1:8787/healthz" in check
    assert last_stage()["EXPOSE"] == "8787"


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    ignored = [
        line for line in (CONFIG / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"
    ]
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [
        source
        for name, arguments in instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (CHECKOUT / source).exists()
        assert source in sent
    assert ignored[0] == "*"
    assert any(fnmatch.fnmatch("ingestor/__pycache__", pattern) for pattern in ignored)


def test_what_is_installed_is_pinned() -> None:
    installing = [arguments for name, arguments in instructions() if name == "RUN" and "pip install" in arguments]
    assert installing
    assert all("--constraint config/constraints.txt" in one and "--no-cache-dir" in one for one in installing)


def test_state_is_in_a_volume_that_its_user_owns() -> None:
    (volume,) = json.loads(last_stage()["VOLUME"])
    told = yaml.safe_load((CONFIG / "docker.yaml").read_text())
    assert told["ledger"].startswith(f"{volume}/")
    assert told["manifest"].startswith(f"{volume}/")
    assert f"install -d -o ingestor -g ingestor -m 0750 {volume}" in last_stage()["RUN"]


# -- compose


def service() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIG / "compose.yaml").read_text())["services"]["ingestor"]
    return found


def test_compose_builds_that_image_and_mounts_what_exists() -> None:
    build = service()["build"]
    assert (CONFIG / build["context"]).resolve() == CHECKOUT
    assert (CONFIG / build["context"] / build["dockerfile"]).samefile(CONFIG / "Dockerfile")
    mounts = dict(volume.split(":")[:2] for volume in service()["volumes"])
    assert (CONFIG / "docker.yaml").is_file()
    assert mounts["./docker.yaml"] == environment()["INGESTOR_CONFIG"]
    assert mounts["state"] == json.loads(last_stage()["VOLUME"])[0]
    assert service()["user"] == last_stage()["USER"]


def test_the_settings_of_the_container_are_right_together(tmp_path: Path) -> None:
    """Those of the image, the compose file and docker.yaml, with their places put under a folder here."""
    (tmp_path / "srv" / "inbox").mkdir(parents=True)
    (tmp_path / "run" / "secrets").mkdir(parents=True)
    for name in service()["secrets"]:
        secret = tmp_path / "run" / "secrets" / name
        secret.write_text("0123456789abcdef")
        secret.chmod(0o600)
    settings = tmp_path / "srv" / "ingestor.yaml"
    settings.write_bytes((CONFIG / "docker.yaml").read_bytes())
    environ = {**environment(), **service()["environment"]}
    here = {name: f"{tmp_path}{value}" if value.startswith("/") else value for name, value in environ.items()}
    loaded = load(settings, here)
    assert [folder.path for folder in loaded.folders] == [tmp_path / "srv" / "inbox"]
    assert loaded.api.key_file == tmp_path / "run" / "secrets" / "api-key"
    assert str(loaded.status.listen) == "0.0.0.0:8787"


def test_compose_gives_it_time_to_drain_and_no_rights() -> None:
    from ingestor.settings import Settings

    told = service()
    assert float(told["stop_grace_period"].removesuffix("s")) > Settings().drain + 10
    assert (told["read_only"], told["cap_drop"], told["init"]) == (True, ["ALL"], True)
    assert told["ports"] == ["127.0.0.1:8787:8787"]

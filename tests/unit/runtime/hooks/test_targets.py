from __future__ import annotations

from pathlib import Path
from typing import Any

from ingestor.runtime.hooks.targets import hooks_of, routes_of
from ingestor.settings import FolderSettings

NOTIFY: dict[str, Any] = {"command": ["notify"], "timeout": "5s"}


def folder(name: str, **on: Any) -> FolderSettings:
    return FolderSettings.model_validate({"path": "/", "name": name, "purpose": "reference", "on": on})


def test_without_hooks_there_is_nobody_to_tell() -> None:
    assert hooks_of([folder("a")], Path("/")) == {}
    assert routes_of([folder("a")], Path("/")) == {}


def test_a_hook_of_many_folders_and_events_is_one_with_the_longer_time_limit() -> None:
    folders = [folder("a", uploaded=[NOTIFY], expired=[{**NOTIFY, "timeout": "9s"}]), folder("b", uploaded=[NOTIFY])]
    (hook,) = hooks_of(folders, Path("/")).values()
    assert hook.name == "notify"
    assert vars(hook)["_timeout_seconds"] == 9.0
    assert set(map(tuple, routes_of(folders, Path("/")).values())) == {(hook.target,)}


def test_each_setting_stands_for_its_events_of_the_story() -> None:
    folders = [
        folder(
            "a",
            **{on: [{"url": f"https://{on}.example.com"}] for on in ("uploaded", "expiring", "expired", "quarantined")},
        )
    ]
    names = {target: hook.name for target, hook in hooks_of(folders, Path("/")).items()}
    routes = {event: [names[target] for target in told] for (_, event), told in routes_of(folders, Path("/")).items()}
    assert routes == {
        "uploaded": ["https://uploaded.example.com"],
        "renewed": ["https://uploaded.example.com"],
        "quarantined": ["https://quarantined.example.com"],
        "expiring": ["https://expiring.example.com"],
        "expired": ["https://expired.example.com"],
        "purged": ["https://expired.example.com"],
    }


def test_one_that_is_named_twice_for_an_event_is_told_once() -> None:
    (told,) = {tuple(one) for one in routes_of([folder("a", uploaded=[NOTIFY, NOTIFY])], Path("/")).values()}
    assert len(told) == 1

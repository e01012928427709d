"""From the settings to hooks, and which of them is told of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ingestor.ports import Routes
from ingestor.runtime.hooks.command import CommandHook
from ingestor.runtime.hooks.message import EVENTS, Message
from ingestor.settings import FolderSettings, HookSettings


class Hook(Protocol):
    """Somebody who is told what happens."""

    at_once: int
    """How many messages it takes at a time."""

    @property
    def target(self) -> str:
        """What the ledger calls it: the same after a restart, and without a secret."""

    @property
    def name(self) -> str:
        """What people call it."""

    async def tell(self, message: Message) -> None:
        """Raises `HookFailed`."""


def hooks_of(folders: Sequence[FolderSettings], directory: Path) -> Mapping[str, Hook]:
    """Every hook once, by its target, however many folders and events name it. Of two time limits the longer counts."""
    longest_first = sorted((setting for _, _, setting in _named(folders)), key=lambda one: -one.timeout)
    hooks: dict[str, Hook] = {}
    for setting in longest_first:
        hook = _hook_of(setting, directory)
        hooks.setdefault(hook.target, hook)
    return hooks


def routes_of(folders: Sequence[FolderSettings], directory: Path) -> Routes:
    """Folder and event to the targets that are told."""
    routes: dict[tuple[str, str], list[str]] = {}
    for folder, on, setting in _named(folders):
        target = _hook_of(setting, directory).target
        for event in EVENTS[on]:
            told = routes.setdefault((folder.name, event), [])
            if target not in told:
                told.append(target)
    return routes


def _named(folders: Sequence[FolderSettings]) -> Iterator[tuple[FolderSettings, str, HookSettings]]:
    for folder in folders:
        for on in EVENTS:
            for setting in getattr(folder.on, on):
                yield folder, on, setting


def _hook_of(setting: HookSettings, directory: Path) -> Hook:
    if setting.command is not None:
        return CommandHook(setting.command, timeout_seconds=setting.timeout, directory=directory)
    from ingestor.runtime.hooks.webhook import Webhook  # late: aiohttp takes 0.2 s, and most have none

    assert setting.url is not None
    return Webhook(setting.url, secret_file=setting.secret_file, timeout_seconds=setting.timeout)

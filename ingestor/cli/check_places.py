"""Checks of drop folders, of the folders around ledger and manifest, and of the limits on file events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingestor.cli import machine
from ingestor.cli.exits import Exit
from ingestor.cli.finding import Finding, good, warning, wrong
from ingestor.observe.wording import number, size
from ingestor.policy.file_systems import events_may_lie
from ingestor.runtime.watching import INSTANCES_SYSCTL, WATCHES_SYSCTL, WatchMode, choose_mode
from ingestor.settings import AfterKind, FolderSettings, Settings

LEAST_FREE_BYTES = 200_000_000
"""Less free space than this is worth a warning: ledger, manifest and images that are made fit share it."""
WARNED_SHARE = 0.5
"""Of the inotify watches: other programs of the user need some too."""


@dataclass(slots=True)
class Tree:
    """The folders in a drop folder, itself included."""

    directories: int = 0
    unreadable: list[Path] = field(default_factory=list)
    not_writable: list[Path] = field(default_factory=list)


Trees = Mapping[str, Tree]
"""By the names of the drop folders."""


def trees_of(settings: Settings) -> Trees:
    return {folder.name: _tree_of(folder) for folder in settings.folders}


def folder_findings(settings: Settings, trees: Trees) -> Iterator[Finding]:
    for folder in settings.folders:
        tree = trees[folder.name]
        yield good("folders", f"{folder.name}: {folder.path}, {_directories(tree.directories)}")
        yield from _unreadable(folder, tree)
        yield from _not_writable(folder, tree)
        yield from _targets(folder)


def _tree_of(folder: FolderSettings) -> Tree:
    """Every folder that would be watched. Links are not followed."""
    tree = Tree()
    stack = [folder.path]
    while stack:
        directory = stack.pop()
        tree.directories += 1
        if not os.access(directory, os.W_OK | os.X_OK):
            tree.not_writable.append(directory)
        try:
            with os.scandir(directory) as entries:
                if folder.recursive:
                    stack.extend(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            tree.unreadable.append(directory)
    return tree


def _directories(count: int) -> str:
    return f"{number(count)} folders" if count > 1 else "one folder"


def _unreadable(folder: FolderSettings, tree: Tree) -> Iterator[Finding]:
    if tree.unreadable:
        yield warning(
            "folders",
            f"{folder.name}: {_some(tree.unreadable)} cannot be read by this user, and what is in there is not taken",
        )


def _not_writable(folder: FolderSettings, tree: Tree) -> Iterator[Finding]:
    takes_away = [
        f"{name}: {action}"
        for name, action in (("after_upload", folder.after_upload), ("on_quarantine", folder.on_quarantine))
        if action.kind is not AfterKind.KEEP
    ]
    if takes_away and tree.not_writable:
        yield wrong(
            "folders",
            f"{folder.name}: {_some(tree.not_writable)} cannot be written by this user, which {takes_away[0]} needs; "
            "change its permissions",
            Exit.WRONG_USAGE,
        )


def _some(paths: list[Path]) -> str:
    more = f" (and {number(len(paths) - 1)} more)" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _targets(folder: FolderSettings) -> Iterator[Finding]:
    for name, action in (("after_upload", folder.after_upload), ("on_quarantine", folder.on_quarantine)):
        if action.dir is not None and not _is_usable(action.dir):
            yield wrong(
                "folders",
                f"{folder.name}: {name} moves to {action.dir}, which cannot be made or written by this user; "
                "change its permissions",
                Exit.WRONG_USAGE,
            )


def _is_usable(directory: Path) -> bool:
    """Whether files can be made in a directory, which may still have to be made itself."""
    there = machine.existing(directory)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


# -- our own files ---------------------------------------------------------------------------------


def file_findings(settings: Settings) -> Iterator[Finding]:
    files = (("ledger", settings.ledger), ("manifest", settings.manifest))
    for name, path in files:
        if not isinstance(path, Path):
            continue  # a database, whose disk is not ours to look at
        if not _is_usable(path.parent) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
            yield wrong("files", f"the {name} {path} cannot be written by this user; change the permissions there")
            continue
        kind = machine.file_system_of(path.parent)
        if kind is not None and events_may_lie(kind):
            yield warning(
                "files",
                f"the {name} {path} is on {kind}, a network file system, whose locks cannot be relied on; keep it on "
                "a local disk",
            )
        else:
            yield good(
                "files", f"the {name} {path} can be written{'' if path.exists() else ', and is made at the start'}"
            )
        yield from _space(name, path)


def _space(name: str, path: Path) -> Iterator[Finding]:
    free = machine.free_bytes(path.parent)
    if free is not None and free < LEAST_FREE_BYTES:
        yield warning("files", f"only {size(free)} are free where the {name} {path} is; make room there")


# -- events ----------------------------------------------------------------------------------------


def event_findings(settings: Settings, trees: Trees) -> Iterator[Finding]:
    watched: list[Tree] = []
    for folder in settings.folders:
        mode = choose_mode(folder.path, folder.watch)
        yield from _mode(folder, mode)
        if mode.mode == "native":
            watched.append(trees[folder.name])
    yield from _limits(sum(tree.directories for tree in watched), len(watched))


def _mode(folder: FolderSettings, mode: WatchMode) -> Iterator[Finding]:
    kind = machine.file_system_of(folder.path)
    if folder.watch == "native" and kind is not None and events_may_lie(kind):
        yield warning(
            "events",
            f"{folder.name}: is on {kind}, where changes made elsewhere give no events; set `watch: auto` or `poll`",
        )
    else:
        how = "by file events" if mode.mode == "native" else "by looking every few seconds"
        yield good("events", f"{folder.name}: watched {how} ({mode.why})")


def _limits(watched: int, instances: int) -> Iterator[Finding]:
    most, most_instances = machine.inotify_limit("max_user_watches"), machine.inotify_limit("max_user_instances")
    if most is not None and watched > most * WARNED_SHARE:
        yield warning(
            "events",
            f"{number(watched)} folders are to be watched, and {WATCHES_SYSCTL} is {number(most)} for all programs of "
            f"this user; where it does not suffice, folders are polled. Raise it: sysctl {WATCHES_SYSCTL}=1048576",
        )
    elif most is not None and watched:
        yield good("events", f"{number(watched)} folders to be watched, of {number(most)} ({WATCHES_SYSCTL})")
    if most_instances is not None and instances > most_instances * WARNED_SHARE:
        yield warning(
            "events",
            f"{number(instances)} drop folders need an inotify instance each, and {INSTANCES_SYSCTL} is "
            f"{number(most_instances)}; raise it: sysctl {INSTANCES_SYSCTL}=1024",
        )

"""From paths on the command line to folders and what is wanted of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingestor.disk import printable
from ingestor.errors import UsageError
from ingestor.model import Json
from ingestor.ports import Ledger
from ingestor.runtime.adhoc import ADHOC_FACT
from ingestor.runtime.backfill import Selection
from ingestor.settings import FolderSettings, Settings, adhoc_folder
from ingestor.stages.discover import DropFolder


async def select(
    settings: Settings,
    ledger: Ledger | None,
    paths: Sequence[Path] | None,
    *,
    purpose: str | None,
    metadata: Sequence[str],
    remember: bool = True,
) -> list[Selection]:
    """What to go through: the configured folders, or these paths, whose folders the ledger is to `remember`.

    A path in a configured folder goes by that folder's settings, unless `--purpose` or `--metadata` say otherwise.
    """
    given = metadata_of(metadata)
    if paths is None:
        if purpose is not None or metadata:
            raise UsageError("--purpose and --metadata stand in for a folder's settings: name the paths they are for")
        if not settings.folders:
            raise UsageError(f"{settings.source_file}: no `folders` are set; add one, or name paths")
        return [Selection(folder=DropFolder(folder)) for folder in settings.folders]
    known: dict[str, Any] = dict((await ledger.fact(ADHOC_FACT) if ledger is not None else None) or {})
    before = dict(known)
    wanted: dict[str, tuple[FolderSettings, list[str]]] = {}
    for path in paths:
        folder = None if purpose or metadata else _configured(settings, path)
        if folder is None:
            folder = _adhoc(settings, path, purpose or "reference", given, known)
        wanted.setdefault(folder.name, (folder, []))[1].append(_inside(folder, path))
    if remember and ledger is not None and known != before:
        await ledger.set_fact(ADHOC_FACT, known)
    return [_selection(folder, only) for folder, only in wanted.values()]


def metadata_of(pairs: Sequence[str]) -> dict[str, Json]:
    """`KEY=VALUE` pairs as an object. Raises `UsageError`."""
    metadata: dict[str, Json] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--metadata is KEY=VALUE, not {pair}")
        if key in metadata:
            raise UsageError(f"--metadata gives {key} twice")
        metadata[key] = value
    return metadata


def _selection(folder: FolderSettings, only: list[str]) -> Selection:
    whole = "." in only
    return Selection(folder=DropFolder(folder), only=None if whole else tuple(_without_nested(only)))


def _without_nested(paths: Sequence[str]) -> list[str]:
    """Each path once, and none inside of another one that is taken anyway."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(f"{other}/") for other in kept):
            kept.append(path)
    return kept


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _inside(folder: FolderSettings, path: Path) -> str:
    return os.path.relpath(_absolute(path), folder.path)


def _configured(settings: Settings, path: Path) -> FolderSettings | None:
    """The innermost configured folder that a path is in."""
    absolute = _absolute(path)
    around = [folder for folder in settings.folders if absolute == folder.path or folder.path in absolute.parents]
    return max(around, key=lambda folder: len(folder.path.parts), default=None)


def _adhoc(
    settings: Settings, path: Path, purpose: str, metadata: Mapping[str, Json], known: dict[str, Any]
) -> FolderSettings:
    """A folder of its own for a path; a file's is the directory that it is in."""
    root = _absolute(path)
    if not root.is_dir():
        root = root.parent
    taken = {folder.name for folder in settings.folders}
    taken |= {name for name, one in known.items() if one["root"] != printable(str(root))}
    folder = adhoc_folder(root, purpose, metadata, taken_names=taken)
    known[folder.name] = {"root": printable(str(root)), "purpose": purpose, "metadata": dict(metadata)}
    return folder

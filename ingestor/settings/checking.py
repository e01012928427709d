"""Rules that hold between settings and between settings and the disk."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingestor.disk import others_may_use
from ingestor.settings.database import DatabaseUrl
from ingestor.settings.places import Loc
from ingestor.settings.shape import FolderSettings, HooksSettings, Settings
from ingestor.settings.values import AfterAction, is_loopback
from ingestor.settings.wording import quoted

Mistake = tuple[Loc, str]
SECRET_CHARACTERS = 16
"""Of the page's token and of hooks' secrets, at least: one who guesses a thousand times a second must not get there."""
Numbered = Sequence[tuple[int, FolderSettings]]
"""Folders with the number that each has in the file."""


def mistakes(settings: Settings, folders: Numbered, *, are_read: bool = True) -> Iterator[Mistake]:
    """All mistakes; `folders` are those whose path could be read. `are_read` False: they need not be there."""
    for number, folder in folders if are_read else ():
        for said in folder_mistakes(folder):
            yield ("folders", number, "path"), said
    yield from _overlaps(folders)
    yield from _same_names(folders)
    for number, folder in folders:
        for key, action in (("after_upload", folder.after_upload), ("on_quarantine", folder.on_quarantine)):
            for said in _target_mistakes(action, folders):
                yield ("folders", number, key), said
    for number, folder in folders:
        yield from _hook_mistakes(number, folder)
    yield from _state_files(settings)
    yield from _shared(settings, folders)
    yield from _status(settings)


def folder_mistakes(folder: FolderSettings) -> Iterator[str]:
    """What keeps a folder from being read."""
    shown = quoted(folder.path)
    try:
        mode = folder.path.stat().st_mode
    except FileNotFoundError:
        yield f"{shown} does not exist; make it (mkdir -p) or correct the path"
    except OSError as error:
        yield _unusable(folder.path, error)
    else:
        if not stat.S_ISDIR(mode):
            yield f"{shown} is not a folder; name the folder that the images are in"
        elif not os.access(folder.path, os.R_OK | os.X_OK):
            yield f"{shown} cannot be read by this user; change its permissions"


def real(path: Path) -> Path:
    """The path with symlinks resolved, as far as it exists."""
    return Path(os.path.realpath(path))


def _overlaps(folders: Numbered) -> Iterator[Mistake]:
    """One folder for a file: the second of two that overlap is told, whichever is the outer one."""
    by_path: dict[Path, int] = {}
    distinct: list[tuple[int, FolderSettings, Path]] = []
    for number, folder in folders:
        path = real(folder.path)
        if path in by_path:
            yield (
                ("folders", number, "path"),
                f"is the same folder as folders[{by_path[path]}]; keep one of the two",
            )
            continue
        by_path[path] = number
        distinct.append((number, folder, path))
    recursive = {number for number, folder, _ in distinct if folder.recursive}
    for number, _folder, path in distinct:
        outer = next((by_path[above] for above in path.parents if by_path.get(above) in recursive), None)
        if outer is not None:
            where = f"folders[{outer}]" if outer < number else f"folders[{number}]"
            said = f"lies inside {where}" if outer < number else f"contains {where}"
            cure = "give each image one folder: take them apart, or set the outer one to recursive: false"
            yield ("folders", max(number, outer), "path"), f"{said}; {cure}"


def _same_names(folders: Numbered) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for number, folder in folders:
        if folder.name in seen:
            other = f"folders[{seen[folder.name]}]"
            said = f"{quoted(folder.name)} is the name of {other} too; give each folder its own"
            yield ("folders", number, "name"), said
        else:
            seen[folder.name] = number


def _target_mistakes(action: AfterAction, folders: Numbered) -> Iterator[str]:
    """A target in which images would be found again, or that holds a drop folder, or that is a file."""
    if action.dir is None:
        return
    target = real(action.dir)
    try:
        if not stat.S_ISDIR(target.stat().st_mode):
            yield f"{quoted(action.dir)} is not a folder; name one, or a path that does not exist yet"
    except FileNotFoundError:
        pass  # it is made when the first file goes there
    except OSError as error:
        yield _unusable(action.dir, error)
        return
    for number, folder in folders:
        path, name = real(folder.path), f"the drop folder folders[{number}]"
        if target == path or target in path.parents:
            said = "is" if target == path else "contains"
            yield f"{quoted(action.dir)} {said} {name}; move to a place outside of it"
            return
        if path in target.parents and folder.recursive:
            inside = target.relative_to(path)
            if not _is_excluded(folder, inside):
                cure = f"move elsewhere, or add /{inside.as_posix()}/ to its exclude"
                yield f"{quoted(action.dir)} is inside {name}, where it would be found again; {cure}"


def _is_excluded(folder: FolderSettings, inside: Path) -> bool:
    from pathspec import GitIgnoreSpec  # late: only targets inside of a folder ask for it

    return GitIgnoreSpec.from_lines(folder.exclude).match_file(f"{inside.as_posix()}/image.jpg")


def _hook_mistakes(number: int, folder: FolderSettings) -> Iterator[Mistake]:
    """Programs that are not there, and secrets that others can read."""
    for event in HooksSettings.model_fields:
        for index, hook in enumerate(getattr(folder.on, event)):
            place: Loc = ("folders", number, "on", event, index)
            if hook.command is not None and shutil.which(hook.command[0]) is None:
                said = "is no program that this user can run; correct its path, or make it executable (chmod +x)"
                yield (*place, "command"), f"{quoted(hook.command[0])} {said}"
            if hook.secret_file is not None:
                for said in _secret_mistakes(hook.secret_file, "secret"):
                    yield (*place, "secret_file"), f"{quoted(hook.secret_file)} {said}"


def _state_files(settings: Settings) -> Iterator[Mistake]:
    files = {"ledger": settings.ledger, "manifest": settings.manifest}
    if isinstance(settings.ledger, Path) and real(settings.ledger) == real(settings.manifest):
        yield ("manifest",), "is the same file as the ledger; give each its own"
    for key, path in files.items():
        if not isinstance(path, Path):
            continue
        try:
            if stat.S_ISDIR(path.stat().st_mode):
                yield (key,), f"{quoted(path)} is a folder; name a file"
        except FileNotFoundError:
            pass  # it is made with the first run
        except OSError as error:
            yield (key,), _unusable(path, error)


def _shared(settings: Settings, folders: Numbered) -> Iterator[Mistake]:
    """What only machines with a common ledger can share."""
    if isinstance(settings.ledger, DatabaseUrl):
        return
    for number, folder in folders:
        if folder.shared:
            said = "needs a ledger that other machines reach: set ledger: postgresql://…, or leave this out"
            yield ("folders", number, "shared"), said


def _unusable(path: Path, error: OSError) -> str:
    return f"{quoted(path)} cannot be used ({error.strerror}); correct the path or its permissions"


def _status(settings: Settings) -> Iterator[Mistake]:
    """A page that others can reach asks them for a token, from a file that others cannot read."""
    listen, file = settings.status.listen, settings.status.token_file
    if file is not None:
        for said in _secret_mistakes(file, "token"):
            yield ("status", "token_file"), f"{quoted(file)} {said}"
    elif listen is not None and not is_loopback(listen.host):
        cure = "name a file with a token as status.token_file, or listen on 127.0.0.1 alone"
        yield ("status", "listen"), f"{listen} can be reached from other machines; {cure}"


def _secret_mistakes(file: Path, what: str) -> Iterator[str]:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            yield f"is not a regular file; name the file that the {what} is in"
        elif others_may_use(file, mode):
            yield "may be used by others than its owner; make it private (chmod 600)"
        elif file.stat().st_size < SECRET_CHARACTERS:
            cure = f"write a random {what}, such as openssl rand -hex 32"
            yield f"holds fewer than {SECRET_CHARACTERS} characters; {cure}"
        elif not os.access(file, os.R_OK):
            yield "cannot be read by this user; change its permissions"
    except FileNotFoundError:
        yield "does not exist; make it, such as: (umask 077; openssl rand -hex 32 > FILE)"
    except OSError as error:
        yield f"cannot be used ({error.strerror}); correct the path or its permissions"

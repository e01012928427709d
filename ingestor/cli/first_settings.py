"""A settings file from a few answers: commented, whole, and accepted by `ingestor check`."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingestor.disk import disk_fault
from ingestor.errors import Problem, SettingsError, UsageError
from ingestor.model import Purpose
from ingestor.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `init` needs to know; None: not said, so the default counts."""

    folders: Sequence[Path]
    purpose: str | None = None
    after_upload: str | None = None
    key_file: Path | None = None
    sandbox: bool = False


def write(file: Path, answers: Answers) -> None:
    """Make the drop folders that are missing, and the file.

    Raises `SettingsError` where an answer cannot be used, `UsageError` where the file has come meanwhile, and
    `DiskFault`.
    """
    made = [folder for folder in answers.folders if not folder.exists()]
    try:
        for folder in made:
            folder.mkdir(parents=True)
        _put(file, _text(answers))
    except BaseException as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise disk_fault(Path(error.filename or file), error) from error
        raise


def _put(file: Path, text: str) -> None:
    """Tried under another name first: what is not accepted never has this one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    number, fresh = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".yaml", dir=file.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(fresh, 0o644)
        check(Path(fresh))
        os.link(fresh, file)
    except FileExistsError:
        raise UsageError(f"{file}: has come meanwhile, and is not overwritten") from None
    finally:
        os.unlink(fresh)


def check(fresh: Path) -> None:
    """Raises `SettingsError`, which names settings instead of lines: nobody knows the file yet."""
    try:
        load(fresh, {})
    except SettingsError as error:
        raise SettingsError([Problem(file="init", line=None, message=one.message) for one in error.problems]) from None


def _text(answers: Answers) -> str:
    text = _HEAD + (_SANDBOX if answers.sandbox else _real_api(answers.key_file)) + _STATE
    named = zip(answers.folders, _names(answers.folders), strict=True)
    return text + "".join(_folder(folder, name, answers) for folder, name in named) + _TAIL


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, with a number where another one has it: they stand in the manifest."""
    names: list[str] = []
    for folder in folders:
        plain = Path(_absolute(folder)).name or "root"
        names.append(next(name for name in _candidates(plain) if name not in names))
    return names


def _candidates(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield f"{name}-{number}"


def _real_api(key_file: Path | None) -> str:
    where = "null" if key_file is None else _quoted(key_file)
    return _API.format(key_file=where)


def _folder(folder: Path, name: str, answers: Answers) -> str:
    return _FOLDER.format(
        path=_quoted(folder),
        name=json.dumps(name, ensure_ascii=False),
        purpose=answers.purpose or Purpose.REFERENCE.value,
        after_upload=_action(answers.after_upload or "keep"),
    )


def _action(action: str) -> str:
    """A relative folder is meant from here, not from where the file will be."""
    kind, colon, directory = action.partition(":")
    return json.dumps(f"{kind}:{_absolute(Path(directory))}") if colon and directory else json.dumps(action)


def _quoted(path: Path) -> str:
    return json.dumps(_absolute(path), ensure_ascii=False)


def _absolute(path: Path) -> str:
    text = os.path.abspath(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path}: a settings file can only name paths that are UTF-8") from None
    return text


PURPOSES: Mapping[str, str] = {
    Purpose.REFERENCE: "images that a generation call refers to",
    Purpose.FIRST_FRAME: "first frames of videos",
    Purpose.LAST_FRAME: "last frames of videos",
}

_HEAD = """\
# Settings of ingestor. A setting that is not here has its default; `ingestor schema` describes all of them.
# Relative paths start from the folder of this file. Durations: 500ms, 90s, 5m, 24h. Sizes: 500kB, 10MB.
# `ingestor check` says all that is wrong with this file, and with what it names.

"""

_SANDBOX = """\
api:
  base_url: sandbox            # the bundled Files API, started with us; nothing leaves this machine
"""

_API = """\
api:
  base_url: https://api.aurous-labs.com
  key_file: {key_file}  # file with the API key (chmod 600); null: the environment variable AUROUS_API_KEY
  quota: {{burst: 60, per_minute: 30}}  # the team's rate limit; a first guess, the API's answers correct it
"""

_STATE = """\

ledger: var/ledger.db          # what ingestor remembers; keep it on a local disk
manifest: var/manifest.jsonl   # the list of file ids, one JSON object a line, for other programs

# The drop folders. They must not lie inside each other.
folders:
"""

_FOLDER = """\
  - path: {path}
    name: {name}  # in the manifest
    purpose: {purpose}  # reference, first_frame or last_frame
    # metadata: {{campaign: launch, original: "{{relpath}}"}}  # sent with each image
    # exclude: ["raw/", "*_draft.*"]  # gitignore-style patterns of what to leave alone
    settle: 2s  # a file is taken when it has not changed for this long
    after_upload: {after_upload}  # keep, move:DIR or delete
    on_quarantine: keep  # or move:DIR (with NAME.error.json beside the image)
"""

_TAIL = """\

log: {level: info, format: auto}   # auto: console on a terminal, JSON lines elsewhere
"""

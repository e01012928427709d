"""Settings from flags, environment and file, or every mistake in them at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ingestor.errors import Problem, SettingsError
from ingestor.model import Metadata
from ingestor.settings.checking import folder_mistakes, mistakes
from ingestor.settings.environment import CONFIG_VARIABLE, lay_environment
from ingestor.settings.places import Layer, Loc, Place
from ingestor.settings.reading import FILE_BYTES, read_yaml
from ingestor.settings.shape import FolderSettings, Section, Settings
from ingestor.settings.wording import dotted, holds_key, nearest, sentence

DEFAULT_FILE = Path("config/ingestor.yaml")
KEY_ARGUMENT = (
    "holds what looks like an API key, which others can see in a command line; "
    "put it in AUROUS_API_KEY or in a key file"
)
_STAND_INS = {"path": "/", "purpose": "reference"}
"""For required settings that are wrong, so that the rest can still be checked."""


def load(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    folders_are_read: bool = True,
) -> Settings:
    """The settings: `overrides` over `environ` over the file over defaults.

    `config` is the file, else INGESTOR_CONFIG names it, else it is config/ingestor.yaml. `overrides`
    has names with dots (`api.concurrency`, `folders.0.settle`) and values as the file would have
    them; None is "not given". `folders_are_read` False: a drop folder may be away, such as one whose disk is not
    mounted just now. Raises `SettingsError` with every mistake there is.
    """
    settings, problems = survey(config, environ, overrides, folders_are_read=folders_are_read)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def survey(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    folders_are_read: bool = True,
) -> tuple[Settings | None, list[Problem]]:
    """What `load` gives, as far as it can be told, and every mistake.

    What is wrong has its default, and a folder whose path is wrong is left out. None: nothing could be read.
    """
    file = config or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)
    try:
        layer, problems = read_yaml(_bytes_of(file), str(file))
    except SettingsError as error:
        return None, error.problems
    if layer is None:
        # Nothing is known of what the file meant to say: to go on would only add false alarms.
        return None, _in_order(problems)
    problems += lay_environment(layer, environ)
    problems += _lay_overrides(layer, overrides or {})
    settings, found = _check(layer, Path(os.path.abspath(file)), folders_are_read=folders_are_read)
    return settings, _in_order(problems + found)


def adhoc_folder(
    path: Path,
    purpose: str,
    metadata: Metadata,
    template: FolderSettings | None = None,
    *,
    taken_names: Collection[str] = (),
) -> FolderSettings:
    """A drop folder for `backfill PATH --purpose --metadata`, checked as one from the file would be.

    `template` gives all other settings; `path` starts from the working directory. Its name is the
    path's last part, with some letters of a hash where that is one of `taken_names`. Raises
    `SettingsError`, which names the argument.
    """
    absolute = Path(os.path.abspath(path))
    given: dict[str, Any] = {"path": str(absolute), "purpose": purpose, "metadata": dict(metadata)}
    name = absolute.name or "root"
    given["name"] = name if name not in taken_names else f"{name[:90]}-{_short_hash(absolute)}"
    arguments = {"path": str(path), "name": str(path), "purpose": "--purpose", "metadata": "--metadata"}
    if holds_key(given["metadata"]):
        raise SettingsError([Place("--metadata").problem(KEY_ARGUMENT)])
    try:
        folder = FolderSettings.model_validate(given)
    except ValidationError as error:
        raise SettingsError([_argument_problem(one, arguments) for one in error.errors()]) from None
    problems = [Place(str(path)).problem(said) for said in folder_mistakes(folder)]
    if problems:
        raise SettingsError(problems)
    return folder if template is None else template.model_copy(update={key: getattr(folder, key) for key in given})


def _short_hash(path: Path) -> str:
    return sha256(os.fsencode(path)).hexdigest()[:8]


def _argument_problem(error: ErrorDetails, arguments: Mapping[str, str]) -> Problem:
    name, *inner = error["loc"]
    said = sentence(error)
    return Place(arguments[str(name)]).problem(f"{dotted(inner)}: {said}" if inner else said)


def _bytes_of(file: Path) -> bytes:
    """The file's bytes, but no more than the limit and one. Raises `SettingsError`."""
    try:
        with file.open("rb") as stream:
            return stream.read(FILE_BYTES + 1)
    except FileNotFoundError:
        said = (
            "there is no settings file here; `ingestor init` makes one, or name yours with --config FILE "
            f"or {CONFIG_VARIABLE}"
        )
    except IsADirectoryError:
        said = "is a folder; name the settings file in it"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        said = f"cannot be read: {reason}; correct the path or its permissions"
    raise SettingsError([Place(str(file)).problem(said)])


def _lay_overrides(layer: Layer, overrides: Mapping[str, Any]) -> Iterator[Problem]:
    """Lay them over the rest one by one, a whole section before what is inside it; None is "not given"."""
    given = [(name.split("."), value) for name, value in overrides.items() if value is not None]
    for steps, value in sorted(given, key=lambda one: len(one[0])):
        if holds_key(value):
            yield Place("command line").problem(f"{'.'.join(steps)}: {KEY_ARGUMENT}")
        patch = copy.deepcopy(value)
        for step in reversed(steps):
            patch = {step: patch}
        yield from layer.lay(patch, lambda loc: Place("command line"))


def _check(layer: Layer, file: Path, *, folders_are_read: bool) -> tuple[Settings, list[Problem]]:
    """The settings as far as they can be read, and every mistake: in values first, then between settings."""
    problems: list[Problem] = []
    context = {"root": file.parent}
    broken: set[int] = set()
    for _round in range(3):  # mend what is wrong, so that the rest is checked too; one round is usually enough
        try:
            settings = Settings.model_validate(layer.data, context=context)
            break
        except ValidationError as error:
            for one in error.errors():
                problems += _translated(layer, one)
                broken |= _mend(layer, one["loc"])
    else:
        return Settings(), problems
    settings._source_file = file
    usable = [(number, folder) for number, folder in enumerate(settings.folders) if number not in broken]
    found = list(mistakes(settings, usable, are_read=folders_are_read))
    problems += [layer.problem(loc, said) for loc, said in found]
    unusable = broken | {int(loc[1]) for loc, _ in found if loc[0] == "folders" and loc[2:] == ("path",)}
    kept = tuple(folder for number, folder in enumerate(settings.folders) if number not in unusable)
    return settings if not unusable else _with_folders(settings, kept), problems


def _with_folders(settings: Settings, folders: tuple[FolderSettings, ...]) -> Settings:
    changed = settings.model_copy(update={"folders": folders})
    changed._source_file = settings.source_file
    return changed


def _translated(layer: Layer, error: ErrorDetails) -> Iterator[Problem]:
    loc, kind = error["loc"], error["type"]
    if kind == "default_factory_not_called" or (kind == "missing" and loc in layer.keys):
        return  # a consequence of another mistake, which is told by itself
    if kind == "extra_forbidden":
        meant = nearest(str(loc[-1]), _known_beside(loc))
        listed = ", ".join(_known_beside(loc))
        hint = f"did you mean {dotted((*loc[:-1], meant))}?" if meant else f"known here: {listed}"
        yield layer.problem(loc, f"unknown setting; {hint}", of_key=True)
    else:
        yield layer.problem(loc, sentence(error))


def _known_beside(loc: Loc) -> list[str]:
    section: type[Section] = Settings
    for step in loc[:-1]:
        if isinstance(step, str):
            annotation = section.model_fields[step].annotation
            annotation = next(iter(get_args(annotation)), annotation)  # of a list: what is in it
            assert isinstance(annotation, type)
            assert issubclass(annotation, Section)
            section = annotation
    return list(section.model_fields)


def _mend(layer: Layer, loc: Loc) -> set[int]:
    """Take a wrong setting out, or put a stand-in for a required one. Returns folders not to be checked."""
    if loc[:1] != ("folders",) or len(loc) < 2:
        layer.drop(loc[:2])
        return set()
    folder, number = loc[:2], loc[1]
    assert isinstance(number, int)
    if len(loc) == 2:
        layer.data["folders"][number] = dict(_STAND_INS)
        return {number}
    key = loc[2]
    if key in _STAND_INS:
        layer.data["folders"][number][key] = _STAND_INS[str(key)]
        return {number} if key == "path" else set()
    layer.drop((*folder, key))
    return set()


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Those of the file by line, then the environment's and the command line's; each once."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line is None, problem.line or 0))

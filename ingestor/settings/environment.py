"""Settings from environment variables: `INGESTOR_API__BASE_URL`, `INGESTOR_FOLDERS__0__PATH`.

pydantic-settings knows which variables make up which setting; mappings and lists are written as YAML or
JSON text. Names are not case-sensitive, so keys of metadata that come by name are lower case. An empty
variable counts as not set, as Compose files and unit files leave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingestor.errors import Problem
from ingestor.settings.places import Layer, Loc, Place
from ingestor.settings.shape import Section, Settings
from ingestor.settings.wording import KEY_LOOK, nearest

PREFIX = "INGESTOR_"
CONFIG_VARIABLE = "INGESTOR_CONFIG"
DELIMITER = "__"
KEY_VARIABLES = frozenset({"INGESTOR_API_KEY", "INGESTOR_AUROUS_API_KEY"})
"""Where somebody would put the API key who knows all other names."""


def lay_environment(layer: Layer, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Lay the settings of the environment over those of the file."""
    ours = {name: text for name, text in environ.items() if _is_ours(name) and text.strip()}
    for name, text in ours.items():
        if KEY_LOOK.search(text):
            yield Place(name).problem("holds what looks like an API key; put that in AUROUS_API_KEY or in a key file")
    yield from _misnamed(environ)
    if not ours:
        return
    from ingestor.settings.variables import nested_variables  # late: see there

    patch = nested_variables(ours)
    for name in ours:
        if not _reached(patch, _steps(name)):
            yield Place(name).problem("has no effect beside the variable that sets the whole; use one or the other")
    yield from layer.lay(patch, lambda loc: _place(ours, loc))


def _steps(name: str) -> list[str]:
    return name[len(PREFIX) :].lower().split(DELIMITER)


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX) and _steps(name)[0] in Settings.model_fields


def _reached(patch: Any, steps: list[str]) -> bool:
    for step in steps:
        if not isinstance(patch, dict) or step not in patch:
            return False
        patch = patch[step]
    return True


def _place(ours: Mapping[str, str], loc: Loc) -> Place:
    """The variable that sets this place most closely, or the first that sets something inside it."""
    wanted = [str(step).lower() for step in loc]
    around = [name for name in ours if _steps(name) == wanted[: len(_steps(name))]]
    inside = [name for name in ours if _steps(name)[: len(wanted)] == wanted]
    return Place(max(around, key=len) if around else inside[0])


def _misnamed(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Variables of ours in all but the name: `INGESTOR_API_BASE_URL`, `INGESTOR_NORMALIZE__WORKERS`."""
    known = {name.replace(DELIMITER, "_"): name for name in _variable_names(Settings, PREFIX)}
    for name in environ:
        if not name.upper().startswith(PREFIX) or _is_ours(name) or name == CONFIG_VARIABLE:
            continue
        if name.upper() in KEY_VARIABLES:
            yield Place(name).problem("is not where the API key is read from; name the variable AUROUS_API_KEY")
            continue
        meant = known.get(name.upper().replace(DELIMITER, "_"))
        if meant:
            yield Place(name).problem(f"names no setting; sections end with two underscores: {meant}")
        elif DELIMITER in name:
            section = nearest(_steps(name)[0], Settings.model_fields)
            hint = f"; did you mean {PREFIX}{section.upper()}?" if section else ""
            yield Place(name).problem(f"names no setting{hint}")


def _variable_names(section: type[Section], prefix: str) -> Iterator[str]:
    for key, field in section.model_fields.items():
        yield prefix + key.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _variable_names(field.annotation, prefix + key.upper() + DELIMITER)

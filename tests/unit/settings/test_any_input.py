"""Whatever the input, `load` gives `Settings` or `SettingsError`, and every problem has a place and says something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor.errors import SettingsError
from ingestor.settings import FolderSettings, Settings, adhoc_folder, load, settings_schema
from ingestor.settings.environment import _variable_names

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SECTIONS = [Settings, *(field.annotation for field in Settings.model_fields.values()), FolderSettings]
KEYS = sorted({key for one in SECTIONS for key in getattr(one, "model_fields", ())})
WORDS = [
    "keep",
    "move:x",
    "sandbox",
    "5s",
    "10MB",
    "~",
    "{relpath}",
    "{",
    "reference",
    "\x00",
    "\ud800",
    ".",
    "/",
    "[z-a]",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=20)
keys = st.sampled_from(KEYS) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
sections = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values))
documents = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(Settings.model_fields, values),
        "folders": st.lists(sections, max_size=3) | values,
    },
)
fragments = st.lists(
    st.sampled_from(
        ["a", "api", ":", " ", "\n", "  ", "- ", "{", "}", "[", "]", "&a", "*a", "<<", "!!", "'", '"', "\t"]
    )
    | st.sampled_from(["#", "|", ">", "?", ",", "folders", "path", "\\x", "---", "...", "%", "é", "\x85", "\u2028"])
    | st.text(max_size=3),
    max_size=40,
).map("".join)


def outcome(path: Path, environ: dict[str, str] | None = None, overrides: dict[str, Any] | None = None) -> None:
    try:
        found = load(path, environ or {}, overrides or {})
    except SettingsError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file
            assert problem.message
            assert "\n" not in problem.message
            assert problem.line is None or problem.line >= 1
    else:
        assert isinstance(found, Settings)
        json.dumps(found.redacted())


@QUICK
@given(documents)
def test_any_document_of_our_shape(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(document))
    outcome(path)


@QUICK
@given(fragments)
def test_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome(path)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    outcome(path)


NAMES = [
    *_variable_names(Settings, "INGESTOR_"),
    "INGESTOR_FOLDERS__0",
    "INGESTOR_API____X",
    "INGESTOR_FOLDERS__²__PATH",
]
NAMES += [f"INGESTOR_FOLDERS__0__{key.upper()}" for key in FolderSettings.model_fields]
NAMES += [f"INGESTOR_FOLDERS__1__{key.upper()}__X" for key in FolderSettings.model_fields]
environs = st.dictionaries(
    st.sampled_from(NAMES) | st.text("ABPI_0", max_size=6).map(lambda tail: f"INGESTOR_API__{tail}"),
    st.sampled_from(WORDS) | fragments | values.map(json.dumps),
    max_size=5,
)


@QUICK
@given(environs)
def test_any_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("folders: [{path: ., purpose: reference}]")
    outcome(path, environ)


@QUICK
@given(
    st.dictionaries(st.sampled_from(["api.timeout", "api", "folders.0.path", "folders.0", "x.y", "log.level"]), values)
)
def test_any_override(tmp_path: Path, overrides: dict[str, Any]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("folders: [{path: ., purpose: reference}]")
    outcome(path, {}, overrides)


@QUICK
@given(scalars.map(str), st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_any_adhoc_folder(tmp_path: Path, purpose: str, metadata: dict[str, Any]) -> None:
    try:
        adhoc_folder(tmp_path, purpose, metadata)
    except SettingsError as error:
        assert error.problems


@QUICK
@given(documents)
def test_what_loads_is_valid_by_the_schema(tmp_path: Path, document: Any) -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(document))
    try:
        found = load(path, {})
    except SettingsError:
        return
    jsonschema_rs.Draft202012Validator(settings_schema()).validate(found.redacted())

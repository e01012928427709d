from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from ingestor.errors import SettingsError
from ingestor.settings import load, settings_schema
from ingestor.settings.reading import read_value

CONFIG = Path(__file__).parents[3] / "config"
SETTINGS = [path for path in sorted(CONFIG.glob("*.yaml")) if not path.name.startswith("compose")]
EXAMPLES = [CONFIG / "quickstart.yaml", CONFIG / "ingestor.yaml"]


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.Draft202012Validator(settings_schema())


def document(text: str) -> Any:
    return read_value(text)


def objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Settings", schema
    for name, definition in schema["$defs"].items():
        if definition["type"] == "object":
            yield name, definition


def test_the_schema_is_a_schema_of_draft_2020_12() -> None:
    schema = settings_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid_also_for_an_editor_with_yaml_1_1(path: Path, validator: Any) -> None:
    validator.validate(document(path.read_text()))
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "lgo: {}",
        "api: {base_ulr: sandbox}",
        "api: {timeout: 60}",
        "api: {timeout: 1h30m}",
        "api: {base_url: 'https://u:p@host'}",
        "normalise: {orientation: bak}",
        "normalise: {max_bytes: 10mb}",
        "folders: [{path: x}]",
        "folders: [{path: x, purpose: refrence}]",
        "folders: [{path: x, purpose: reference, on_quarantine: delete}]",
        "folders: {}",
        "drain: null",
    ],
)
def test_mistakes_are_not_valid(text: str, validator: Any) -> None:
    assert not validator.is_valid(document(text))


def test_each_setting_has_a_description_and_each_optional_one_its_default() -> None:
    for name, section in objects(settings_schema()):
        assert section["additionalProperties"] is False
        for key, setting in section["properties"].items():
            assert setting.get("description"), f"{name}.{key}"
            has_default = (
                "default" in setting or key in section.get("required", ()) or (name, key) == ("FolderSettings", "name")
            )
            assert has_default, f"{name}.{key}"


def test_the_defaults_are_valid_and_as_one_writes_them(validator: Any) -> None:
    schema = settings_schema()
    written = {key: setting["default"] for key, setting in schema["properties"].items()}
    validator.validate(written)
    assert written["drain"] == "30s"
    assert written["ledger"] == "var/ledger.db"
    assert written["normalise"]["max_bytes"] == "10MB"
    folder = schema["$defs"]["FolderSettings"]["properties"]
    assert (folder["settle"]["default"], folder["after_upload"]["default"]) == ("2s", "keep")


def test_the_production_example_says_every_setting_with_its_default() -> None:
    example = document((CONFIG / "ingestor.yaml").read_text())
    schema = settings_schema()
    for key, setting in schema["properties"].items():
        if key == "folders":
            continue
        assert key in example
        said, default = example[key], setting["default"]
        if key == "normalise":
            default = {**default, "max_pixels": "300_000_000"}  # as it is best read
        assert said == default, key
    folder = schema["$defs"]["FolderSettings"]["properties"]
    assert set(example["folders"][0]) == set(folder)
    for key, setting in folder.items():
        if "default" in setting:
            assert example["folders"][0][key] == setting["default"], key


def test_the_production_example_lacks_nothing_but_its_folder() -> None:
    with pytest.raises(SettingsError) as caught:
        load(CONFIG / "ingestor.yaml", {})
    (problem,) = caught.value.problems
    assert "folders[0].path" in problem.message
    assert "does not exist" in problem.message


def test_the_quickstart_works_beside_an_inbox(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "quickstart.yaml").write_bytes((CONFIG / "quickstart.yaml").read_bytes())
    settings = load(tmp_path / "quickstart.yaml", {})
    assert settings.api.is_sandbox
    assert settings.folders[0].path == tmp_path / "inbox"
    assert (settings.ledger, settings.manifest) == (
        tmp_path / "var/ledger.db",
        tmp_path / "var/manifest.jsonl",
    )


@pytest.mark.parametrize("example", SETTINGS, ids=lambda path: path.name)
def test_every_example_loads_once_its_folders_are_there(example: Path, tmp_path: Path) -> None:
    here = tmp_path / example.name
    here.write_bytes(example.read_bytes())
    for folder in document(example.read_text())["folders"]:
        (tmp_path / folder["path"]).mkdir(parents=True)
    settings = load(here, {})
    assert [folder.path.is_dir() for folder in settings.folders] == [True] * len(settings.folders)
    assert settings.source_file == here

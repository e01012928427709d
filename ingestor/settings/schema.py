"""The JSON Schema of the settings file, for editors to complete and validate with."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ingestor.settings.shape import FolderSettings, HookSettings, Section, Settings


class _Untitled(GenerateJsonSchema):
    """Titles such as "Base Url" only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def settings_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12; defaults stand in it as they would in the file."""
    schema = Settings.model_json_schema(schema_generator=_Untitled)
    example = Settings(folders=(FolderSettings.model_validate({"path": "/", "name": "x", "purpose": "reference"}),))
    written = example.model_dump(mode="json")
    _write_defaults(schema, Settings, written)
    for key, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            _write_defaults(schema["$defs"][field.annotation.__name__], field.annotation, written[key])
    _write_defaults(schema["$defs"]["FolderSettings"], FolderSettings, written["folders"][0])
    hook = HookSettings(command=("x",)).model_dump(mode="json")
    _write_defaults(schema["$defs"]["HookSettings"], HookSettings, {**hook, "command": None})
    for relative in ("ledger", "manifest"):
        schema["properties"][relative]["default"] = str(Settings.model_fields[relative].default)
    schema["properties"]["folders"]["default"] = []
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Settings of ingestor"}


def _write_defaults(schema: dict[str, Any], section: type[Section], written: dict[str, Any]) -> None:
    for key in section.model_fields:
        if "default" in schema["properties"][key]:
            schema["properties"][key]["default"] = written[key]

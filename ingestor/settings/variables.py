"""Which environment variables make up which setting, as pydantic-settings has it.

Apart from `environment`, since pydantic-settings takes as long to import as all other settings together, and most
runs have no such variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from ingestor.settings.environment import DELIMITER, PREFIX
from ingestor.settings.reading import read_value
from ingestor.settings.shape import Settings


def nested_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that these variables set, as nested plain data."""
    return _Source(environ)()


class _Variables(Settings, BaseSettings):
    """The shape of `Settings` for pydantic-settings to look variables up by; never made."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER)


class _Source(EnvSettingsSource):
    """The nested variables of a given environment, not of the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(_Variables, env_parse_none_str="null")
        self.env_vars = {name.lower(): None if text == "null" else text for name, text in environ.items()}

    def next_field(self, field: FieldInfo | Any | None, key: str, case_sensitive: bool | None = None) -> Any:
        """What a step of a name leads to; pydantic-settings itself knows no steps into lists."""
        annotation = field.annotation if isinstance(field, FieldInfo) else field
        if get_origin(annotation) is tuple:
            return get_args(annotation)[0] if key.isdecimal() else None
        return super().next_field(field, key, case_sensitive)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """YAML, of which JSON is a part; what is neither stays text, and is refused as text."""
        try:
            return read_value(value) if isinstance(value, str) else value
        except ValueError:
            return value

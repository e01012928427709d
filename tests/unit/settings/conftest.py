"""A settings file in a folder of its own, and what `load` makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ingestor.errors import SettingsError
from ingestor.settings import Settings, load


class SettingsFile:
    """Writes, loads and lists mistakes with the file called `FILE`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "settings.yaml"

    def write(self, text: str | bytes) -> SettingsFile:
        self.path.write_bytes(text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode())
        return self

    def folders(self, *paths: str) -> SettingsFile:
        for path in paths:
            (self.folder / path).mkdir(parents=True, exist_ok=True)
        return self

    def load(self, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        return load(self.path, environ or {}, {key.replace("__", "."): value for key, value in overrides.items()})

    def mistakes(self, environ: Mapping[str, str] | None = None, **overrides: Any) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            self.load(environ, **overrides)
        return [str(problem).replace(str(self.path), "FILE") for problem in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> SettingsFile:
    return SettingsFile(tmp_path)


@pytest.fixture
def mistake(file: SettingsFile) -> Callable[[str], str]:
    """The only mistake of a text."""

    def only(text: str) -> str:
        mistakes = file.write(text).mistakes()
        assert len(mistakes) == 1, mistakes
        return mistakes[0]

    return only

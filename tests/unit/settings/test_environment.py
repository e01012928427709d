from __future__ import annotations

from typing import Any

import pytest

BASE = """
    api: {timeout: 10s, concurrency: 2}
    folders:
      - path: a
        purpose: reference
        metadata: {campaign: one}
"""


@pytest.fixture
def based(file: Any) -> Any:
    return file.write(BASE).folders("a", "b")


def test_the_environment_goes_over_the_file_and_flags_over_both(based: Any) -> None:
    environ = {"INGESTOR_API__TIMEOUT": "20s", "INGESTOR_API__CONCURRENCY": "3"}
    api = based.load(environ, api__concurrency=4).api
    assert (api.timeout, api.concurrency, api.webp if hasattr(api, "webp") else None) == (20.0, 4, None)


@pytest.mark.parametrize(
    ("name", "text", "get", "value"),
    [
        ("INGESTOR_API__BASE_URL", "sandbox", lambda s: s.api.base_url, "sandbox"),
        ("INGESTOR_API__VERSION", "2026-06-01", lambda s: s.api.version, "2026-06-01"),
        ("INGESTOR_API__QUOTA__BURST", "7", lambda s: s.api.quota.burst, 7),
        ("INGESTOR_API__QUOTA", "{burst: 7, per_minute: 8}", lambda s: s.api.quota.per_minute, 8),
        ("INGESTOR_API__QUOTA", '{"burst": 7}', lambda s: s.api.quota.burst, 7),
        ("INGESTOR_API__KEY_FILE", "null", lambda s: s.api.key_file, None),
        ("INGESTOR_NORMALISE__MAX_PIXELS", "1_000_000", lambda s: s.normalise.max_pixels, 1_000_000),
        ("INGESTOR_NORMALISE__MAX_BYTES", "5MB", lambda s: s.normalise.max_bytes, 5_000_000),
        ("INGESTOR_LOG__LEVEL", "debug", lambda s: s.log.level, "debug"),
        ("INGESTOR_DRAIN", "5s", lambda s: s.drain, 5.0),
        ("ingestor_drain", "5s", lambda s: s.drain, 5.0),
        ("INGESTOR_DRAIN", "", lambda s: s.drain, 30.0),
        ("INGESTOR_FOLDERS__0__RECURSIVE", "false", lambda s: s.folders[0].recursive, False),
        ("INGESTOR_FOLDERS__0__AFTER_UPLOAD", "delete", lambda s: str(s.folders[0].after_upload), "delete"),
        ("INGESTOR_FOLDERS__0__INCLUDE", '["*.png"]', lambda s: s.folders[0].include, ("*.png",)),
        (
            "INGESTOR_FOLDERS__0__METADATA__ROUND",
            "two",
            lambda s: s.folders[0].metadata,
            {"campaign": "one", "round": "two"},
        ),
        (
            "INGESTOR_FOLDERS__0__METADATA",
            "{n: 2}",
            lambda s: s.folders[0].metadata,
            {"campaign": "one", "n": 2},
        ),
        ("INGESTOR_FOLDERS", "[{path: b, purpose: last_frame}]", lambda s: s.folders[0].name, "b"),
        (
            "INGESTOR_FOLDERS",
            '[{"path": "b", "purpose": "last_frame"}]',
            lambda s: s.folders[0].purpose,
            "last_frame",
        ),
        ("INGESTOR_FOLDERS", "- path: b\n  purpose: last_frame\n", lambda s: len(s.folders), 1),
    ],
)
def test_any_setting_can_come_from_the_environment(based: Any, name: str, text: str, get: Any, value: Any) -> None:
    assert get(based.load({name: text})) == value


def test_a_folder_can_be_added_by_its_number(based: Any) -> None:
    environ = {"INGESTOR_FOLDERS__1__PATH": "b", "INGESTOR_FOLDERS__1__PURPOSE": "first_frame"}
    settings = based.load(environ)
    assert [folder.name for folder in settings.folders] == ["a", "b"]
    assert settings.folders[1].path == based.folder / "b"


def test_folders_can_come_from_the_environment_alone(file: Any) -> None:
    environ = {"INGESTOR_FOLDERS__0__PATH": "b", "INGESTOR_FOLDERS__0__PURPOSE": "first_frame"}
    assert file.write("").folders("b").load(environ).folders[0].path == file.folder / "b"


def test_relative_paths_of_the_environment_start_from_the_settings_file(based: Any) -> None:
    assert based.load({"INGESTOR_LEDGER": "x.db"}).ledger == based.folder / "x.db"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "INGESTOR_API__TIMEOUT",
            "soon",
            'api.timeout: "soon" is not a duration; write one such as 500ms, 90s, 5m or 24h',
        ),
        ("INGESTOR_API__BASE_ULR", "x", "api.base_ulr: unknown setting; did you mean api.base_url?"),
        ("INGESTOR_API", "[", 'api: must be a mapping (`key: value` lines), not "["'),
        ("INGESTOR_API__TIMEOUT__X", "1", "api.timeout: a mapping has no unit"),
        (
            "INGESTOR_API_BASE_URL",
            "x",
            "names no setting; sections end with two underscores: INGESTOR_API__BASE_URL",
        ),
        ("INGESTOR_NORMALIZE__WORKERS", "2", "names no setting; did you mean INGESTOR_NORMALISE?"),
        ("INGESTOR_FOLDERS__5__PATH", "b", "folders has 1 entries; number them from 0, the next is 1"),
        (
            "INGESTOR_FOLDERS__0__INCLUDE",
            "*.png",
            'folders[0].include: must be a list, such as [a, b], not "*.png"',
        ),
        ("INGESTOR_FOLDERS__1__PATH", "b", "folders[1].purpose: is missing; write it here"),
        (
            "INGESTOR_STATUS__LISTEN",
            "0.0.0.0:1",
            "status.listen: 0.0.0.0:1 can be reached from other machines; name a file with a token as "
            "status.token_file, or listen on 127.0.0.1 alone",
        ),
    ],
)
def test_mistakes_name_the_variable(based: Any, name: str, text: str, said: str) -> None:
    if name == "INGESTOR_API__TIMEOUT__X":
        said = "api.timeout: a mapping is not a duration; write one such as 500ms, 90s, 5m or 24h"
    assert based.mistakes({name: text}) == [f"{name}: {said}"]


def test_a_variable_within_one_that_sets_the_whole_list_is_told(based: Any) -> None:
    environ = {"INGESTOR_FOLDERS": "[{path: b, purpose: reference}]", "INGESTOR_FOLDERS__0__SETTLE": "5s"}
    said = "has no effect beside the variable that sets the whole; use one or the other"
    assert based.mistakes(environ) == [f"INGESTOR_FOLDERS__0__SETTLE: {said}"]


def test_the_variable_that_says_it_most_closely_is_named(based: Any) -> None:
    environ = {"INGESTOR_API": "{version: x}", "INGESTOR_API__QUOTA__BURST": "0"}
    assert [said.split(":")[0] for said in based.mistakes(environ)] == [
        "INGESTOR_API",
        "INGESTOR_API__QUOTA__BURST",
    ]


def test_an_api_key_in_a_setting_is_refused_and_not_shown(based: Any) -> None:
    mistakes = based.mistakes({"INGESTOR_API__KEY_FILE": "al_live_abcdefgh1234"})
    assert mistakes[0].startswith("INGESTOR_API__KEY_FILE: holds what looks like an API key")
    assert not any("abcdefgh" in said for said in mistakes)


def test_other_variables_are_none_of_our_business(based: Any) -> None:
    based.load({"INGESTOR_TEST_POSTGRES_URL": "x", "INGESTOR_CONFIG": "y", "AUROUS_API_KEY": "z", "HOME": "/"})


@pytest.mark.parametrize("name", ["INGESTOR_API_KEY", "INGESTOR_AUROUS_API_KEY", "ingestor_api_key"])
def test_a_key_under_a_name_that_nobody_reads_is_told_and_not_shown(based: Any, name: str) -> None:
    assert based.mistakes({name: "al_live_abcdefgh1234"}) == [
        f"{name}: is not where the API key is read from; name the variable AUROUS_API_KEY"
    ]


def test_without_variables_pydantic_settings_is_not_even_imported(based: Any) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from ingestor.settings import load; "
        f"load(Path({str(based.path)!r}), {{'HOME': '/'}}); "
        "sys.exit(any(name.startswith('pydantic_settings') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

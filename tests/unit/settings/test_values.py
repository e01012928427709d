from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingestor.settings.kinds import Kind
from ingestor.settings.metadata import MOST_BYTES, MetadataTemplate, placeholder_mistake
from ingestor.settings.values import (
    After,
    AfterKind,
    BaseUrl,
    FolderName,
    Listen,
    Pattern,
    Version,
)

ROOT = Path("/root-of-settings")
ANY_AFTER = After((AfterKind.KEEP, AfterKind.MOVE, AfterKind.DELETE))


@pytest.mark.parametrize(
    ("kind", "written", "shown"),
    [
        (BaseUrl(), "sandbox", "sandbox"),
        (BaseUrl(), "https://api.aurous-labs.com/", "https://api.aurous-labs.com"),
        (BaseUrl(), "https://gateway.example:8443/files", "https://gateway.example:8443/files"),
        (BaseUrl(), "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (BaseUrl(), "http://127.8.9.1", "http://127.8.9.1"),
        (BaseUrl(), "http://[::1]:8080", "http://[::1]:8080"),
        (BaseUrl(), "http://localhost:1", "http://localhost:1"),
        (Version(), "2026-05-15", "2026-05-15"),
        (Listen(), "127.0.0.1:8787", "127.0.0.1:8787"),
        (Listen(), "[::1]:0", "[::1]:0"),
        (Listen(), "myhost:80", "myhost:80"),
        (ANY_AFTER, "keep", "keep"),
        (ANY_AFTER, "delete", "delete"),
        (ANY_AFTER, "move:done", "move:/root-of-settings/done"),
        (ANY_AFTER, "move: /a/b:c ", "move:/a/b:c"),
        (Pattern(), "*.jpg", "*.jpg"),
        (Pattern(), "!a/**/b/", "!a/**/b/"),
        (FolderName(), "Bilder 2026 ü", "Bilder 2026 ü"),
    ],
)
def test_right_values_are_read(kind: Kind, written: Any, shown: Any) -> None:
    assert kind.show(kind.read(written, ROOT)) == shown


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [
        (BaseUrl(), "http://127.0.0.1.example.com", "unencrypted"),
        (BaseUrl(), "http://0.0.0.0:80", "unencrypted"),
        (BaseUrl(), "https://user:pw@api.aurous-labs.com", "user name or password"),
        (BaseUrl(), "https://api.aurous-labs.com?x=1", "query"),
        (BaseUrl(), "https://api.aurous-labs.com/#x", "query or a fragment"),
        (BaseUrl(), "ftp://api.aurous-labs.com", "not an address"),
        (BaseUrl(), "api.aurous-labs.com", "not an address"),
        (BaseUrl(), "https://", "not an address"),
        (BaseUrl(), "https://a b", "not an address"),
        (BaseUrl(), "https://[::1", "not an address"),
        (BaseUrl(), "https://x:99999", "not an address"),
        (BaseUrl(), 5, "must be text"),
        (BaseUrl(), "", "is empty"),
        (Version(), "2026-5-15", "not a version"),
        (Version(), "2026-05-15\n", "not a version"),
        (Version(), None, "not a version"),
        (Listen(), "8787", "not HOST:PORT"),
        (Listen(), "127.0.0.1:99999", "not HOST:PORT"),
        (Listen(), "::1:80", "not HOST:PORT"),
        (Listen(), "[zz]:80", "not HOST:PORT"),
        (Listen(), 8787, "not HOST:PORT"),
        (ANY_AFTER, "move", "write move:DIR"),
        (ANY_AFTER, "move:", "write move:DIR"),
        (ANY_AFTER, "delte", "did you mean delete"),
        (ANY_AFTER, "keep:x", "not one of keep, move:DIR, delete"),
        (ANY_AFTER, "move:a\nb", "control characters"),
        (ANY_AFTER, {"move": "x"}, "not one of"),
        (After((AfterKind.KEEP, AfterKind.MOVE)), "delete", "not one of keep, move:DIR"),
        (Pattern(), "# comment", "can match nothing"),
        (Pattern(), "!", "not a pattern"),
        (Pattern(), "a\\", "not a pattern"),
        (Pattern(), 5, "must be text"),
        (FolderName(), "a/b", "cannot be a name"),
        (FolderName(), " a", "cannot be a name"),
        (FolderName(), "a\0", "control characters"),
        (FolderName(), "x" * 101, "at most 100"),
        (FolderName(), "\ud800", "control characters"),
    ],
)
def test_wrong_values_are_told_with_what_would_be_right(kind: Kind, written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind.read(written, ROOT)


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ValueError, match="without") as caught:
        BaseUrl().read("https://user:hunter2@api.aurous-labs.com", ROOT)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "plain", "{relpath}", "{{name}}", "{{{name}}}", "a{stem}b{parent}{folder}"])
def test_placeholders_and_doubled_braces_are_right(text: str) -> None:
    assert placeholder_mistake(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{x}", '"{x}" is no placeholder'),
        ("{}", '"{}" is no placeholder'),
        ("{0}", "is no placeholder"),
        ("{name!r}", '"{name!r}" is no placeholder'),
        ("{name:}", '"{name:}" is no placeholder'),
        ("{name.x}", "is no placeholder"),
        ("{ name }", "is no placeholder"),
        ("{", "lone brace"),
        ("a}", "lone brace"),
        ("{name}}", "lone brace"),
        ("{{name}", "lone brace"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_wrong_placeholders_are_told(text: str, said: str) -> None:
    assert said in (placeholder_mistake(text) or "")


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": b"bytes"},
        {"a": {1: 2}},
        {"\n": 1},
        {"a": "x" * MOST_BYTES},
        {"a": Path("x")},
    ],
)
def test_metadata_is_a_json_object_of_a_limited_size(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's own error is one
        MetadataTemplate().read(value, ROOT)


def test_metadata_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(ValueError, match="deep"):
        MetadataTemplate().read(endless, ROOT)


def test_metadata_may_hold_every_json_value() -> None:
    value = {"a": [1, 2.5, True, None, {"b": "ü{relpath}"}]}
    assert MetadataTemplate().read(value, ROOT) == value

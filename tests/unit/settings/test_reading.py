from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestor.settings.reading import FILE_BYTES, read_value, read_yaml

Mistake = Callable[[str], str]


def read(text: str) -> tuple[Any, list[str]]:
    layer, problems = read_yaml(text.encode(), "FILE")
    return (layer and layer.data), [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-3", -3),
        ("1.5", 1.5),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-05-15", "2026-05-15"),
        (".inf", ".inf"),
        ("=", "="),
        ("!!str 5", "5"),
        ("'5'", "5"),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
    ],
)
def test_scalars_are_read_as_json_reads_them_and_as_text_else(text: str, value: Any) -> None:
    assert read_value(text) == value


def test_each_key_and_value_has_its_line() -> None:
    layer, problems = read_yaml("# é\r\na:\r\n  b: 1\r\n  c:\r\n    - x\r\n    - y\r\n".encode(), "FILE")
    assert layer is not None
    assert not problems
    assert layer.keys[("a",)].line == 2
    assert layer.values[("a",)].line == 3
    assert layer.keys[("a", "c")].line == 4
    assert layer.values[("a", "c", 1)].line == 6


def test_a_byte_order_mark_is_no_mistake() -> None:
    layer, problems = read_yaml(b"\xef\xbb\xbfa: 1\n", "FILE")
    assert layer is not None
    assert (layer.data, layer.keys[("a",)].line, problems) == ({"a": 1}, 1, [])


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    assert read(text) == ({}, [])


def test_a_duplicate_key_names_both_lines_and_the_first_counts() -> None:
    assert read("a:\n  b: 1\n  c: 2\n  b: 3\n") == (
        {"a": {"b": 1, "c": 2}},
        ["FILE:4: a.b: is written twice; the first is on line 2; keep one of the two"],
    )


def test_a_merged_mapping_gives_way_to_own_keys() -> None:
    data, problems = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: &c {<<: *a, y: 4}\nd: {y: 5, <<: *c}\n")
    assert not problems
    assert data["b"] == {"x": 1, "y": 3}
    assert data["d"] == {"x": 1, "y": 5}


def test_keys_that_two_merged_mappings_both_have_are_duplicates() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2}\nc: {<<: [*a, *b]}\n"
    assert read(text)[1] == ["FILE:2: c.x: is written twice; the first is on line 1; keep one of the two"]


def test_a_second_merge_key_is_a_duplicate() -> None:
    text = "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n"
    assert read(text)[1] == ["FILE:5: c.<<: is written twice; the first is on line 4"]


def test_only_mappings_can_be_merged() -> None:
    assert read("a:\n  <<: 5\n")[1] == ["FILE:2: a.<<: can only bring in a mapping; write `<<: *name`"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n\tb: 2\n", "FILE:2: is not valid YAML: a tab; indent with spaces"),
        ("a: 1\nb: c: d\n", "FILE:2: is not valid YAML: a colon where none can be"),
        ("a: [1, 2\nb: 3\n", "FILE:2: is not valid YAML: a list whose closing bracket or a comma is missing"),
        ("a: {b: 1\n", "FILE:2: is not valid YAML: a mapping whose closing brace or a comma is missing"),
        ("a: 'x\n", "FILE:2: is not valid YAML: a text whose closing quote is missing"),
        ("a:\n   b: 1\n  c: 2\n", "FILE:3: is not valid YAML: indented differently from the lines above"),
        ("a: 1\n---\nb: 2\n", "FILE:2: is not valid YAML: a second document"),
        ("a: *b\n", "FILE:1: is not valid YAML: an alias"),
        ("a: *.jpg\n", "FILE:1: is not valid YAML:"),
        ("a: @x\n", "FILE:1: is not valid YAML: a character that no text can start with"),
        ("a: 1\nb: \x01\n", "FILE:2: is not valid YAML: a control character"),
        ('a: "\\UFFFFFFFF"\n', "FILE:1: is not valid YAML:"),
        ("[" * 5000, "FILE:1: is not valid YAML: nested too deeply"),
    ],
)
def test_text_that_is_no_yaml_is_told_with_its_line_and_a_cure(text: str, said: str) -> None:
    data, problems = read(text)
    assert data is None
    assert problems[0].startswith(said), problems


def test_bytes_that_are_not_utf_8_are_told_with_their_line() -> None:
    layer, problems = read_yaml("a: 1\nb: é\n".encode("latin-1"), "FILE")
    assert layer is None
    assert [str(problem) for problem in problems] == ["FILE:2: a character that is not UTF-8; save the file as UTF-8"]


def test_a_huge_file_is_refused_unread() -> None:
    layer, problems = read_yaml(b"#" * (FILE_BYTES + 1), "FILE")
    assert layer is None
    assert "is larger than" in str(problems[0])


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 12)]
    data, problems = read("\n".join(lines))
    assert data is None
    assert "aliases counted" in problems[0]


def test_a_bomb_of_merges_is_refused() -> None:
    lines = ["a0: &a0 {}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 30)]
    data, problems = read("\n".join(lines))
    assert data is None
    assert "aliases counted" in problems[0]


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a\n  <<: *a\n", "a: " + "[" * 60 + "]" * 60])
def test_what_contains_itself_or_is_too_deep_is_refused(text: str) -> None:
    data, problems = read(text)
    assert data is None
    assert "nested too deeply" in problems[0]


@pytest.mark.parametrize("value", ["!!binary aGk=", "!!python/name:os.system x", "!mine x", "!!int abc", "!!set {a}"])
def test_tags_are_refused_and_the_rest_is_read(value: str) -> None:
    data, problems = read(f"a: 1\nb: {value}\n")
    assert data == {"a": 1}
    assert problems[0].startswith("FILE:2: b: the tag ")


@pytest.mark.parametrize("key", ["5", "true", "[x]", "{x: 1}", "~"])
def test_keys_are_text(key: str) -> None:
    data, problems = read(f"? {key}\n: 1\n")
    assert data == {}
    assert "cannot be a key; put it in quotes" in problems[0]


def test_a_number_that_is_too_long_is_refused() -> None:
    assert read("a: " + "9" * 5000)[1] == ["FILE:1: a: a number of 5000 characters; put it in quotes if it is text"]


@pytest.mark.parametrize("text", ["[1]", "hello", "5"])
def test_settings_are_a_mapping(text: str) -> None:
    data, problems = read(text)
    assert data is None
    assert problems[0].startswith("FILE:1: the settings must be `key: value` lines")


@pytest.mark.parametrize("line", ["# al_live_abcdefgh1234", "log: al_live_abcdefgh1234", 'x: "og_abcdefgh12345678901"'])
def test_an_api_key_anywhere_is_refused_and_never_shown(line: str, mistake: Mistake, file: Any) -> None:
    mistakes = file.write(f"drain: 5s\n{line}\n").mistakes()
    assert mistakes[0].startswith("FILE:2: this looks like an API key")
    assert not any("abcdefgh" in one for one in mistakes)


def test_words_that_only_start_like_a_key_are_no_keys(file: Any) -> None:
    file.write("manifest: og_image.jsonl\nledger: blog_abcdefghijklmnopqrstuv.db\n").load()

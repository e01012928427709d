from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.model import DoneAs, Lane
from ingestor.observe.cleaning import (
    MAX_CHARACTERS,
    clean,
    clean_facts,
    clean_text,
    fault_chain,
    forget_secrets,
    redact,
    rfc3339,
)

SECRETS = {
    "live key": ("al_live_9f8e7d6c5b4a", "9f8e7d6c5b4a"),
    "live key that looks like a file": ("al_live_9f8e7d6c5b4a.png", "9f8e7d6c5b4a"),
    "old key": ("og_9f8e7d6c5b4a", "9f8e7d6c5b4a"),
    "bearer": ("Authorization: Bearer 9f8e.7d6c", "9f8e"),
    "bearer in lower case": ("authorization=bearer 9f8e7d", "9f8e7d"),
    "bearer in a URL": ("Bearer%209f8e7d", "9f8e7d"),
    "basic": ("Authorization: Basic OWY4ZTdkOg==", "OWY4ZTdkOg"),
    "header": ("X-Api-Key: 9f8e7d", "9f8e7d"),
    "header in a dict": ("{'X-Api-Key': '9f8e7d'}", "9f8e7d"),
    "header as bytes": ("(b'x-api-key', b'9f8e7d')", "9f8e7d"),
    "header in JSON": ('{"x-api-key":"9f8e7d"}', "9f8e7d"),
    "environment": ("AUROUS_API_KEY=9f8e7d", "9f8e7d"),
    "signed URL": ("https://files.test/a.png?X-Amz-Signature=9f8e7d&X-Amz-Expires=3600", "9f8e7d"),
    "signed URL with a fragment": ("https://files.test/a.png#9f8e7d", "9f8e7d"),
    "query alone": ("/v1/files/x?expires=1&signature=9f8e7d", "9f8e7d"),
    "query of another cloud": ("a?X-Goog-Signature=9f8e7d", "9f8e7d"),
    "short query": ("GET /a?sig=9f8e7d", "9f8e7d"),
    "user in a URL": ("https://user:9f8e7d@files.test/", "9f8e7d"),
    "odd password in a URL": ("postgresql://u:9f8e?7d#6c/5b@db/ingestor", "9f8e"),
}


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("frame", ["{}", "refused: {}, try again", "«{}»", 'said "{}"', "({})", "a\n{}\nb"])
def test_no_known_shape_of_a_secret_is_shown(text: str, secret: str, frame: str) -> None:
    assert secret not in clean_text(frame.format(text))


def test_the_word_that_led_to_a_secret_stays() -> None:
    assert clean_text("X-Api-Key: abc was refused") == "X-Api-Key: … was refused"
    assert clean_text("GET https://h.test/v1/files?sig=abc failed") == "GET https://h.test/v1/files?… failed"


@pytest.mark.parametrize(
    "text",
    [
        "og_image.jpg",
        "press/og_image_large_2024.png",
        "a dog_food_is_very_good.webp",
        "https://api.aurous-labs.com/v1/files",
        "the environment variable AUROUS_API_KEY is not set",
        "file_01HQABCDEFGHJKMNPQRSTVWXYZ",
        "Grüße/写真.jpg",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert clean_text(text) == text


@given(before=st.text(), after=st.text())
def test_the_given_secret_is_never_shown_whatever_stands_around_it(before: str, after: str) -> None:
    forget_secrets()
    redact("k3y+of/no shape")
    shown = json.dumps(clean({"path": before + "k3y+of/no shape" + after}), ensure_ascii=False)
    assert "k3y+of/no shape" not in shown


def test_a_secret_is_known_in_the_spelling_of_urls_and_of_json() -> None:
    redact('se"cret/+1')
    assert clean_text("a?k=se%22cret/%2B1") == "a?k=…"
    assert clean_text("a?k=se%22cret%2F%2B1") == "a?k=…"
    assert clean_text('{"k": "se\\"cret/+1"}') == '{"k": "…"}'


def test_what_is_too_short_to_be_a_secret_is_not_taken_for_one() -> None:
    for short in (None, "", "  ", "jpg"):
        redact(short)
    assert clean_text("a.jpg") == "a.jpg"


@given(st.text(st.characters(codec=None, categories=None)))
def test_every_text_becomes_one_line_that_utf_8_can_carry(text: str) -> None:
    cleaned = clean_text(text)
    assert len(cleaned.splitlines()) <= 1
    assert len(cleaned.encode()) <= 4 * MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("a\tb", "a\\tb"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_written_out(text: str, shown: str) -> None:
    assert clean_text(text) == shown


def test_a_text_without_end_is_cut() -> None:
    assert len(clean_text("a" * 1_000_000)) == MAX_CHARACTERS


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class _Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (DoneAs.UPLOADED, "uploaded"),
        (Lane.RENEWAL, 1),
        (Path("/a/b"), "/a/b"),
        (b"caf\xe9", "caf\\xe9"),
        (bytearray(b"x"), "x"),
        (ValueError("a\nb"), "ValueError: a\\nb"),
        (("resized", "webp"), ["resized", "webp"]),
        ({"a": {"b": ["og_9f8e7d6c5b4a"]}}, {"a": {"b": ["og_…"]}}),
        (_Unspeakable(), "<_Unspeakable>"),
        (_Silent(), "_Silent: <_Silent>"),
        (datetime(2026, 11, 24, 10, 0, 2, tzinfo=UTC), "2026-11-24T10:00:02.000Z"),
    ],
)
def test_every_value_becomes_json(value: object, cleaned: object) -> None:
    assert clean(value) == cleaned
    json.dumps(clean(value), allow_nan=False)


def test_a_value_that_contains_itself_comes_to_an_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    json.dumps(clean(endless))


@pytest.mark.parametrize("name", ["api_key", "X-Api-Key", "authorization", "Authorization", "token", "password"])
def test_what_is_named_like_a_secret_is_hidden_whole(name: str) -> None:
    assert clean_facts({name: "plain words"}) == {name: "…"}
    assert clean_facts({"headers": {name: "plain words"}})["headers"] == {name: "…"}


def test_the_idempotency_key_is_no_secret() -> None:
    assert clean_facts({"key": "ing1-" + "ab" * 32}) == {"key": "ing1-" + "ab" * 32}


def test_an_instant_is_told_in_utc_whatever_its_zone() -> None:
    there = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 11, 24, 12, 0, tzinfo=there)) == "2026-11-24T10:00:00.000Z"
    assert rfc3339(datetime(2026, 11, 24, 10, 0)) == "2026-11-24T10:00:00.000Z"  # noqa: DTZ001


def test_a_fault_tells_its_calls_and_its_cause_on_one_line() -> None:
    def inner() -> None:
        raise ValueError("key al_live_123456\nrefused")

    try:
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        told = fault_chain(error)
    outer, cause = told.split(" <- ")
    assert outer.endswith(": RuntimeError: outer")
    assert cause.endswith(" inner: ValueError: key al_live_…\\nrefused")
    assert "123456" not in told


def test_a_fault_that_was_never_raised_has_no_calls() -> None:
    assert fault_chain(ValueError("x")) == "-: ValueError: x"

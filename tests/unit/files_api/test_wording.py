from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.files_api.wording import MAX_CHARACTERS, plain

SECRET = "S3cretSECRETs3cret"


@pytest.mark.parametrize(
    "text",
    [
        f"the key al_live_{SECRET} is not known",
        f"key=al_live_{SECRET}&x=1",
        f"my_al_live_{SECRET}",
        f"the key al_test_{SECRET}",
        f"the older og_{SECRET}, that is",
        f'"og_{SECRET}"',
        f"Authorization: Bearer {SECRET}",
        f"authorization: bearer\t{SECRET}",
        f"Basic {SECRET}==",
        f"X-Api-Key: {SECRET}",
        f"x-api-key={SECRET}",
        f'{{"X-Api-Key": "{SECRET}"}}',
        f"see https://files.example.com/f?token={SECRET}",
        f"see HTTPS://files.example.com/f#{SECRET}",
        f"see https://user:{SECRET}@example.com/f",
        f"see https://user:{SECRET}@example.com/f?token={SECRET}",
        f"/signed/file_1?expires=5&token={SECRET}",
        f"X-Amz-Signature={SECRET}",
    ],
)
def test_no_secret_is_left(text: str) -> None:
    assert SECRET not in plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "Send your API key in X-Api-Key.",
        "the longest side is 5000 px, at most 4096 are taken",
        "og:image is no key",
        "see https://docs.aurous-labs.com/errors",
        "a token is missing",
    ],
)
def test_words_without_secrets_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


def test_the_rest_of_a_sentence_stays() -> None:
    assert plain("no al_live_abc here: https://h/p?t=1 end") == "no al_live_… here: https://h/p?… end"


def test_it_is_one_line() -> None:
    assert plain("a\r\nb\tc\x00d\u2028e\x1b[31m\ud800\u202ef ") == "a b c d e [31m f"


def test_it_is_cut_short() -> None:
    assert plain("x" * 10_000) == "x" * (MAX_CHARACTERS - 1) + "…"


@given(st.text(max_size=2000))
def test_whatever_comes_is_short_and_can_be_written(text: str) -> None:
    told = plain(text)
    assert len(told) <= MAX_CHARACTERS
    assert told.encode().decode() == told
    assert len(told.splitlines()) <= 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_key_never_survives_whatever_is_around_it(before: str, after: str) -> None:
    if before and before[-1].isascii() and before[-1].isalnum():
        before += " "
    assert SECRET not in plain(f"{before}al_live_{SECRET}{after}")

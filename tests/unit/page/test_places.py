from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.page.places import place_of, word_of

NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), NAMES)
def test_a_place_comes_back_whole_whatever_bytes_its_name_has(folder: str, path: str) -> None:
    word = word_of((folder, path))
    assert place_of(word) == (folder, path)
    assert word.replace("-", "").replace("_", "").isalnum() or not word
    assert word.isascii()


@pytest.mark.parametrize("word", ["", "%", "é", "YQ", "a", "YWJj", "YQBiAGM", "=", "YQBi/"])
def test_what_is_no_word_of_ours_names_nothing(word: str) -> None:
    with pytest.raises(ValueError, match="names no image"):
        place_of(word)

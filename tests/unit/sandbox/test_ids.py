import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.sandbox.ids import file_id, is_file_id, request_id, ulid


def test_files_and_requests_are_named_with_a_prefix_and_a_ulid():
    assert re.fullmatch(r"file_[0-7][0-9A-HJKMNP-TV-Z]{25}", file_id(1.8e9))
    assert re.fullmatch(r"req_[0-7][0-9A-HJKMNP-TV-Z]{25}", request_id(1.8e9))


def test_the_example_of_the_seed_page_could_be_a_file():
    assert is_file_id("file_01HXMQ7Z3K8Y2NABCDEFGHJKMN")


@given(st.floats(0, 1e11), st.floats(0.001, 1e9))
def test_names_sort_by_the_time_they_were_given(at, later):
    assert ulid(at)[:10] <= ulid(at + later)[:10]
    assert is_file_id(file_id(at))


def test_two_names_of_one_instant_differ():
    assert len({ulid(1.8e9) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file_",
        "file_01HXMQ7Z3K8Y2NABCDEFGHJKM",
        "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN\n",
        "file_91HXMQ7Z3K8Y2NABCDEFGHJKMN",
        "file_01hxmq7z3k8y2nabcdefghjkmn",
        "../../etc/passwd",
        "req_01HXMQ7Z3K8Y2NABCDEFGHJKMN",
    ],
)
def test_what_could_not_be_a_file_is_known_as_such(text):
    assert not is_file_id(text)

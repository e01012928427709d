from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.images.workers import wire

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), values, max_size=5))
def test_a_message_comes_out_as_it_went_in(message):
    one, other = socket.socketpair()
    with one, other:
        one.sendall(wire.pack(message))
        assert wire.receive(other) == message


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name))
def test_any_path_crosses_as_text(name):
    path = Path(os.fsdecode(b"/folder/" + name.replace(b"/", b"_")))
    assert wire.path_from_text(wire.path_to_text(path)) == path


def test_a_closed_channel_has_no_message():
    one, other = socket.socketpair()
    with other:
        one.sendall(wire.pack({"whole": True}) + wire.pack({"cut": True})[:-3])
        one.close()
        assert wire.receive(other) == {"whole": True}
        assert wire.receive(other) is None


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"{", b"\xff\xff", b""])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(ValueError, match=r"JSON|Expecting|decode"):
        wire.unpack(body)


def test_a_message_of_absurd_length_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="bytes"):
        wire.body_length(b"\x7f\xff\xff\xff")

import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.sandbox.errors import ApiError
from ingestor.sandbox.forms import (
    MAX_METADATA_CHARS,
    Part,
    purpose_and_metadata,
    read_form,
    read_metadata,
    take_apart,
    whole_body,
)
from tests.unit.sandbox.caller import BOUNDARY, Field, body_of, fields_of

TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name, content, filename=None, content_type=""):
    return Part(name=name, filename=filename, content_type=content_type, content=content)


def form(*fields):
    return take_apart(TYPE, body_of(fields))


def refusal(action, *arguments):
    with pytest.raises(ApiError) as caught:
        action(*arguments)
    assert (caught.value.status, caught.value.kind) == (400, "invalid_request")
    return caught.value.code, caught.value.param


# -- the body


def test_a_body_comes_apart_into_its_parts_in_order():
    body = body_of(fields_of(b"\xff\xd8 bytes\r\n", "last_frame", {"a": 1}))
    assert take_apart(TYPE, body) == [
        part("file", b"\xff\xd8 bytes\r\n", "image.jpg", "image/jpeg"),
        part("purpose", b"last_frame"),
        part("metadata", b'{"a": 1}'),
    ]


async def test_a_body_that_somebody_elses_client_wrote_comes_apart():
    written = aiohttp.FormData()
    written.add_field("file", b"\0\r\n--x", filename="ein Bild.png", content_type="image/png")
    written.add_field("purpose", "reference")
    payload = written()
    file, purpose = take_apart(payload.headers["Content-Type"], await payload.as_bytes())
    assert (file.name, file.content, file.content_type) == ("file", b"\0\r\n--x", "image/png")
    assert (purpose.name, purpose.text()) == ("purpose", "reference")


def test_a_buffer_comes_apart_as_bytes_do():
    body = body_of(fields_of(b"bytes"))
    assert take_apart(TYPE, bytearray(body)) == take_apart(TYPE, body)


def test_text_around_the_parts_and_white_space_after_a_boundary_do_no_harm():
    body = body_of(fields_of(b"bytes"))
    padded = body.replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \t\r\n")
    assert take_apart(TYPE, b"preamble\r\n" + padded + b"epilogue") == take_apart(TYPE, body)


def test_a_boundary_may_be_quoted_and_a_type_may_be_in_capitals():
    body = body_of(fields_of(b"bytes"), "a b?c")
    assert len(take_apart('Multipart/Form-Data; charset=utf-8; boundary="a b?c"', body)) == 2


def test_a_part_may_hold_what_looks_like_a_boundary_inside_a_line():
    inside = b"x--" + BOUNDARY.encode() + b"--"
    assert form(Field(name="file", content=inside))[0].content == inside


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", body_of(fields_of(b"x"))),
        ("application/json", b"{}"),
        ("multipart/form-data", body_of(fields_of(b"x"))),
        ("multipart/mixed; boundary=b", body_of(fields_of(b"x"), "b")),
        ("multipart/form-data; boundary=other", body_of(fields_of(b"x"))),
        (TYPE, b""),
        (TYPE, body_of(fields_of(b"x"))[:-4]),
        (TYPE, body_of(fields_of(b"x"))[:20]),
        (TYPE, b"--" + BOUNDARY.encode()),
        (TYPE, b"--" + BOUNDARY.encode() + b"x\r\n\r\n\r\n--" + BOUNDARY.encode() + b"--"),
        (TYPE, b"--" + BOUNDARY.encode() + b"\r\n--" + BOUNDARY.encode() + b"--"),
        (TYPE, b"--" + BOUNDARY.encode() + b"\r\n\r\nno name\r\n--" + BOUNDARY.encode() + b"--"),
        (
            TYPE,
            b"--" + BOUNDARY.encode() + b"\r\nContent-Disposition: form-data; name=x\r\n--" + BOUNDARY.encode() + b"--",
        ),
        (TYPE, body_of(fields_of(b"x")).replace(b"form-data; name", b"attachment; name")),
        (TYPE, body_of(fields_of(b"x")).replace(b"\r\n", b"\n")),
    ],
)
def test_a_body_that_is_no_form_is_refused(content_type, body):
    assert refusal(take_apart, content_type, body) == ("invalid_format", None)


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(
    st.lists(
        st.builds(Field, name=names, content=st.binary(max_size=60), filename=st.none() | names),
        min_size=1,
        max_size=5,
    ),
    st.text("abcdefXYZ0123'()+_,-./:=?", min_size=1, max_size=70),
)
def test_whatever_is_put_into_a_form_comes_out_of_it(fields, boundary):
    line = b"--" + boundary.encode()
    if any(line in field.content for field in fields):
        return
    parts = take_apart(f'multipart/form-data; boundary="{boundary}"', body_of(fields, boundary))
    assert [(part.name, part.filename, part.content) for part in parts] == [
        (field.name, field.filename, field.content) for field in fields
    ]


@given(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [b"--b", b"\r\n", b"--", b"name", b'Content-Disposition: form-data; name="a"', b":", b"\xff", b"x"]
        )
    ),
)
def test_no_header_and_no_body_is_an_accident(content_type, pieces):
    def outcome(header):
        try:
            return len(take_apart(header, b"".join(pieces)))
        except ApiError as error:
            return error.code

    for header in (content_type, "multipart/form-data; boundary=b"):
        assert outcome(header) in {"invalid_format", *range(len(pieces))}


# -- the fields


def test_a_form_is_read_into_its_three_fields_and_others_are_nobodys_business():
    read = read_form(form(*fields_of(b"bytes", "first_frame", {"a": [1, None]}), Field(name="else", content=b"?")))
    assert (read.content, read.purpose, read.metadata) == (b"bytes", "first_frame", {"a": [1, None]})


def test_metadata_may_be_left_out():
    assert read_form(form(*fields_of(b"bytes"))).metadata is None


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (fields_of(None), ("missing_field", "file")),
        (fields_of(b"x", None), ("missing_field", "purpose")),
        (fields_of(b"x", filename=None), ("invalid_format", "file")),
        (fields_of(b"x", ""), ("invalid_format", "purpose")),
        (fields_of(b"x", "Reference"), ("invalid_format", "purpose")),
        (fields_of(b"x", "thumbnail"), ("invalid_format", "purpose")),
        (fields_of(b"x") + fields_of(b"y", None), ("invalid_format", "file")),
        (fields_of(b"x") + fields_of(None), ("invalid_format", "purpose")),
        (fields_of(b"x", metadata="{}") + fields_of(None, None, "{}"), ("invalid_format", "metadata")),
        ([*fields_of(b"x", None), Field(name="purpose", content=b"\xff")], ("invalid_format", "purpose")),
        ([*fields_of(b"x"), Field(name="metadata", content=b"\xff")], ("invalid_format", "metadata")),
        (fields_of(b"x", metadata="[]"), ("invalid_format", "metadata")),
    ],
)
def test_a_form_is_refused_with_the_name_of_the_field_at_fault(fields, refused):
    assert refusal(read_form, form(*fields)) == refused


@pytest.mark.parametrize(
    "text",
    ["", "<string>", "null", "1", '"{}"', "[{}]", "{", "{'a': 1}", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}',
     '{"a": ' * 5000 + "1" + "}" * 5000, '{"a": ' + "9" * 5000 + "}"],
)  # fmt: skip
def test_metadata_that_is_no_json_object_is_refused(text):
    assert refusal(read_metadata, text) == ("invalid_format", "metadata")


def test_metadata_has_a_limit_of_length():
    longest = json.dumps({"a": "x" * (MAX_METADATA_CHARS - len('{"a": ""}'))})
    assert read_metadata(longest).keys() == {"a"}
    assert refusal(read_metadata, longest + " ") == ("value_out_of_range", "metadata")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_object_is_metadata(value):
    assert read_metadata(json.dumps(value)) == value


# -- digests of a body


def test_the_whole_body_is_compared_but_for_its_boundary():
    fields = fields_of(b"bytes", "reference", {"a": 1})
    ours = whole_body(form(*fields))
    assert ours == whole_body(take_apart("multipart/form-data; boundary=b", body_of(fields, "b")))


@pytest.mark.parametrize(
    "other",
    [
        fields_of(b"other", "reference", {"a": 1}),
        fields_of(b"bytes", "last_frame", {"a": 1}),
        fields_of(b"bytes", "reference", {"a": 2}),
        fields_of(b"bytes", "reference", '{"a":1}'),
        fields_of(b"bytes", "reference"),
        fields_of(b"bytes", "reference", {"a": 1}, filename="other.jpg"),
        fields_of(b"bytes", "reference", {"a": 1}, content_type="image/png"),
        fields_of(b"bytes", "reference", {"a": 1})[::-1],
    ],
)
def test_another_body_has_another_digest(other):
    assert whole_body(form(*other)) != whole_body(form(*fields_of(b"bytes", "reference", {"a": 1})))


def test_the_seed_page_compares_purpose_and_metadata_alone():
    ours = purpose_and_metadata(form(*fields_of(b"bytes", "reference", '{"a": 1, "b": 2}')))
    same = [
        fields_of(b"other", "reference", '{"b":2,"a":1}', filename="x.png"),
        fields_of(b"other", "reference", '{"b":2,"a":1}')[::-1],
    ]
    others = [
        fields_of(b"bytes", "last_frame", '{"a": 1, "b": 2}'),
        fields_of(b"bytes", "reference", '{"a": 1}'),
        fields_of(b"bytes", "reference"),
        fields_of(b"bytes", "reference", "no JSON"),
    ]
    assert {purpose_and_metadata(form(*fields)) for fields in same} == {ours}
    assert ours not in {purpose_and_metadata(form(*fields)) for fields in others}

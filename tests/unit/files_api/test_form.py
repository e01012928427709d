from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor.files_api.form import form_of
from ingestor.model import IdempotencyKey, Lane, Purpose
from tests.api_kit import CONTENT, an_upload
from tests.raw_server import Request


def whole(folder: Path, **changes: Any) -> bytes:
    form = form_of(an_upload(folder, **changes))
    return form.head + CONTENT + form.tail


def test_the_body_is_these_very_bytes(tmp_path: Path) -> None:
    key = IdempotencyKey("ing1-" + "a" * 64)
    boundary = "ingestor-" + hashlib.sha256(key.encode()).hexdigest()[:40]
    expected = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="image.jpg"\r\n'
        "Content-Type: image/jpeg\r\n"
        "\r\n"
        "eleven byte\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="purpose"\r\n'
        "\r\n"
        "first_frame\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="metadata"\r\n'
        "\r\n"
        '{"a":[1,2.5,null],"b":"ü"}\r\n'
        f"--{boundary}--\r\n"
    ).encode()
    metadata = {"b": "ü", "a": [1, 2.5, None]}
    assert whole(tmp_path, key=key, purpose=Purpose.FIRST_FRAME, metadata=metadata) == expected


def test_without_metadata_there_is_no_such_field(tmp_path: Path) -> None:
    assert b'name="metadata"' not in whole(tmp_path, metadata={})


@pytest.mark.parametrize(
    ("mime_type", "name"), [("image/png", "image.png"), ("image/jpeg", "image.jpg"), ("image/webp", "image.webp")]
)
def test_the_file_part_names_its_type(tmp_path: Path, mime_type: str, name: str) -> None:
    body = whole(tmp_path, mime_type=mime_type)
    assert f'filename="{name}"\r\nContent-Type: {mime_type}\r\n\r\n'.encode() in body


def test_the_size_is_that_of_the_whole_body(tmp_path: Path) -> None:
    request = an_upload(tmp_path, metadata={"a": "ü"})
    form = form_of(request)
    assert form.size_bytes == len(form.head) + len(CONTENT) + len(form.tail)


def test_nothing_in_the_body_depends_on_what_the_key_does_not_cover(tmp_path: Path) -> None:
    first = whole(tmp_path, lane=Lane.FRESH)
    other = tmp_path / "other name.jpg"
    other.write_bytes(CONTENT)
    assert whole(tmp_path, file=other, lane=Lane.BACKFILL) == first


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text("abcdef0123456789", min_size=1, max_size=70),
    st.sampled_from(Purpose),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4),
)
def test_the_standard_library_reads_the_same_parts_back(
    tmp_path: Path, key: str, purpose: Purpose, metadata: dict[str, str]
) -> None:
    import json

    request = an_upload(tmp_path, key=IdempotencyKey(key), purpose=purpose, metadata=metadata)
    form = form_of(request)
    parts = Request("POST", "/", {"content-type": form.content_type}, form.head + CONTENT + form.tail).parts()
    assert parts["file"][1] == CONTENT
    assert parts["purpose"][1] == purpose.value.encode()
    if metadata:
        assert json.loads(parts["metadata"][1]) == metadata
    else:
        assert "metadata" not in parts

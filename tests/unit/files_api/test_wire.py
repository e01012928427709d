from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.errors import ApiAnswerInvalid
from ingestor.files_api import wire
from ingestor.model import FileId, Purpose, RateHeaders
from tests.raw_server import FILE


def file_object(**changes: Any) -> bytes:
    return json.dumps({**FILE, **changes}).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in FILE.items() if name != field}).encode()


# -- the file object -------------------------------------------------------------------------------


def test_the_seed_pages_own_example_is_read() -> None:
    body = b"""{
      "id": "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", "object": "file", "purpose": "reference", "mime_type": "image/jpeg",
      "size_bytes": 1247892, "width_px": 1024, "height_px": 768, "url": "https://...?token=...",
      "expires_at": "2026-05-04T14:00:00Z", "created_at": "2026-05-03T14:00:00Z",
      "metadata": {"campaign": "launch-2026"}}"""
    file = wire.remote_file(body, replayed=True, request_id="req_1")
    assert file.receipt.file_id == "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN"
    assert file.receipt.purpose is Purpose.REFERENCE
    assert (file.receipt.size_bytes, file.receipt.width_px, file.receipt.height_px) == (1247892, 1024, 768)
    assert file.receipt.created_at == datetime(2026, 5, 3, 14, tzinfo=UTC)
    assert file.receipt.expires_at == datetime(2026, 5, 4, 14, tzinfo=UTC)
    assert (file.receipt.replayed, file.receipt.request_id) == (True, "req_1")
    assert file.url == "https://...?token=..."
    assert "token" not in repr(file)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-05-04T14:00:00.5Z", datetime(2026, 5, 4, 14, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-05-04t14:00:00z", datetime(2026, 5, 4, 14, tzinfo=UTC)),
        ("2026-05-04 16:30:00+02:30", datetime(2026, 5, 4, 14, tzinfo=UTC)),
        ("2026-05-04T14:00:00.123456789Z", datetime(2026, 5, 4, 14, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_every_rfc_3339_instant_is_read_as_utc(written: str, instant: datetime) -> None:
    receipt = wire.remote_file(file_object(expires_at=written), replayed=False, request_id=None).receipt
    assert receipt.expires_at == instant
    assert receipt.expires_at.tzinfo is UTC


@pytest.mark.parametrize("field", list(FILE))
def test_a_file_object_that_lacks_a_field_is_none(field: str) -> None:
    with pytest.raises(ApiAnswerInvalid, match=f"`{field}` is missing") as caught:
        wire.remote_file(without(field), replayed=False, request_id=None)
    assert caught.value.code == f"answer_{field}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "01HXMQ7Z3K8Y2NABCDEFGHJKMN"),
        ("id", "file_../../x"),
        ("id", "file_a\n"),
        ("id", "file_"),
        ("id", 5),
        ("object", "image"),
        ("purpose", "refrence"),
        ("purpose", None),
        ("mime_type", "image/gif"),
        ("size_bytes", 0),
        ("size_bytes", -1),
        ("size_bytes", 1.5),
        ("size_bytes", "11"),
        ("size_bytes", True),
        ("width_px", None),
        ("height_px", [1]),
        ("url", "ftp://x"),
        ("url", {}),
        ("created_at", "yesterday"),
        ("created_at", "2026-05-04T14:00:00"),
        ("expires_at", "2026-13-04T14:00:00Z"),
        ("expires_at", "2026-05-04T14:00:00+99:00"),
        ("expires_at", 1_777_000_000),
        ("metadata", "text"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_name_and_without_its_value(field: str, value: Any) -> None:
    with pytest.raises(ApiAnswerInvalid, match=f"`{field}` ") as caught:
        wire.remote_file(file_object(**{field: value}), replayed=False, request_id=None)
    assert "s3cret" not in str(caught.value)


def test_whole_numbers_may_be_written_as_floats() -> None:
    receipt = wire.remote_file(file_object(size_bytes=11.0), replayed=False, request_id=None).receipt
    assert (receipt.size_bytes, type(receipt.size_bytes)) == (11, int)


@pytest.mark.parametrize("metadata", [None, {}, {"a": 1}])
def test_echoed_metadata_may_be_there_or_not(metadata: Any) -> None:
    assert wire.remote_file(file_object(metadata=metadata), replayed=False, request_id=None)


NOT_JSON_OBJECTS = [
    b"",
    b"   ",
    b"<html><body>Bad Gateway</body></html>",
    b'{"id": "file_1"',
    b'{"id": NaN}',
    b'{"a": Infinity}',
    b"[]",
    b'"file_1"',
    b"null",
    b"5",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize("body", NOT_JSON_OBJECTS, ids=range(len(NOT_JSON_OBJECTS)))
def test_what_is_no_json_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(ApiAnswerInvalid, match=r"not JSON|not a JSON object"):
        wire.remote_file(body, replayed=False, request_id=None)


@given(
    st.dictionaries(st.sampled_from(list(FILE)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
)
def test_any_object_is_a_file_or_an_invalid_answer(changes: dict[str, Any]) -> None:
    try:
        file = wire.remote_file(file_object(**changes), replayed=False, request_id=None)
    except ApiAnswerInvalid:
        return
    assert file.receipt.size_bytes > 0


@given(st.binary(max_size=300))
def test_any_bytes_are_an_error_envelope_or_an_empty_one(body: bytes) -> None:
    envelope = wire.error_envelope(body)
    assert envelope.code is None or envelope.code


def test_a_deletion_must_say_so_of_this_very_file() -> None:
    file_id = FileId("file_1")
    wire.check_deleted(b'{"deleted": true, "id": "file_1", "object": "file"}', file_id)
    for body in (
        b"",
        b"{}",
        b'{"deleted": false, "id": "file_1"}',
        b'{"deleted": "true", "id": "file_1"}',
        b'{"deleted": true, "id": "file_2"}',
    ):
        with pytest.raises(ApiAnswerInvalid):
            wire.check_deleted(body, file_id)


@pytest.mark.parametrize("text", ["file_01HXMQ7Z3K8Y2NABCDEFGHJKMN", "file_a-b_c"])
def test_an_id_looks_like_file_and_more(text: str) -> None:
    assert wire.is_file_id(text)


@pytest.mark.parametrize("text", ["", "file_", "..", "file_/../x", "file_a/b", "file_ä", "file_a?x", "x" * 300])
def test_other_text_is_no_id(text: str) -> None:
    assert not wire.is_file_id(text)


# -- errors ----------------------------------------------------------------------------------------


def test_an_error_envelope_is_read_as_words() -> None:
    error = {
        "type": "invalid_request",
        "code": "value_out_of_range",
        "message": "too\nlarge for al_live_SECRETSECRET",
        "param": None,
        "doc_url": "https://d",
        "request_id": "req_1",
    }
    envelope = wire.error_envelope(json.dumps({"error": error}).encode())
    assert envelope == wire.ErrorEnvelope(
        type="invalid_request",
        code="value_out_of_range",
        message="too large for al_live_…",
        request_id="req_1",
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"error": "text"}', b'{"error": null}', b"[]", b'{"error": {"code": 5}}']
)
def test_what_is_no_envelope_says_nothing(body: bytes) -> None:
    assert wire.error_envelope(body) == wire.ErrorEnvelope()


# -- headers ---------------------------------------------------------------------------------------

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
DATE_EPOCH = datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp()


def test_rate_headers_are_read_as_numbers() -> None:
    headers = {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": " 0 ",
        "X-RateLimit-Reset": "1795514520",
        "Date": DATE,
    }
    assert wire.rate_headers(headers) == RateHeaders(
        limit=60, remaining=0, reset_at=1795514520.0, server_now=DATE_EPOCH
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "120", "Date": "now"},
        {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "1.5", "X-RateLimit-Reset": "1795514520000"},
        {"X-RateLimit-Limit": "٣", "X-RateLimit-Remaining": "9" * 30, "X-RateLimit-Reset": "-1", "Date": ""},
    ],
)
def test_odd_rate_headers_teach_nothing(headers: dict[str, str]) -> None:
    assert wire.rate_headers(headers) == RateHeaders()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("Tue, 24 Nov 2026 10:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 0.0),
        ("Tuesday, 24-Nov-26 10:00:30 GMT", 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(told: str, seconds: float) -> None:
    assert wire.retry_after_seconds({"Retry-After": told, "Date": DATE}) == seconds


@pytest.mark.parametrize("told", ["", "-5", "soon", "1e9", "٣", "5 minutes", "9" * 40, "Tue, 99 Foo 2026 10:00:30 GMT"])
def test_an_odd_retry_after_is_none(told: str) -> None:
    assert wire.retry_after_seconds({"Retry-After": told, "Date": DATE}) is None


def test_a_date_means_nothing_without_the_apis_own_date() -> None:
    assert wire.retry_after_seconds({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}) is None


@given(st.text(max_size=40))
def test_no_header_raises(text: str) -> None:
    wire.rate_headers(
        {"X-RateLimit-Limit": text, "X-RateLimit-Remaining": text, "X-RateLimit-Reset": text, "Date": text}
    )
    wire.retry_after_seconds({"Retry-After": text, "Date": DATE})


# -- metadata --------------------------------------------------------------------------------------


def test_metadata_is_canonical_json() -> None:
    assert (
        wire.metadata_text({"b": 1, "a": {"d": [True, None], "c": "ü"}})
        == '{"a":{"c":"ü","d":[true,null]},"b":1}'.encode()
    )
    assert wire.metadata_text({}) is None

"""JSON and headers of the Files API as values: strict where a receipt depends on it. CONTRACT.md, File object.

Nothing here does I/O; whatever does not fit raises `ApiAnswerInvalid` and names the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from ingestor.errors import ApiAnswerInvalid
from ingestor.files_api.wording import plain
from ingestor.model import FileId, Json, Metadata, Purpose, RateHeaders, Receipt, RemoteFile
from ingestor.policy.idempotency import canonical_json

MAX_ANSWER_BYTES: Final = 1_000_000
"""No answer of this API comes near it; a longer one is not read to its end."""

_ID = re.compile(r"file_[0-9A-Za-z_-]{1,200}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_MIME_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_PURPOSES = frozenset(purpose.value for purpose in Purpose)


# -- requests --------------------------------------------------------------------------------------


def metadata_text(metadata: Metadata) -> bytes | None:
    """The `metadata` field, spelled so that equal objects are equal bytes; None: no such field."""
    return canonical_json(dict(metadata)).encode() if metadata else None


def is_file_id(text: str) -> bool:
    """Whether this can be the id of a file; what cannot is never put into an address."""
    return _ID.fullmatch(text) is not None


# -- the file object -------------------------------------------------------------------------------


def json_object(body: bytes) -> Mapping[str, Json]:
    """The JSON object in a body of UTF-8."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiAnswerInvalid("the API's answer is not JSON") from None
    if not isinstance(value, dict):
        raise ApiAnswerInvalid("the API's answer is not a JSON object")
    return value


def remote_file(body: bytes, *, replayed: bool, request_id: str | None) -> RemoteFile:
    """The file object of an answer: every field that CONTRACT.md promises, or `ApiAnswerInvalid`."""
    answer = json_object(body)
    if _text(answer, "object") != "file":
        raise _wrong("object", 'is not "file"')
    receipt = Receipt(
        file_id=_file_id(answer),
        purpose=Purpose(_one_of(answer, "purpose", _PURPOSES)),
        mime_type=_one_of(answer, "mime_type", _MIME_TYPES),
        size_bytes=_whole(answer, "size_bytes"),
        width_px=_whole(answer, "width_px"),
        height_px=_whole(answer, "height_px"),
        created_at=_instant(answer, "created_at"),
        expires_at=_instant(answer, "expires_at"),
        replayed=replayed,
        request_id=request_id,
    )
    _optional_object(answer, "metadata")
    return RemoteFile(receipt=receipt, url=_url(answer))


def check_deleted(body: bytes, file_id: FileId) -> None:
    """Raises `ApiAnswerInvalid` unless the answer says that this very file is deleted."""
    answer = json_object(body)
    if answer.get("deleted") is not True:
        raise _wrong("deleted", "is not true")
    if answer.get("id") != file_id:
        raise _wrong("id", f"is not {file_id}")


def _wrong(field: str, what: str) -> ApiAnswerInvalid:
    return ApiAnswerInvalid(f"the API's answer is not a file object: `{field}` {what}", code=f"answer_{field}")


def _text(answer: Mapping[str, Json], field: str) -> str:
    if field not in answer:
        raise _wrong(field, "is missing")
    value = answer[field]
    if not isinstance(value, str):
        raise _wrong(field, f"is {_kind(value)}, not text")
    return value


def _one_of(answer: Mapping[str, Json], field: str, allowed: frozenset[str]) -> str:
    value = _text(answer, field)
    if value not in allowed:
        raise _wrong(field, f"is none of {', '.join(sorted(allowed))}")
    return value


def _file_id(answer: Mapping[str, Json]) -> FileId:
    value = _text(answer, "id")
    if not is_file_id(value):
        raise _wrong("id", "does not look like file_…")
    return FileId(value)


def _whole(answer: Mapping[str, Json], field: str) -> int:
    if field not in answer:
        raise _wrong(field, "is missing")
    value = answer[field]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(field, f"is {_kind(value)}, not a whole number")
    if value <= 0:
        raise _wrong(field, "is not above 0")
    return value


def _instant(answer: Mapping[str, Json], field: str) -> datetime:
    value = _text(answer, field)
    if not _RFC3339.fullmatch(value):
        raise _wrong(field, "is not an RFC 3339 instant with its offset")
    try:
        return datetime.fromisoformat(value.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong(field, "is not an instant that exists") from None


def _url(answer: Mapping[str, Json]) -> str:
    value = _text(answer, "url")
    if not value.startswith(("https://", "http://")):
        raise _wrong("url", "is not an http(s) address")
    return value


def _optional_object(answer: Mapping[str, Json], field: str) -> None:
    value = answer.get(field)
    if value is not None and not isinstance(value, dict):
        raise _wrong(field, f"is {_kind(value)}, not an object")


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _kind(value: Json) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "null")


# -- errors ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEnvelope:
    """`error` of a non-2xx answer; all None where a proxy answered its own way. CONTRACT.md, Errors."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    request_id: str | None = None


def error_envelope(body: bytes) -> ErrorEnvelope:
    """The envelope in a body; of HTML, nothing, or anything else: an empty one."""
    try:
        error = json_object(body).get("error")
    except ApiAnswerInvalid:
        return ErrorEnvelope()
    if not isinstance(error, dict):
        return ErrorEnvelope()
    return ErrorEnvelope(
        type=_word(error.get("type")),
        code=_word(error.get("code")),
        message=_word(error.get("message")),
        param=_word(error.get("param")),
        request_id=_word(error.get("request_id")),
    )


def _word(value: Json) -> str | None:
    return plain(value) or None if isinstance(value, str) else None


# -- headers ---------------------------------------------------------------------------------------


def rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """`X-RateLimit-*` and `Date`; what is missing or odd is None."""
    return RateHeaders(
        limit=_count(headers.get("X-RateLimit-Limit"), least=1),
        remaining=_count(headers.get("X-RateLimit-Remaining"), least=0),
        reset_at=_epoch(headers.get("X-RateLimit-Reset")),
        server_now=http_date(headers.get("Date")),
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` as seconds from now; a date is held against the answer's own `Date`."""
    told = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", told, re.ASCII):
        return float(told)
    until, now = http_date(told), http_date(headers.get("Date"))
    if until is None or now is None:
        return None
    return max(0.0, until - now)


def http_date(text: str | None) -> float | None:
    """Epoch seconds of an HTTP date; None where it is none."""
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _count(text: str | None, *, least: int) -> int | None:
    if text is None or not re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII):
        return None
    value = int(text)
    return value if value >= least else None


def _epoch(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{9,11}(\.\d{1,9})?\s*", text, re.ASCII):
        return None
    return float(text)

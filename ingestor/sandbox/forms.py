"""The upload's multipart body, taken apart (RFC 7578), and the three fields in it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from ingestor.sandbox.errors import ApiError, invalid_format, missing_field, out_of_range

PURPOSES = ("reference", "first_frame", "last_frame")
MAX_METADATA_CHARS = 65_536
"""The API states no limit; ours is far above any use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a form."""

    name: str
    filename: str | None
    content_type: str
    content: bytes

    def text(self) -> str:
        """The content as text. Raises ApiError."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise invalid_format(self.name, f"{self.name} is not UTF-8.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadForm:
    """What an upload asks for. `metadata` is None where none was sent."""

    content: bytes
    purpose: str
    metadata: dict[str, Any] | None


def take_apart(content_type: str, body: bytes | bytearray) -> list[Part]:
    """The parts in their order. Raises ApiError."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise invalid_format(None, "The body is not multipart/form-data with a boundary.")
    line = b"--" + boundary.encode("utf-8", "surrogateescape")
    return [_part(body, start, end) for start, end in _spans(body, line)]


def _spans(body: bytes | bytearray, line: bytes) -> Iterator[tuple[int, int]]:
    """Where each part starts and ends: between the lines of the boundary, up to the closing one."""
    delimiter = b"\r\n" + line
    at = 0 if body.startswith(line) else body.find(delimiter)
    while at >= 0:
        after = body.index(line, at) + len(line)
        if body.startswith(b"--", after):
            return
        # RFC 2046 lets white space stand between a delimiter and its line's end.
        end_of_line = body.find(b"\r\n", after)
        at = body.find(delimiter, end_of_line) if end_of_line >= 0 else -1
        if at < 0 or body[after:end_of_line].strip(b" \t"):
            break
        yield end_of_line + 2, at
    raise invalid_format(None, "The multipart body is malformed, or ends before its closing boundary.")


def _part(body: bytes | bytearray, start: int, end: int) -> Part:
    blank_line = body.find(b"\r\n\r\n", start, end)
    headers = BytesHeaderParser().parsebytes(bytes(body[start : max(start, blank_line)]) + b"\r\n\r\n")
    name = headers.get_param("name", header="Content-Disposition")
    if blank_line < 0 or headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise invalid_format(None, "A part of the body has no name.")
    return Part(
        name=name,
        filename=headers.get_filename(),
        content_type=str(headers.get("Content-Type", "")),
        content=bytes(memoryview(body)[blank_line + 4 : end]),
    )


def read_form(parts: Sequence[Part]) -> UploadForm:
    """The three fields, each checked. Parts of other names are nobody's business. Raises ApiError."""
    file = _only(parts, "file")
    purpose = _only(parts, "purpose")
    metadata = _only(parts, "metadata")
    if file is None:
        raise missing_field("file")
    if file.filename is None:
        raise invalid_format("file", "file is no file: its part has no filename.")
    if purpose is None:
        raise missing_field("purpose")
    if purpose.text() not in PURPOSES:
        raise invalid_format("purpose", f"purpose is one of {', '.join(PURPOSES)}.")
    return UploadForm(
        content=file.content,
        purpose=purpose.text(),
        metadata=None if metadata is None else read_metadata(metadata.text()),
    )


def _only(parts: Sequence[Part], name: str) -> Part | None:
    found = [part for part in parts if part.name == name]
    if len(found) > 1:
        raise invalid_format(name, f"{name} came more than once.")
    return found[0] if found else None


def read_metadata(text: str) -> dict[str, Any]:
    """The object that the text writes in JSON. Raises ApiError."""
    if len(text) > MAX_METADATA_CHARS:
        raise out_of_range("metadata", f"metadata is longer than {MAX_METADATA_CHARS} characters.")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise invalid_format("metadata", "metadata is not JSON.") from error
    if not isinstance(value, dict):
        raise invalid_format("metadata", "metadata is not a JSON object.")
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def whole_body(parts: Sequence[Part]) -> str:
    """A digest of everything in the body but its boundary, which clients choose by chance."""
    digest = hashlib.sha256()
    for part in parts:
        for value in (part.name, part.filename or "", part.content_type):
            _add(digest, value.encode("utf-8", "surrogatepass"))
        _add(digest, part.content)
    return "body:" + digest.hexdigest()


def purpose_and_metadata(parts: Sequence[Part]) -> str:
    """A digest of what the seed page compares: not the image."""
    digest = hashlib.sha256()
    for name in ("purpose", "metadata"):
        for part in parts:
            if part.name == name:
                _add(digest, name.encode())
                _add(digest, _canonical(part))
    return "seed:" + digest.hexdigest()


def _canonical(part: Part) -> bytes:
    if part.name != "metadata":
        return part.content
    try:
        return json.dumps(read_metadata(part.text()), sort_keys=True).encode()
    except ApiError:
        return part.content


def _add(digest: Any, value: bytes) -> None:
    digest.update(len(value).to_bytes(8, "big"))
    digest.update(value)

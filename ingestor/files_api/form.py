"""The multipart body of an upload: the same bytes each time that it is sent. CONTRACT.md, Endpoints.

Built by hand, since a form of aiohttp can be sent once only and draws a new boundary each time; a retry must
send the very same body, because the API may compare it with the first one under the key.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ingestor.files_api import wire
from ingestor.model import UploadRequest

MAX_FILENAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What stands before and after the image's bytes."""

    boundary: str
    head: bytes
    tail: bytes
    size_bytes: int
    """Of the whole body."""

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"


def form_of(request: UploadRequest) -> Form:
    """The form around `request.size_bytes` bytes of image. The boundary comes from the key alone."""
    boundary = "ingestor-" + hashlib.sha256(request.key.encode()).hexdigest()[:40]
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{header_safe(request.filename)}"\r\n'
        f"Content-Type: {request.mime_type}\r\n\r\n"
    ).encode("ascii")
    tail = b"\r\n" + _field(boundary, "purpose", request.purpose.value.encode())
    metadata = wire.metadata_text(request.metadata)
    if metadata is not None:
        tail += _field(boundary, "metadata", metadata)
    tail += f"--{boundary}--\r\n".encode()
    return Form(boundary=boundary, head=head, tail=tail, size_bytes=len(head) + request.size_bytes + len(tail))


def _field(boundary: str, name: str, value: bytes) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode("ascii") + value + b"\r\n"


def header_safe(filename: str) -> str:
    """A name of plain ASCII that keeps its suffix: quotes, newlines, paths and foreign letters become `_`."""
    name = re.sub(r"[^A-Za-z0-9._()+-]", "_", filename)
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = name, ""
    tail = dot + suffix if suffix else ""
    return (stem[: MAX_FILENAME_CHARACTERS - len(tail)] or "image") + tail

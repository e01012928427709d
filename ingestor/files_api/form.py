"""The multipart body of an upload: the same bytes whenever the same key is sent. CONTRACT.md, Endpoints.

Built by hand, since a form of aiohttp can be sent once only and draws a new boundary each time; the API may compare
the whole body with the first one under the key. So nothing is in it that the key does not cover: the boundary comes
from the key, and the file name from the type. The source's own name must not be there, since the same bytes are found
again under another name (a copy, a rename, a ledger that was lost), and would be a conflict instead of a replay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ingestor.files_api import wire
from ingestor.model import UploadRequest

FILENAMES: Mapping[str, str] = MappingProxyType(
    {"image/png": "image.png", "image/jpeg": "image.jpg", "image/webp": "image.webp"}
)


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
        f'Content-Disposition: form-data; name="file"; filename="{FILENAMES[request.mime_type]}"\r\n'
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

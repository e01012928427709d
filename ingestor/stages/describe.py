"""What goes with the bytes: purpose, and metadata from the folder and the sidecar."""

from __future__ import annotations

import errno
import json
import os
import posixpath
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiofiles

from ingestor.disk import not_ready, open_regular, printable
from ingestor.errors import MetadataRejected
from ingestor.model import SIDECAR_SUFFIX, Content, Digest, Json, Metadata, SourceFile
from ingestor.policy.idempotency import canonical_json, content_id
from ingestor.settings import FolderSettings

MAX_SIDECAR_BYTES = 64_000
MAX_METADATA_BYTES = 16_000
# A name so long that its sidecar's would be too long has none.
_NO_SIDECAR = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_NOT_A_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(relpath|name|stem|parent|folder)\}")


async def describe(source: SourceFile, digest: Digest, folder: FolderSettings) -> Content:
    """The content to upload for a file.

    Raises `MetadataRejected`, which names the sidecar and the cure, and `SourceNotReady` where it cannot be read now.
    """
    metadata = {**fill(folder.metadata, source), **await _sidecar(source)}
    size = len(canonical_json(metadata).encode())
    if size > MAX_METADATA_BYTES:
        raise MetadataRejected(
            "metadata_too_large",
            f"{source.absolute}: its metadata is {size} bytes of JSON, at most {MAX_METADATA_BYTES} are sent; "
            "shorten the folder's `metadata` or the sidecar",
        )
    return Content(
        digest=digest,
        purpose=folder.purpose,
        metadata=metadata,
        content_id=content_id(digest, folder.purpose, metadata),
    )


def fill(template: Metadata, source: SourceFile) -> dict[str, Json]:
    """The folder's metadata with its placeholders filled in, in texts at any depth."""
    name = posixpath.basename(source.path)
    values = {
        "relpath": printable(source.path),
        "name": printable(name),
        "stem": printable(posixpath.splitext(name)[0]),
        "parent": printable(posixpath.basename(posixpath.dirname(source.path))),
        "folder": source.folder,
    }
    return {key: _filled(value, values) for key, value in template.items()}


def _filled(value: Json, values: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values[found[1]] if found[1] else found[0][0], value)
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, Mapping):
        return {key: _filled(item, values) for key, item in value.items()}
    return value


async def _sidecar(source: SourceFile) -> dict[str, Any]:
    path = Path(f"{source.absolute}{SIDECAR_SUFFIX}")
    try:
        os.lstat(path)  # most files have none, and a look costs a tenth of a hop to a thread
        # Not through a link: a sidecar must not be able to read what lies outside of the folder.
        async with aiofiles.open(path, "rb", opener=open_regular) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MetadataRejected("bad_sidecar", f"{path}: is not a regular file")
            text = await file.read(MAX_SIDECAR_BYTES + 1)
    except OSError as error:
        if error.errno in _NO_SIDECAR:
            return {}
        if error.errno in _NOT_A_FILE:
            raise MetadataRejected("bad_sidecar", f"{path}: is a symlink or a folder, not a regular file") from error
        raise not_ready(path, error) from error
    return _object(path, text)


def _object(path: Path, text: bytes) -> dict[str, Any]:
    if len(text) > MAX_SIDECAR_BYTES:
        raise MetadataRejected("bad_sidecar", f"{path}: larger than {MAX_SIDECAR_BYTES} bytes")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        canonical_json(value).encode()
    except (ValueError, RecursionError) as error:
        raise MetadataRejected("bad_sidecar", f"{path}: not JSON: {error}; it must be one object") from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise MetadataRejected("bad_sidecar", f"{path}: must be one JSON object, this is a {kind}")
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")

"""Rows to values and back, and the one spelling of a manifest line."""

from __future__ import annotations

import posixpath
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from ingestor.ledger.prepared import Prepared
from ingestor.ledger.schema import history
from ingestor.model import Event, FileIdentity, Lane, LedgerEntry, QueuedSource, SourceFile, SourceState, State

Place = tuple[str, str]
"""Folder and path."""

_TELL = Prepared(insert(history).inline())

VANISHED = "vanished"
"""The reason of a path whose file is not there any more."""


def split_path(path: str) -> tuple[str, str]:
    """`a/b/c.jpg` to (`a/b`, `c.jpg`); the directory of a file in the root is empty."""
    return posixpath.split(path)


def join_path(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def instant_text(instant: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second where there is no fraction."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def identity_of(row: Any) -> FileIdentity:
    return FileIdentity(
        device=row.device,
        inode=row.inode,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        ctime_ns=row.ctime_ns,
    )


def queued_source(row: Any) -> QueuedSource:
    source = SourceFile(
        folder=row.folder,
        root=Path(row.root),
        path=join_path(row.directory, row.name),
        identity=identity_of(row),
    )
    return QueuedSource(
        source=source, context=row.context, lane=Lane(row.lane), attempt=row.attempt, since=row.ready_at
    )


def ledger_entry(row: Any) -> LedgerEntry:
    """From a row of `sources` joined with `uploads`, the latter's columns prefixed `u_`."""
    state = row.u_state if row.state == SourceState.DONE and row.u_state else row.state
    in_line = row.state == SourceState.WAITING and row.lane == Lane.RENEWAL
    return LedgerEntry(
        folder=row.folder,
        path=join_path(row.directory, row.name),
        root=Path(row.root),
        state=state,
        upload_state=None if row.u_state is None else State(row.u_state),
        awaits_renewal=in_line and row.u_state is not None and row.wanted_generation > row.u_generation,
        identity=identity_of(row),
        attempt=row.attempt,
        # Of a renewal the column is earlier, to tell whose turn is first: it was not in line then.
        ready_at=max(row.ready_at, row.changed_at),
        found_at=row.found_at,
        changed_at=row.changed_at,
        reason=row.reason,
        message=row.message,
        request_id=row.request_id or row.u_request_id,
        put_away=row.put_away,
        content_id=row.content_id,
        digest=row.u_digest,
        purpose=row.u_purpose,
        metadata=row.u_metadata,
        generation=row.u_generation,
        key=row.u_idempotency_key,
        file_id=row.u_file_id,
        mime_type=row.u_mime_type,
        size_bytes=row.u_size_bytes,
        width_px=row.u_width_px,
        height_px=row.u_height_px,
        created_at=row.u_created_at,
        expires_at=row.u_expires_at,
        normalised=tuple(row.u_normalised or ()),
    )


def receipt_detail(root: str, path: str, upload: Any) -> dict[str, Any]:
    """What a manifest line says of an upload. INTERFACE.md, Manifest."""
    return {
        "source": str(Path(root) / path),
        "sha256": upload.digest,
        "idempotency_key": upload.idempotency_key,
        "generation": upload.generation,
        "file_id": upload.file_id,
        "purpose": upload.purpose,
        "mime_type": upload.mime_type,
        "size_bytes": upload.size_bytes,
        "width_px": upload.width_px,
        "height_px": upload.height_px,
        "created_at": instant_text(upload.created_at),
        "expires_at": instant_text(upload.expires_at),
        "metadata": upload.metadata,
        "replayed": bool(upload.replayed),
        "normalised": upload.normalised or [],
        "sent_sha256": upload.sent_sha256,
        "request_id": upload.request_id,
    }


def tell(
    connection: Connection,
    at: datetime,
    folder: str,
    path: str,
    event: str,
    detail: dict[str, Any],
    *,
    listed: bool = False,
    **numbered: int,
) -> None:
    """Add to the story of a path."""
    told = {"at": at, "folder": folder, "path": path, "event": event, "listed": listed, "detail": detail, **numbered}
    _TELL.on(connection, told)


def tell_manifest(
    connection: Connection, at: datetime, folder: str, path: str, event: Event, detail: dict[str, Any]
) -> None:
    """Add a line to the manifest, in the transaction of the change that it tells of."""
    tell(connection, at, folder, path, event, detail, listed=True)

"""One upload's row: read, moved along the life cycle, and told of in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, literal, select

from ingestor.ledger.rows import join_path, receipt_detail, tell_manifest
from ingestor.ledger.schema import sources
from ingestor.ledger.statements import (
    LISTED_SOURCES,
    SET_LISTED_SOURCES,
    SET_SOURCE,
    SET_UPLOAD,
    SET_UPLOAD_RETURNING,
    UPLOAD,
    this,
)
from ingestor.model import Event, SourceState, State
from ingestor.policy.life_cycle import HAS_LIVE_ID, move


def upload_of(connection: Connection, content_id: str) -> Any:
    return UPLOAD.on(connection, {"this_content": content_id}).one()


def set_upload(connection: Connection, row: Any, state: State, now: datetime, **values: Any) -> Any:
    """Move an upload, by the life cycle's table, and return its new row."""
    return SET_UPLOAD_RETURNING.on(connection, _moved(row, state, now, values)).one()


def move_upload(connection: Connection, row: Any, state: State, now: datetime, **values: Any) -> None:
    """The same, where nobody asks for the row: it is wide, and to read it costs more than to write it."""
    SET_UPLOAD.on(connection, _moved(row, state, now, values))


def _moved(row: Any, state: State, now: datetime, values: Mapping[str, Any]) -> dict[str, Any]:
    move(State(row.state), state)
    return {"this_content": row.content_id, "state": state, "changed_at": now, **values}


def listed_sources(connection: Connection, content_id: str) -> Sequence[Any]:
    """The paths whose last manifest line is about this content."""
    return LISTED_SOURCES.on(connection, {"this_content": content_id}).rows


_WAITS = (
    select(literal(1))
    .where(sources.c.content_id == bindparam("this_content"), sources.c.state == SourceState.WAITING)
    .limit(1)
)


def is_waited_for(connection: Connection, content_id: str) -> bool:
    """Whether a path with this content is in line."""
    return connection.execute(_WAITS, {"this_content": content_id}).scalar() is not None


def list_path(
    connection: Connection, folder: str, path: str, root: str, upload: Any, event: Event, now: datetime
) -> None:
    """The manifest line that ties a path to its upload as it stands."""
    tell_manifest(connection, now, folder, path, event, receipt_detail(root, path, upload))
    changes = {
        "listed_content_id": upload.content_id,
        "listed_generation": upload.generation,
        "live_until": upload.expires_at if upload.state in HAS_LIVE_ID else None,
    }
    SET_SOURCE.on(connection, {**this(folder, path), **changes})


def list_end(connection: Connection, upload: Any, event: Event, now: datetime, why: str | None = None) -> None:
    """The manifest lines that say of each path that its id has ended."""
    for row in listed_sources(connection, upload.content_id):
        path = join_path(row.directory, row.name)
        detail = receipt_detail(row.root, path, upload)
        tell_manifest(connection, now, row.folder, path, event, detail if why is None else {**detail, "reason": why})
    SET_LISTED_SOURCES.on(connection, {"this_content": upload.content_id, "live_until": None})


def end_by_time(connection: Connection, upload: Any, now: datetime) -> Any:
    """The id has expired; a renewal under way goes on as an upload without one."""
    goes_on = upload.state == State.RENEWING and is_waited_for(connection, upload.content_id)
    upload = set_upload(connection, upload, State.SENDING if goes_on else State.EXPIRED, now)
    list_end(connection, upload, Event.EXPIRED, now)
    return upload

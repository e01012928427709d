"""Ids that paths had before their present ones: of a generation or of bytes before. Some are good at the API still."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from ingestor.ledger.reads import unindexed
from ingestor.ledger.rows import VANISHED, Place, join_path, tell
from ingestor.ledger.schema import history, sources
from ingestor.ledger.statements import SOURCE, UPLOAD, this
from ingestor.ledger.upkeep import purge
from ingestor.model import ContentId, Event, FileId, FormerId, Purpose
from ingestor.policy.expiry import is_live
from ingestor.policy.idempotency import content_id as content_id_of
from ingestor.policy.life_cycle import HAS_LIVE_ID

FORMER_PURGED = "former_purged"
"""An event of the story alone: what the manifest tells of a path is its present id, and hooks are told the same."""
_GIVEN = (Event.UPLOADED, Event.RENEWED)
_GONE = (Event.PURGED, FORMER_PURGED)

_STORY = (
    select(history.c.event, history.c.detail)
    .where(
        history.c.folder == bindparam("this_folder"),
        history.c.path == bindparam("this_path"),
        history.c.event.in_((*_GIVEN, *_GONE)),
    )
    .order_by(history.c.seq)
)


def former_ids(connection: Connection, places: Sequence[Place], now: datetime) -> Sequence[FormerId]:
    """The ids that these paths had before, and that are good then by all that is known."""
    found: dict[str, FormerId] = {}
    for place in dict.fromkeys(places):
        present = _present(connection, place)
        for detail in _good(connection, place, now):
            file_id = FileId(detail["file_id"])
            if present is not None and present.file_id == file_id:
                continue
            content_id = _content_of(detail)
            upload = UPLOAD.on(connection, {"this_content": content_id}).one_or_none()
            is_newest = upload is not None and upload.file_id == file_id
            if is_newest and upload.state not in HAS_LIVE_ID:
                continue
            before = found.get(file_id)
            followed_by = None if before is None else before.followed_by
            if followed_by is None and present is not None and _is_good(present, now):
                followed_by = FileId(present.file_id)
            found[file_id] = FormerId(
                file_id=file_id,
                content_id=content_id,
                places=(*(() if before is None else before.places), place),
                created_at=datetime.fromisoformat(detail["created_at"]),
                followed_by=followed_by,
                is_newest=is_newest,
            )
    return list(found.values())


def _present(connection: Connection, place: Place) -> Any:
    """The upload that a path goes by now."""
    source = SOURCE.on(connection, this(*place)).one_or_none()
    if source is None or source.content_id is None:
        return None
    return UPLOAD.on(connection, {"this_content": source.content_id}).one_or_none()


def _is_good(upload: Any, now: datetime) -> bool:
    return upload.state in HAS_LIVE_ID and is_live(upload.expires_at, now)


def _good(connection: Connection, place: Place, now: datetime) -> Sequence[Any]:
    """What the story of a path tells of each id that is good by it."""
    given: dict[str, Any] = {}
    for row in connection.execute(_STORY, {"this_folder": place[0], "this_path": place[1]}):
        file_id = row.detail.get("file_id")
        if row.event in _GONE:
            given.pop(file_id, None)
        elif file_id is not None and is_live(datetime.fromisoformat(row.detail["expires_at"]), now):
            given[file_id] = row.detail
    return list(given.values())


def _content_of(detail: Any) -> ContentId:
    return content_id_of(detail["sha256"], Purpose(detail["purpose"]), detail["metadata"])


def purge_former(
    connection: Connection, file_id: FileId, content_id: ContentId, places: Sequence[Place], why: str, now: datetime
) -> None:
    """The file of an id that these paths had before is gone at the API: told once in the story of each that had it."""
    upload = UPLOAD.on(connection, {"this_content": content_id}).one_or_none()
    if upload is not None and upload.file_id == file_id and upload.state in HAS_LIVE_ID:
        purge(connection, content_id, file_id, why, now, withdraw=True)
    for place in dict.fromkeys((*places, *_paths_of(connection, content_id))):
        if any(detail["file_id"] == file_id for detail in _good(connection, place, now)):
            tell(connection, now, *place, FORMER_PURGED, {"file_id": file_id, "reason": why})


def _paths_of(connection: Connection, content_id: ContentId) -> Sequence[Place]:
    statement = select(sources.c.folder, sources.c.directory, sources.c.name).where(sources.c.content_id == content_id)
    return [(row.folder, join_path(row.directory, row.name)) for row in connection.execute(statement)]


# -- which paths to ask about ----------------------------------------------------------------------


def given_ids(
    connection: Connection, folder: str | None, since: datetime, after_seq: int, limit: int
) -> Sequence[tuple[int, Place, FileId]]:
    """The ids that paths were given since then, with the numbers of their entries, in order, page by page."""
    statement = (
        select(history.c.seq, history.c.folder, history.c.path, history.c.detail)
        .where(history.c.seq > after_seq, history.c.at >= since, history.c.event.in_(_GIVEN))
        .order_by(history.c.seq)
        .limit(limit)
    )
    if folder is not None:
        statement = statement.where(unindexed(history.c.folder) == folder)
    return [(row.seq, (row.folder, row.path), row.detail["file_id"]) for row in connection.execute(statement)]


def vanished(
    connection: Connection, folders: Sequence[str], since: datetime, after_seq: int, up_to_seq: int
) -> Sequence[Place]:
    """The paths whose files were missed since then, by a part of the history."""
    statement = select(history.c.folder, history.c.path).where(
        history.c.seq > after_seq,
        history.c.seq <= up_to_seq,
        history.c.at >= since,
        history.c.event == VANISHED,
        unindexed(history.c.folder).in_(folders),
    )
    return [(row.folder, row.path) for row in connection.execute(statement)]

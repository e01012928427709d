"""What the flow records of one image, one function a step.

A change runs inside a transaction that the caller holds; one that raises takes nothing with it but itself.
"""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from ingestor.ledger.rows import join_path, tell, tell_manifest
from ingestor.ledger.statements import (
    NEW_UPLOAD,
    SAME_SOURCE,
    SET_FINISHED,
    SET_SAME_SOURCE,
    SET_SOURCE_IF_STILL,
    SET_SOURCE_RETURNING,
    still,
    this,
)
from ingestor.ledger.uploads import end_by_time, list_path, listed_sources, move_upload, set_upload, upload_of
from ingestor.model import (
    Content,
    ContentId,
    Event,
    Intent,
    Payload,
    Purpose,
    Receipt,
    SourceFile,
    SourceState,
    Standing,
    State,
)
from ingestor.policy.expiry import is_live, key_may_replay
from ingestor.policy.idempotency import idempotency_key
from ingestor.policy.life_cycle import HAS_LIVE_ID

_NEW: Any = SimpleNamespace(
    state=State.WAITING,
    generation=0,
    file_id=None,
    idempotency_key=None,
    expires_at=None,
    request_id=None,
    reason=None,
    message=None,
)
"""Of an upload's row what a `Standing` tells, when it was made a moment ago."""
_ENDED = {State.EXPIRED: Event.EXPIRED, State.PURGED: Event.PURGED}


def enter(connection: Connection, source: SourceFile, context: str, content: Content, now: datetime) -> Standing:
    """Tie a path to its content, and say where that content stands."""
    new = {
        "content_id": content.content_id,
        "digest": content.digest,
        "purpose": content.purpose,
        "metadata": content.metadata,
        "state": State.WAITING,
        "generation": 0,
        "changed_at": now,
    }
    # Most are new: what stands in a row that was just written need not be read.
    row = _NEW if NEW_UPLOAD.on(connection, new).rowcount == 1 else upload_of(connection, content.content_id)
    if row.state in HAS_LIVE_ID and not is_live(row.expires_at, now):
        row = end_by_time(connection, row, now)
    ties = {"content_id": content.content_id, "context": context}
    mine = SET_SOURCE_RETURNING.on(connection, {**this(source.folder, source.path), **ties}).one()
    return Standing(
        state=State(row.state),
        generation=row.generation,
        file_id=row.file_id,
        key=row.idempotency_key,
        expires_at=row.expires_at,
        request_id=row.request_id,
        reason=row.reason,
        message=row.message,
        renewal_wanted=row.state in HAS_LIVE_ID and mine.wanted_generation > row.generation,
        listed=mine.listed_content_id == content.content_id and mine.listed_generation == row.generation,
        withdrawn=row.state == State.PURGED and mine.state == SourceState.DONE,
    )


def intend(
    connection: Connection, content_id: ContentId, profile: str, now: datetime, *, fresh: bool = False
) -> Intent:
    """What is to be sent, durable when the transaction ends.

    An intent that may have reached the API is taken up again under its own key, so that it replays. `fresh` asks for
    the generation after it: the key turned out to be used for something else.
    """
    row = upload_of(connection, content_id)
    unfinished = row.state in (State.SENDING, State.RENEWING) and row.intent_key is not None
    if unfinished and not fresh and key_may_replay(row.first_sent_at, now):
        return Intent(
            content_id=content_id,
            generation=row.intent_generation,
            key=row.intent_key,
            profile=row.intent_profile,
            first_sent_at=row.first_sent_at,
            resumed=True,
        )
    generation = _next_generation(row, fresh=fresh)
    key = idempotency_key(row.digest, Purpose(row.purpose), row.metadata, profile, generation)
    move_upload(
        connection,
        row,
        State.RENEWING if row.state in HAS_LIVE_ID else State.SENDING,
        now,
        intent_generation=generation,
        intent_key=key,
        intent_profile=profile,
        first_sent_at=now,
    )
    return Intent(
        content_id=content_id, generation=generation, key=key, profile=profile, first_sent_at=now, resumed=False
    )


def _next_generation(row: Any, *, fresh: bool) -> int:
    """An unfinished generation is finished first; one that has a receipt is followed by the next."""
    latest: int = row.generation if row.file_id is not None else -1
    unfinished: int = latest + 1 if row.intent_generation is None else row.intent_generation
    return max(latest + 1, unfinished + 1 if fresh else unfinished)


def complete(
    connection: Connection, source: SourceFile, intent: Intent, payload: Payload, receipt: Receipt, now: datetime
) -> bool:
    """Record what the API promised, with the manifest lines that tell of it.

    False if another attempt has completed this generation, or a later one, before: then nothing is changed.
    """
    row = upload_of(connection, intent.content_id)
    if row.state not in (State.SENDING, State.RENEWING, State.PURGED) or row.intent_generation != intent.generation:
        return False
    if row.state == State.PURGED:
        # Its image was purged while this was on its way.
        row = set_upload(connection, row, State.SENDING, now)
    renewed = row.file_id is not None and row.generation < intent.generation
    row = set_upload(connection, row, State.LIVE, now, **_receipt_columns(intent, payload, receipt))
    if renewed:
        for other in listed_sources(connection, intent.content_id):
            path = join_path(other.directory, other.name)
            if (other.folder, path) != source.key:
                list_path(connection, other.folder, path, other.root, row, Event.RENEWED, now)
    event = Event.RENEWED if renewed else Event.UPLOADED
    list_path(connection, source.folder, source.path, str(source.root), row, event, now)
    if payload.warnings:
        tell(connection, now, source.folder, source.path, "warned", {"warnings": list(payload.warnings)})
    return True


def _receipt_columns(intent: Intent, payload: Payload, receipt: Receipt) -> dict[str, Any]:
    return {
        "generation": intent.generation,
        "idempotency_key": intent.key,
        "profile": intent.profile,
        "intent_generation": None,
        "intent_key": None,
        "intent_profile": None,
        "file_id": receipt.file_id,
        "mime_type": receipt.mime_type,
        "size_bytes": receipt.size_bytes,
        "width_px": receipt.width_px,
        "height_px": receipt.height_px,
        "created_at": receipt.created_at,
        "expires_at": receipt.expires_at,
        "replayed": receipt.replayed,
        "normalised": list(payload.normalised),
        "sent_sha256": payload.sha256,
        "request_id": receipt.request_id,
        "reason": None,
        "message": None,
    }


def list_source(connection: Connection, source: SourceFile, content_id: ContentId, now: datetime) -> None:
    """The manifest line of a path whose content was uploaded for another one."""
    row = upload_of(connection, content_id)
    event = _ENDED.get(State(row.state), Event.UPLOADED)
    list_path(connection, source.folder, source.path, str(source.root), row, event, now)


def finish(connection: Connection, source: SourceFile, put_away: str | None, now: datetime) -> None:
    """The path is done with: recorded, listed and put away."""
    changes = {
        "state": SourceState.DONE,
        "attempt": 0,
        "batch": None,
        "reason": None,
        "message": None,
        "request_id": None,
        "put_away": put_away,
        "changed_at": now,
    }
    is_changed = SET_FINISHED.on(connection, {**still(source), **changes}).rowcount
    if put_away is not None and is_changed:
        tell(connection, now, source.folder, source.path, "put_away", {"to": put_away})


def quarantine(
    connection: Connection,
    source: SourceFile,
    content_id: ContentId | None,
    reason: str,
    message: str,
    request_id: str | None,
    now: datetime,
) -> bool:
    """Take a path out of line, and its content with it, with a manifest line that says why.

    A content that has a live id keeps it: what is wrong then is wrong with its renewal. False if other bytes have
    been found under the path meanwhile, or somebody else has brought it to an end.
    """
    if SAME_SOURCE.on(connection, still(source)).one_or_none() is None:
        return False
    digest = None
    if content_id is not None:
        digest = _quarantine_content(connection, content_id, reason, message, now)
    detail = {
        "source": str(source.absolute),
        "sha256": digest,
        "reason": reason,
        "message": message,
        "request_id": request_id,
    }
    tell_manifest(connection, now, source.folder, source.path, Event.QUARANTINED, detail)
    changes = {
        "state": SourceState.QUARANTINED,
        "batch": None,
        "reason": reason,
        "message": message,
        "request_id": request_id,
        "listed_content_id": None,
        "listed_generation": None,
        "live_until": None,
        "changed_at": now,
    }
    SET_SAME_SOURCE.on(connection, {**still(source), **changes})
    return True


def _quarantine_content(connection: Connection, content_id: ContentId, reason: str, message: str, now: datetime) -> str:
    row = upload_of(connection, content_id)
    if row.state == State.RENEWING:
        move_upload(connection, row, State.LIVE, now, intent_generation=None, intent_key=None, intent_profile=None)
    elif row.state not in (State.QUARANTINED, State.LIVE):
        move_upload(connection, row, State.QUARANTINED, now, reason=reason, message=message)
    return str(row.digest)


def note_put_away(connection: Connection, source: SourceFile, put_away: str, now: datetime) -> None:
    """Where a quarantined file went."""
    SET_SOURCE_IF_STILL.on(connection, {**still(source), "put_away": put_away})
    tell(connection, now, source.folder, source.path, "put_away", {"to": put_away})

"""Every change to the ledger: one function each, inside a transaction that the caller holds.

A function either does its whole change or raises before the first write, so that changes can share a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ingestor.ledger.rows import VANISHED, join_path, receipt_detail, split_path, tell, tell_manifest
from ingestor.ledger.schema import facts, history, sources, uploads
from ingestor.model import (
    Content,
    ContentId,
    Event,
    Intent,
    Lane,
    Payload,
    Purpose,
    Receipt,
    Sighting,
    SourceFile,
    SourceState,
    Standing,
    State,
)
from ingestor.policy.expiry import is_live, key_may_replay
from ingestor.policy.idempotency import idempotency_key
from ingestor.policy.life_cycle import HAS_LIVE_ID, move

_MICROSECOND = timedelta(microseconds=1)
_ENDED = {State.EXPIRED: Event.EXPIRED, State.PURGED: Event.PURGED}


def upsert(connection: Connection, table: Any) -> Any:
    """`INSERT` of the dialect at hand that knows `ON CONFLICT`."""
    return (postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert)(table)


def _this(folder: str, path: str) -> Any:
    directory, name = split_path(path)
    return and_(sources.c.folder == folder, sources.c.directory == directory, sources.c.name == name)


def _still(source: SourceFile) -> Any:
    """The path, unless discovery has found other bytes there meanwhile: then it stays in line for those."""
    identity = source.identity
    return and_(
        _this(source.folder, source.path),
        sources.c.size_bytes == identity.size_bytes,
        sources.c.mtime_ns == identity.mtime_ns,
        sources.c.inode == identity.inode,
    )


def _upload(connection: Connection, content_id: str) -> Row[Any]:
    return connection.execute(select(uploads).where(uploads.c.content_id == content_id)).one()


def _set_upload(connection: Connection, row: Row[Any], state: State, now: datetime, **values: Any) -> Row[Any]:
    """Move an upload, by the life cycle's table, and return its new row."""
    move(State(row.state), state)
    connection.execute(
        update(uploads).where(uploads.c.content_id == row.content_id).values(state=state, changed_at=now, **values)
    )
    return _upload(connection, row.content_id)


# -- discovery -------------------------------------------------------------------------------------


def take(connection: Connection, sightings: Sequence[Sighting], lane: Lane, batch: str | None, now: datetime) -> None:
    """Put settled files in line, in this order. A path already waiting as it is keeps its place and its attempts."""
    if not sightings:
        return
    rows = []
    for number, sighting in enumerate(sightings):
        directory, name = split_path(sighting.source.path)
        identity = sighting.source.identity
        rows.append(
            {
                "folder": sighting.source.folder,
                "directory": directory,
                "name": name,
                "root": str(sighting.source.root),
                "device": identity.device,
                "inode": identity.inode,
                "size_bytes": identity.size_bytes,
                "mtime_ns": identity.mtime_ns,
                "ctime_ns": identity.ctime_ns,
                "context": sighting.context,
                "state": SourceState.WAITING,
                "lane": int(lane),
                "batch": batch,
                "ready_at": now + number * _MICROSECOND,
                "attempt": 0,
                "wanted_generation": 0,
                "found_at": now,
                "changed_at": now,
            }
        )
    statement = upsert(connection, sources)
    new = statement.excluded
    unchanged = and_(
        sources.c.state == SourceState.WAITING,
        sources.c.size_bytes == new.size_bytes,
        sources.c.mtime_ns == new.mtime_ns,
        sources.c.inode == new.inode,
        sources.c.device == new.device,
        sources.c.context == new.context,
    )
    keep = {
        name: case((unchanged, getattr(sources.c, name)), else_=getattr(new, name))
        for name in ("ready_at", "attempt", "wanted_generation", "changed_at")
    } | {name: case((unchanged, getattr(sources.c, name)), else_=None) for name in ("reason", "message", "request_id")}
    always = {
        name: getattr(new, name)
        for name in ("root", "device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "context", "state", "batch")
    }
    # The better of two lanes: a dropped file that a backfill meets as well stays fresh.
    best_lane = case((and_(unchanged, sources.c.lane < new.lane), sources.c.lane), else_=new.lane)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["folder", "directory", "name"],
            set_={
                **always,
                **keep,
                "lane": best_lane,
                "put_away": None,
            },
        ),
        rows,
    )


def vanish(connection: Connection, folder: str, path: str, message: str, now: datetime) -> None:
    """The file is not there any more. What was promised for it stays as it is."""
    row = connection.execute(select(sources).where(_this(folder, path))).one_or_none()
    if row is None or row.state != SourceState.WAITING:
        return
    was_listed = row.content_id is not None and row.listed_content_id == row.content_id
    state = SourceState.DONE if was_listed else SourceState.VANISHED
    connection.execute(
        update(sources)
        .where(_this(folder, path))
        .values(state=state, batch=None, reason=VANISHED, message=message, changed_at=now)
    )
    tell(connection, now, folder, path, VANISHED, {"message": message})


# -- the flow --------------------------------------------------------------------------------------


def enter(connection: Connection, source: SourceFile, context: str, content: Content, now: datetime) -> Standing:
    """Tie a path to its content, and say where that content stands."""
    connection.execute(
        upsert(connection, uploads)
        .values(
            content_id=content.content_id,
            digest=content.digest,
            purpose=content.purpose,
            metadata=content.metadata,
            state=State.WAITING,
            changed_at=now,
        )
        .on_conflict_do_nothing(index_elements=["content_id"])
    )
    row = _upload(connection, content.content_id)
    if row.state in HAS_LIVE_ID and not is_live(row.expires_at, now):
        row = _expire(connection, row, now)
    mine = connection.execute(select(sources).where(_this(source.folder, source.path))).one()
    connection.execute(
        update(sources).where(_this(source.folder, source.path)).values(content_id=content.content_id, context=context)
    )
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
    )


def intend(
    connection: Connection, content_id: ContentId, profile: str, now: datetime, *, fresh: bool = False
) -> Intent:
    """What is to be sent, durable when the transaction ends.

    An intent that may have reached the API is taken up again under its own key, so that it replays. `fresh` asks for
    the generation after it: the key turned out to be used for something else.
    """
    row = _upload(connection, content_id)
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
    target = State.RENEWING if row.state in HAS_LIVE_ID else State.SENDING
    _set_upload(
        connection,
        row,
        target,
        now,
        intent_generation=generation,
        intent_key=key,
        intent_profile=profile,
        first_sent_at=now,
    )
    return Intent(
        content_id=content_id,
        generation=generation,
        key=key,
        profile=profile,
        first_sent_at=now,
        resumed=False,
    )


def _next_generation(row: Row[Any], *, fresh: bool) -> int:
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
    row = _upload(connection, intent.content_id)
    if row.state not in (State.SENDING, State.RENEWING) or row.intent_generation != intent.generation:
        return False
    renewed = row.file_id is not None and row.generation < intent.generation
    row = _set_upload(
        connection,
        row,
        State.LIVE,
        now,
        generation=intent.generation,
        idempotency_key=intent.key,
        profile=intent.profile,
        intent_generation=None,
        intent_key=None,
        intent_profile=None,
        file_id=receipt.file_id,
        mime_type=receipt.mime_type,
        size_bytes=receipt.size_bytes,
        width_px=receipt.width_px,
        height_px=receipt.height_px,
        created_at=receipt.created_at,
        expires_at=receipt.expires_at,
        replayed=receipt.replayed,
        normalised=list(payload.normalised),
        sent_sha256=payload.sha256,
        request_id=receipt.request_id,
        reason=None,
        message=None,
    )
    if renewed:
        for other in _listed_paths(connection, intent.content_id):
            path = join_path(other.directory, other.name)
            if (other.folder, path) != source.key:
                _list(connection, other.folder, path, other.root, row, Event.RENEWED, now)
    _list(
        connection,
        source.folder,
        source.path,
        str(source.root),
        row,
        Event.RENEWED if renewed else Event.UPLOADED,
        now,
    )
    return True


def _listed_paths(connection: Connection, content_id: str) -> Sequence[Row[Any]]:
    """The paths whose last manifest line is about this content."""
    return connection.execute(
        select(sources).where(sources.c.content_id == content_id, sources.c.listed_content_id == content_id)
    ).all()


def _list(
    connection: Connection, folder: str, path: str, root: str, row: Row[Any], event: Event, now: datetime
) -> None:
    tell_manifest(connection, now, folder, path, event, receipt_detail(root, path, row))
    connection.execute(
        update(sources)
        .where(_this(folder, path))
        .values(listed_content_id=row.content_id, listed_generation=row.generation)
    )


def list_source(connection: Connection, source: SourceFile, content_id: ContentId, now: datetime) -> None:
    """The manifest line of a path whose content was uploaded for another one."""
    row = _upload(connection, content_id)
    event = _ENDED.get(State(row.state), Event.UPLOADED)
    _list(connection, source.folder, source.path, str(source.root), row, event, now)


def finish(connection: Connection, source: SourceFile, put_away: str | None, now: datetime) -> None:
    """The path is done with: recorded, listed and put away."""
    connection.execute(
        update(sources)
        .where(_still(source))
        .values(
            state=SourceState.DONE,
            attempt=0,
            batch=None,
            reason=None,
            message=None,
            request_id=None,
            put_away=put_away,
            changed_at=now,
        )
    )
    if put_away is not None:
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
    been found under the path meanwhile.
    """
    mine = connection.execute(select(sources.c.name).where(_still(source))).one_or_none()
    if mine is None:
        return False
    digest: str | None = None
    if content_id is not None:
        row = _upload(connection, content_id)
        digest = row.digest
        if row.state == State.RENEWING:
            _set_upload(connection, row, State.LIVE, now, intent_generation=None, intent_key=None)
        elif row.state not in (State.QUARANTINED, State.LIVE):
            _set_upload(connection, row, State.QUARANTINED, now, reason=reason, message=message)
    detail: dict[str, Any] = {
        "source": str(source.absolute),
        "sha256": digest,
        "reason": reason,
        "message": message,
        "request_id": request_id,
    }
    tell_manifest(connection, now, source.folder, source.path, Event.QUARANTINED, detail)
    connection.execute(
        update(sources)
        .where(_still(source))
        .values(
            state=SourceState.QUARANTINED,
            batch=None,
            reason=reason,
            message=message,
            request_id=request_id,
            listed_content_id=None,
            listed_generation=None,
            changed_at=now,
        )
    )
    return True


def note_put_away(connection: Connection, source: SourceFile, put_away: str, now: datetime) -> None:
    """Where a quarantined file went."""
    connection.execute(update(sources).where(_still(source)).values(put_away=put_away))
    tell(connection, now, source.folder, source.path, "put_away", {"to": put_away})


def postpone(
    connection: Connection,
    source: SourceFile,
    event: str,
    reason: str,
    message: str,
    request_id: str | None,
    attempt: int,
    ready_at: datetime,
    now: datetime,
) -> None:
    """Later again. Told in the story when the reason is another one, so that a long wait is one line.

    Other bytes that came meanwhile wait for nothing that befell these.
    """
    before = connection.execute(select(sources).where(_still(source))).one_or_none()
    if before is None:
        return
    connection.execute(
        update(sources)
        .where(_still(source))
        .values(
            attempt=attempt, ready_at=ready_at, reason=reason, message=message, request_id=request_id, changed_at=now
        )
    )
    if before.reason != reason or attempt != before.attempt:
        detail = {"reason": reason, "message": message, "request_id": request_id, "attempt": attempt}
        tell(connection, now, source.folder, source.path, event, detail)


def leave_batch(connection: Connection, source: SourceFile, now: datetime) -> None:
    """The path stays in line, but for another run than this one."""
    connection.execute(update(sources).where(_this(source.folder, source.path)).values(batch=None, changed_at=now))


# -- time and operators ----------------------------------------------------------------------------


def _expire(connection: Connection, row: Row[Any], now: datetime) -> Row[Any]:
    row = _set_upload(connection, row, State.SENDING if row.state == State.RENEWING else State.EXPIRED, now)
    for path in _listed_paths(connection, row.content_id):
        where = join_path(path.directory, path.name)
        detail = receipt_detail(path.root, where, row)
        tell_manifest(connection, now, path.folder, where, Event.EXPIRED, detail)
    return row


def expire(connection: Connection, now: datetime, limit: int) -> int:
    """Mark what the API has purged by now; how many, at most `limit`, so that nobody waits long behind it."""
    rows = connection.execute(
        select(uploads)
        .where(uploads.c.state.in_((State.LIVE, State.RENEWING)), uploads.c.expires_at <= now)
        .order_by(uploads.c.expires_at)
        .limit(limit)
    ).all()
    for row in rows:
        _expire(connection, row, now)
    return len(rows)


def purge(connection: Connection, content_id: ContentId, file_id: str, why: str, now: datetime) -> bool:
    """The file is gone at the API; False if the content has another id by now, or is about to."""
    row = _upload(connection, content_id)
    if row.file_id != file_id or row.state not in (State.LIVE, State.EXPIRED):
        return False
    row = _set_upload(connection, row, State.PURGED, now)
    for path in _listed_paths(connection, content_id):
        where = join_path(path.directory, path.name)
        detail = {**receipt_detail(path.root, where, row), "reason": why}
        tell_manifest(connection, now, path.folder, where, Event.PURGED, detail)
    return True


def put_back(connection: Connection, folder: str, path: str, now: datetime) -> str | None:
    """A quarantined path waits again; returns where its file had been put away, if it had."""
    row = connection.execute(select(sources).where(_this(folder, path))).one_or_none()
    if row is None or row.state != SourceState.QUARANTINED:
        return None
    if row.content_id is not None:
        upload = _upload(connection, row.content_id)
        if upload.state == State.QUARANTINED:
            _set_upload(connection, upload, State.WAITING, now, reason=None, message=None)
    connection.execute(
        update(sources)
        .where(_this(folder, path))
        .values(
            state=SourceState.WAITING,
            lane=int(Lane.FRESH),
            attempt=0,
            ready_at=now,
            reason=None,
            message=None,
            put_away=None,
            changed_at=now,
        )
    )
    tell(connection, now, folder, path, "put_back", {})
    put_away: str | None = row.put_away
    return put_away


def want_renewal(connection: Connection, content_id: ContentId, batch: str | None, now: datetime) -> bool:
    """Put one path of a live content in line for the next generation; False if none is done with."""
    row = _upload(connection, content_id)
    path = connection.execute(
        select(sources)
        .where(
            sources.c.content_id == content_id,
            sources.c.state == SourceState.DONE,
            sources.c.put_away.is_(None),
            sources.c.reason.is_(None),
        )
        .order_by(sources.c.folder, sources.c.directory, sources.c.name)
        .limit(1)
    ).one_or_none()
    if path is None or row.state not in HAS_LIVE_ID:
        return False
    connection.execute(
        update(sources)
        .where(_this(path.folder, join_path(path.directory, path.name)))
        .values(
            state=SourceState.WAITING,
            lane=int(Lane.RENEWAL),
            batch=batch,
            attempt=0,
            ready_at=now,
            wanted_generation=row.generation + 1,
            changed_at=now,
        )
    )
    return True


def set_fact(connection: Connection, name: str, value: Any, now: datetime) -> None:
    statement = upsert(connection, facts).values(name=name, value=value, changed_at=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": statement.excluded.value, "changed_at": now}
        )
    )


def start_numbering_after(connection: Connection, seq: int, now: datetime) -> None:
    """Number what happens from now on above `seq`: a manifest outlived the ledger that had written it."""
    latest = connection.execute(select(func.max(history.c.seq))).scalar() or 0
    if latest < seq:
        connection.execute(
            history.insert().values(
                seq=seq, at=now, folder="", path="", event="ledger_restarted", listed=False, detail={}
            )
        )

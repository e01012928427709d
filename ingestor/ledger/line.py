"""Who is in line, and who is not any more: every change that discovery and operators make, one function each.

A change runs inside a transaction that the caller holds; one that raises takes nothing with it but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, select, type_coerce, update

from ingestor.ledger.columns import Instant
from ingestor.ledger.comparing import expected
from ingestor.ledger.rows import VANISHED, join_path, split_path, tell
from ingestor.ledger.schema import sources
from ingestor.ledger.statements import (
    SAME_SOURCE,
    SET_SAME_SOURCE,
    SET_SOURCE,
    SOURCE,
    TAKE,
    UPLOAD,
    Parameters,
    still,
    this,
    upsert,
)
from ingestor.ledger.uploads import list_path, move_upload, upload_of
from ingestor.model import ContentId, Event, Lane, Sighting, SourceFile, SourceState, State
from ingestor.policy.forecast import ID_SECONDS
from ingestor.policy.life_cycle import HAS_LIVE_ID

_MICROSECOND = timedelta(microseconds=1)


def take(connection: Connection, sightings: Sequence[Sighting], lane: Lane, batch: str | None, now: datetime) -> None:
    """Put settled files in line, in this order. A path already waiting as it is keeps its place and its attempts."""
    if sightings:
        rows = [
            _row(sighting, lane, batch, now, now + number * _MICROSECOND) for number, sighting in enumerate(sightings)
        ]
        connection.execute(upsert(connection, TAKE), rows)


def _row(sighting: Sighting, lane: Lane, batch: str | None, now: datetime, ready_at: datetime) -> Parameters:
    source = sighting.source
    directory, name = split_path(source.path)
    return {
        "folder": source.folder,
        "directory": directory,
        "name": name,
        "root": str(source.root),
        "device": source.identity.device,
        "inode": source.identity.inode,
        "size_bytes": source.identity.size_bytes,
        "mtime_ns": source.identity.mtime_ns,
        "ctime_ns": source.identity.ctime_ns,
        "context": sighting.context,
        "state": SourceState.WAITING,
        "lane": int(lane),
        "batch": batch,
        "ready_at": ready_at,
        "attempt": 0,
        "wanted_generation": 0,
        "reason": None,
        "message": None,
        "request_id": None,
        "put_away": None,
        "found_at": now,
        "changed_at": now,
    }


def vanish(connection: Connection, folder: str, path: str, message: str, now: datetime) -> None:
    """The file of a path in line is not there any more. What was promised for it stays as it is."""
    row = SOURCE.on(connection, this(folder, path)).one_or_none()
    if row is not None and row.state == SourceState.WAITING:
        is_promised = _keep_promise(connection, row, path, now)
        _vanished(connection, folder, path, SourceState.DONE if is_promised else SourceState.VANISHED, message, now)


def _keep_promise(connection: Connection, row: Any, path: str, now: datetime) -> bool:
    """Whether the manifest gives an id for a path. It is tied to that again, should other bytes have come meanwhile.

    Else nobody would tell when that id ends: those bytes are gone without a line of their own.
    """
    if row.listed_content_id is None or row.listed_content_id == row.content_id:
        return row.listed_content_id is not None
    upload = UPLOAD.on(connection, {"this_content": row.listed_content_id}).one_or_none()
    if upload is None:
        return False
    SET_SOURCE.on(connection, {**this(row.folder, path), "content_id": row.listed_content_id})
    is_live = upload.state in HAS_LIVE_ID
    if is_live and upload.generation != row.listed_generation:
        list_path(connection, row.folder, path, row.root, upload, Event.RENEWED, now)
    elif not is_live and row.live_until is not None:
        event = Event.PURGED if upload.state == State.PURGED else Event.EXPIRED
        list_path(connection, row.folder, path, row.root, upload, event, now)
    return True


def miss(
    connection: Connection, folder: str, directory: str, names: Sequence[str] | None, message: str, now: datetime
) -> int:
    """A whole listing did not have these files: as `vanish`, and for paths that are done with as well. How many.

    None: all of a directory that is not there itself.
    """
    missed = 0
    for name in expected(connection, folder, directory) if names is None else names:
        path = join_path(directory, name)
        row = SOURCE.on(connection, this(folder, path)).one_or_none()
        if row is None or row.put_away is not None or row.reason == VANISHED:
            continue
        if row.state == SourceState.WAITING:
            vanish(connection, folder, path, message, now)
        else:
            state = SourceState.DONE if row.state == SourceState.DONE else SourceState.VANISHED
            _vanished(connection, folder, path, state, message, now)
        missed += 1
    return missed


def _vanished(connection: Connection, folder: str, path: str, state: SourceState, message: str, now: datetime) -> None:
    changes = {"state": state, "batch": None, "reason": VANISHED, "message": message, "changed_at": now}
    SET_SOURCE.on(connection, {**this(folder, path), **changes})
    tell(connection, now, folder, path, VANISHED, {"message": message})


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
    before = SAME_SOURCE.on(connection, still(source)).one_or_none()
    if before is None:
        return
    why = {"reason": reason, "message": message, "request_id": request_id, "attempt": attempt}
    SET_SAME_SOURCE.on(connection, {**still(source), **why, "ready_at": ready_at, "changed_at": now})
    if before.reason != reason or attempt != before.attempt:
        tell(connection, now, source.folder, source.path, event, why)


def leave_batch(connection: Connection, source: SourceFile, now: datetime) -> None:
    """The path stays in line, but for another run than this one."""
    SET_SOURCE.on(connection, {**this(source.folder, source.path), "batch": None, "changed_at": now})


def put_back(connection: Connection, folder: str, path: str, now: datetime) -> str | None:
    """A quarantined path waits again; returns where its file had been put away, if it had."""
    row = SOURCE.on(connection, this(folder, path)).one_or_none()
    if row is None or row.state != SourceState.QUARANTINED:
        return None
    if row.content_id is not None:
        upload = upload_of(connection, row.content_id)
        if upload.state == State.QUARANTINED:
            move_upload(connection, upload, State.WAITING, now, reason=None, message=None)
    changes = {
        "state": SourceState.WAITING,
        "lane": int(Lane.FRESH),
        "attempt": 0,
        "ready_at": now,
        "reason": None,
        "message": None,
        "request_id": None,
        "put_away": None,
        "changed_at": now,
    }
    SET_SOURCE.on(connection, {**this(folder, path), **changes})
    tell(connection, now, folder, path, "put_back", {})
    put_away: str | None = row.put_away
    return put_away


_CAN_FOLLOW = frozenset({*HAS_LIVE_ID, State.EXPIRED, State.PURGED})
"""States of an upload that another generation may follow."""
_WAITING_WITH_CONTENT = (
    select(sources)
    .where(sources.c.state == SourceState.WAITING)
    .order_by(sources.c.folder, sources.c.directory, sources.c.name)
    .limit(1)
)
_DONE_WITH_CONTENT = (
    select(sources)
    .where(sources.c.state == SourceState.DONE, sources.c.put_away.is_(None), sources.c.reason.is_(None))
    .order_by(sources.c.folder, sources.c.directory, sources.c.name)
    .limit(1)
)


def want_renewal(
    connection: Connection, content_id: ContentId, batch: str | None, folders: Sequence[str] | None, now: datetime
) -> bool:
    """Put one path of a content that has, or had, an id in line for the next generation.

    One that is in line for it already joins `batch`: a run that died had put it there. One that waits for its own sake
    keeps its lane. Only paths in `folders` where given: nobody takes others from the line. False if no path is left.
    Whoever's id ends first is first in line, however late it was put there.
    """
    upload = upload_of(connection, content_id)
    if upload.state not in _CAN_FOLLOW:
        return False
    of_it = sources.c.content_id == content_id
    if folders is not None:
        of_it = of_it & sources.c.folder.in_(folders)
    is_wanted = sources.c.wanted_generation > upload.generation
    row = (
        connection.execute(_WAITING_WITH_CONTENT.where(of_it, is_wanted)).one_or_none()
        or connection.execute(_DONE_WITH_CONTENT.where(of_it)).one_or_none()
        or connection.execute(_WAITING_WITH_CONTENT.where(of_it)).one_or_none()
    )
    if row is None:
        return False
    lane = row.lane if row.state == SourceState.WAITING else int(Lane.RENEWAL)
    changes = {
        "state": SourceState.WAITING,
        "lane": lane,
        "batch": batch,
        "attempt": 0,
        "ready_at": _beginning_of_life(upload, now) if lane == Lane.RENEWAL else now,
        "wanted_generation": upload.generation + 1,
        "changed_at": now,
    }
    SET_SOURCE.on(connection, {**this(row.folder, join_path(row.directory, row.name)), **changes})
    return True


def _beginning_of_life(upload: Any, now: datetime) -> datetime:
    """When the id was made, which orders renewals as their ends do, and is never ahead; now for one that has ended."""
    if upload.expires_at is None or upload.expires_at <= now:
        return now  # nothing is lost by waiting any more: those that can be saved go first
    made_at: datetime = upload.expires_at - timedelta(seconds=ID_SECONDS)
    return min(now, made_at)


_WITHDRAW = update(sources).where(
    sources.c.content_id == bindparam("this_content"),
    sources.c.state == SourceState.WAITING,
    sources.c.lane == int(Lane.RENEWAL),
    sources.c.wanted_generation > bindparam("this_generation"),
    # One that the manifest has not told of yet waits for its own sake.
    sources.c.listed_content_id == bindparam("this_content"),
)


def withdraw_renewal(connection: Connection, upload: Any, now: datetime) -> None:
    """Whoever is in line for the next generation of an upload leaves it, done with as before."""
    where = {"this_content": upload.content_id, "this_generation": upload.generation}
    connection.execute(_WITHDRAW.values(left_line(now)), where)


def left_line(now: datetime) -> Parameters:
    """What a path is set to that was in line for the next generation alone, and is not any more."""
    return {
        "state": SourceState.DONE,
        "batch": None,
        "attempt": 0,
        "wanted_generation": 0,
        "reason": None,
        "message": None,
        "request_id": None,
        "changed_at": now,
    }


def move_root(connection: Connection, folder: str, root: str) -> int:
    """Every path of a folder is below another root from now on; how many were not."""
    elsewhere = (sources.c.folder == folder) & (sources.c.root != root)
    return connection.execute(update(sources).where(elsewhere).values(root=root)).rowcount


def shift_line(connection: Connection, by: timedelta) -> None:
    """Everyone's turn comes so much later (negative: earlier): the clock that had set it was wrong."""
    microseconds = by // _MICROSECOND
    moved = type_coerce(type_coerce(sources.c.ready_at, BigInteger) + microseconds, Instant)
    connection.execute(update(sources).where(sources.c.state == SourceState.WAITING).values(ready_at=moved))

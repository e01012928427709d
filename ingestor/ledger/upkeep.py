"""What time does to the ledger: ids that end, rows that nobody needs any more, and facts that a restart remembers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, or_, select, text, update

from ingestor.ledger.line import withdraw_renewal
from ingestor.ledger.rows import VANISHED, Place, join_path, tell
from ingestor.ledger.schema import history, sources, uploads
from ingestor.ledger.statements import KEEP_FACT, this, upsert
from ingestor.ledger.uploads import end_by_time, is_waited_for, list_end, set_upload, upload_of
from ingestor.model import ContentId, Event, SourceState, State

HAS_NO_ID = (State.EXPIRED, State.PURGED, State.QUARANTINED, State.WAITING, State.SENDING)


def expire(connection: Connection, now: datetime, limit: int) -> int:
    """Mark what the API has purged by now; how many, at most `limit`, so that nobody waits long behind it."""
    rows = connection.execute(
        select(uploads)
        .where(uploads.c.state.in_((State.LIVE, State.RENEWING)), uploads.c.expires_at <= now)
        .order_by(uploads.c.expires_at)
        .limit(limit)
    ).all()
    for row in rows:
        end_by_time(connection, row, now)
    return len(rows)


def purge(
    connection: Connection, content_id: ContentId, file_id: str, why: str, now: datetime, *, withdraw: bool
) -> bool:
    """The file is gone at the API; False if the content has another id by now.

    A renewal in line goes on as an upload without an id, unless `withdraw` takes it out of the line. Its intent stays:
    what is on its way ends with a receipt.
    """
    row = upload_of(connection, content_id)
    if row.file_id != file_id or row.state not in (State.LIVE, State.RENEWING, State.EXPIRED):
        return False
    if withdraw:
        withdraw_renewal(connection, row, now)
    goes_on = row.state == State.RENEWING and not withdraw and is_waited_for(connection, content_id)
    row = set_upload(connection, row, State.SENDING if goes_on else State.PURGED, now)
    list_end(connection, row, Event.PURGED, now, why)
    return True


# -- forgetting ------------------------------------------------------------------------------------

_IS_GONE = and_(
    sources.c.changed_at < bindparam("before"),
    or_(sources.c.state == SourceState.VANISHED, sources.c.reason == VANISHED, sources.c.put_away.is_not(None)),
    sources.c.state.in_((SourceState.DONE, SourceState.VANISHED)),
    or_(uploads.c.state.is_(None), and_(uploads.c.state.in_(HAS_NO_ID), uploads.c.changed_at < bindparam("before"))),
)
"""The file is not there, no id of it is good, and nobody waits for either; the manifest has long been told so."""

LONG_GONE = (
    select(sources.c.folder, sources.c.directory, sources.c.name)
    .select_from(sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id))
    .where(_IS_GONE)
    .limit(bindparam("limit"))
)
_STILL_GONE = LONG_GONE.where(
    sources.c.folder == bindparam("this_folder"),
    sources.c.directory == bindparam("this_directory"),
    sources.c.name == bindparam("this_name"),
)
_FORGET_SOURCE = delete(sources).where(
    sources.c.folder == bindparam("this_folder"),
    sources.c.directory == bindparam("this_directory"),
    sources.c.name == bindparam("this_name"),
)
_FORGET_STORY = delete(history).where(
    history.c.folder == bindparam("this_folder"), history.c.path == bindparam("this_path")
)

_OTHERS = history.alias("others")
_IS_SUPERSEDED = exists().where(
    _OTHERS.c.folder == history.c.folder,
    _OTHERS.c.path == history.c.path,
    _OTHERS.c.seq > history.c.seq,
    _OTHERS.c.seq <= bindparam("last_seq"),
    _OTHERS.c.listed,
)
"""The manifest has a newer line about the same path."""
_IN_SLICE = and_(history.c.seq > bindparam("after_seq"), history.c.seq <= bindparam("up_to_seq"))

_FORGET_HISTORY = delete(history).where(
    _IN_SLICE, history.c.at < bindparam("before"), or_(~history.c.listed, _IS_SUPERSEDED)
)
_UNLIST = update(history).where(_IN_SLICE, history.c.listed, _IS_SUPERSEDED).values(listed=False)
_FORGET_UPLOADS = delete(uploads).where(
    uploads.c.content_id.in_(bindparam("contents", expanding=True)),
    uploads.c.changed_at < bindparam("before"),
    uploads.c.state.in_(HAS_NO_ID),
    ~exists().where(sources.c.content_id == uploads.c.content_id),
)


def forget_gone(connection: Connection, places: Sequence[Place], before: datetime) -> int:
    """Remove paths with their stories, those that are gone still; how many."""
    forgotten = 0
    for folder, path in places:
        where = this(folder, path)
        if connection.execute(_STILL_GONE, {**where, "before": before, "limit": 1}).one_or_none() is None:
            continue
        connection.execute(_FORGET_SOURCE, where)
        connection.execute(_FORGET_STORY, {"this_folder": folder, "this_path": path})
        forgotten += 1
    return forgotten


def forget_history(connection: Connection, before: datetime, after_seq: int, up_to_seq: int) -> int:
    """Remove what was told before then and stands in no manifest, or was followed there by a newer line."""
    last_seq = connection.execute(select(func.max(history.c.seq))).scalar() or 0
    which = {"before": before, "after_seq": after_seq, "up_to_seq": up_to_seq, "last_seq": last_seq}
    return connection.execute(_FORGET_HISTORY, which).rowcount


def forget_uploads(connection: Connection, contents: Sequence[str], before: datetime) -> int:
    """Remove uploads that no path is left of, and whose keys the API has forgotten; how many."""
    return connection.execute(_FORGET_UPLOADS, {"contents": contents, "before": before}).rowcount


def unlist_superseded(connection: Connection, after_seq: int, up_to_seq: int, last_seq: int) -> int:
    """Take lines from the manifest's that have a newer one up to `last_seq`; how many."""
    which = {"after_seq": after_seq, "up_to_seq": up_to_seq, "last_seq": last_seq}
    return connection.execute(_UNLIST, which).rowcount


def long_gone(connection: Connection, before: datetime, limit: int) -> Sequence[Place]:
    """Paths that nobody needs any more, at most `limit`."""
    rows = connection.execute(LONG_GONE, {"before": before, "limit": limit})
    return [(row.folder, join_path(row.directory, row.name)) for row in rows]


def orphans(connection: Connection, after: str, before: datetime, limit: int) -> Sequence[str]:
    """Contents above `after` that have not changed since `before`, and that no path has."""
    statement = (
        select(uploads.c.content_id)
        .where(
            uploads.c.content_id > after,
            uploads.c.changed_at < before,
            uploads.c.state.in_(HAS_NO_ID),
            ~exists().where(sources.c.content_id == uploads.c.content_id),
        )
        .order_by(uploads.c.content_id)
        .limit(limit)
    )
    return connection.execute(statement).scalars().all()


def slice_end(connection: Connection, after_seq: int, limit: int, before: datetime | None = None) -> int | None:
    """Where the next `limit` entries of the history end that were told before then; None when there are none."""
    entries = select(history.c.seq, history.c.at).where(history.c.seq > after_seq).order_by(history.c.seq).limit(limit)
    page = entries.subquery()
    statement = select(func.max(page.c.seq))
    if before is not None:
        statement = statement.where(page.c.at < before)
    end: int | None = connection.execute(statement).scalar()
    return end


# -- facts -----------------------------------------------------------------------------------------


def set_fact(connection: Connection, name: str, value: Any, now: datetime) -> None:
    connection.execute(upsert(connection, KEEP_FACT), {"name": name, "value": value, "changed_at": now})


def start_numbering_after(connection: Connection, seq: int, now: datetime) -> None:
    """Number what happens from now on above `seq`: a manifest outlived the ledger that had written it."""
    latest = connection.execute(select(func.max(history.c.seq))).scalar() or 0
    if latest < seq:
        tell(connection, now, "", "", "ledger_restarted", {}, seq=seq)
        if connection.dialect.name == "postgresql":
            # SQLite goes on above the highest number; a sequence does not know of it.
            connection.execute(text("SELECT setval(pg_get_serial_sequence('history', 'seq'), :seq)"), {"seq": seq})
        number_on(connection)


_NUMBER_ON = text("SELECT setval(pg_get_serial_sequence('history', 'seq'), max(seq)) FROM history")


def number_on(connection: Connection) -> None:
    """Go on after the highest number; PostgreSQL, unlike SQLite, does not look at numbers that it has not given."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NUMBER_ON)

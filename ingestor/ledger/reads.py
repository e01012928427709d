"""Every question to the ledger: one function each, on a connection that the caller holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from ingestor.ledger.prepared import Prepared
from ingestor.ledger.rows import VANISHED, ledger_entry, queued_source, split_path
from ingestor.ledger.schema import facts, history, sources, uploads
from ingestor.ledger.statements import SOURCE, this
from ingestor.model import (
    Content,
    ContentId,
    Counts,
    Event,
    FileId,
    HistoryEntry,
    Lane,
    LedgerEntry,
    QueuedSource,
    SourceState,
    State,
)
from ingestor.policy.life_cycle import HAS_LIVE_ID

_JOINED = select(sources, *(column.label(f"u_{column.name}") for column in uploads.c)).select_from(
    sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id)
)


def due(
    connection: Connection, lane: Lane, now: datetime, limit: int, batch: str | None, folders: Sequence[str] | None
) -> Sequence[QueuedSource]:
    """The paths of a lane whose turn it is, in line order; only those of `batch` and `folders`, where given."""
    statement = (
        select(sources)
        .where(*_in_line(batch, folders), sources.c.lane == int(lane), sources.c.ready_at <= now)
        .order_by(sources.c.ready_at)
        .limit(limit)
    )
    return [queued_source(row) for row in connection.execute(statement)]


def in_line(connection: Connection, folder: str, path: str) -> QueuedSource | None:
    """A path that waits, whether or not its turn has come; None: it does not wait."""
    row = SOURCE.on(connection, this(folder, path)).one_or_none()
    return None if row is None or row.state != SourceState.WAITING else queued_source(row)


def next_ready_at(connection: Connection, batch: str | None, folders: Sequence[str] | None) -> datetime | None:
    """When the next waiting path's turn is; None when nobody waits."""
    # Lane by lane, so that the index leads to the first one and a long line is not read to its end.
    firsts = [
        connection.execute(
            select(sources.c.ready_at)
            .where(*_in_line(batch, folders), sources.c.lane == int(lane))
            .order_by(sources.c.ready_at)
            .limit(1)
        ).scalar()
        for lane in Lane
    ]
    return min((first for first in firsts if first is not None), default=None)


def count_waiting(connection: Connection, batch: str | None, folders: Sequence[str] | None) -> int:
    """How many paths are in line."""
    statement = select(func.count()).select_from(sources).where(*_in_line(batch, folders))
    number: int = connection.execute(statement).scalar_one()
    return number


def _in_line(batch: str | None, folders: Sequence[str] | None) -> list[Any]:
    conditions: list[Any] = [sources.c.state == SourceState.WAITING]
    if batch is not None:
        conditions.append(sources.c.batch == batch)
    if folders is not None:
        conditions.append(sources.c.folder.in_(folders))
    return conditions


def next_expiry_at(connection: Connection) -> datetime | None:
    statement = select(func.min(uploads.c.expires_at)).where(uploads.c.state.in_((State.LIVE, State.RENEWING)))
    expires_at: datetime | None = connection.execute(statement).scalar()
    return expires_at


def live_id(connection: Connection) -> FileId | None:
    """One that has not been marked as ended, the last to end. One state at a time, which the index answers at once."""
    for state in (State.LIVE, State.RENEWING):
        statement = select(uploads.c.file_id).where(uploads.c.state == state).order_by(uploads.c.expires_at.desc())
        found = connection.execute(statement.limit(1)).scalar()
        if found is not None:
            return FileId(found)
    return None


def renewable(
    connection: Connection, folders: Sequence[str], before: datetime, *, ended: bool, served: Sequence[str] | None
) -> Sequence[tuple[ContentId, datetime]]:
    """Each content with a live id that ends before, and a source in one of the folders; by the end of its id.

    A renewal that nobody is in line for any more is wanted as if it had never begun. `ended`: ids that have ended are
    wanted again too. `served`: whoever is in line in another folder is in line for nothing; None: all are served.
    """
    waits = exists().where(sources.c.content_id == uploads.c.content_id, sources.c.state == SourceState.WAITING)
    if served is not None:
        waits = waits.where(sources.c.folder.in_(served))
    states = [State.LIVE, State.RENEWING, *([State.EXPIRED] if ended else [])]
    statement = (
        select(uploads.c.content_id, uploads.c.expires_at)
        .where(
            uploads.c.state.in_(states),
            or_(uploads.c.state != State.RENEWING, ~waits),
            uploads.c.expires_at <= before,
            exists().where(
                sources.c.content_id == uploads.c.content_id,
                sources.c.folder.in_(folders),
                sources.c.state == SourceState.DONE,
                sources.c.put_away.is_(None),
                sources.c.reason.is_(None),
            ),
            ~waits.where(sources.c.wanted_generation > uploads.c.generation),
        )
        .order_by(uploads.c.expires_at, uploads.c.content_id)
    )
    return [(ContentId(row.content_id), row.expires_at) for row in connection.execute(statement)]


_LINE = sources.alias()
# What waits for a renewal has been read before.
_SIZES_IN_LINE = select(_LINE.c.size_bytes).where(
    _LINE.c.state == SourceState.WAITING, _LINE.c.lane != int(Lane.RENEWAL)
)


def sizes_in_line(connection: Connection, among: Set[int]) -> Set[int]:
    """Those of the sizes `among` that a file has which is in line, and whose bytes nobody has read yet."""
    return among & set(connection.execute(_SIZES_IN_LINE.distinct()).scalars())


def forsaken(connection: Connection, folders: Sequence[str]) -> Sequence[tuple[ContentId, FileId]]:
    """Each content with a live id that was found in one of the folders, and whose every source is gone.

    Not while a file with as many bytes as one of those is in line in any folder: it may be that one under a new name.
    """
    of_it = sources.c.content_id == uploads.c.content_id
    statement = select(uploads.c.content_id, uploads.c.file_id).where(
        uploads.c.state.in_(HAS_LIVE_ID),
        exists().where(of_it, sources.c.folder.in_(folders), sources.c.reason == VANISHED),
        ~exists().where(of_it, or_(sources.c.reason.is_(None), sources.c.reason != VANISHED)),
        ~exists().where(of_it, sources.c.size_bytes.in_(_SIZES_IN_LINE)),
    )
    return [(ContentId(row.content_id), FileId(row.file_id)) for row in connection.execute(statement)]


def content(connection: Connection, content_id: ContentId) -> Content:
    row = connection.execute(select(uploads).where(uploads.c.content_id == content_id)).one()
    return Content(digest=row.digest, purpose=row.purpose, metadata=row.metadata, content_id=content_id)


def content_states(connection: Connection, digests: Sequence[str]) -> Mapping[ContentId, State]:
    """Where the contents with these digests stand."""
    statement = select(uploads.c.content_id, uploads.c.state).where(uploads.c.digest.in_(digests))
    return {row.content_id: State(row.state) for row in connection.execute(statement)}


# -- for operators ---------------------------------------------------------------------------------


def counts(connection: Connection, now: datetime, within: timedelta) -> Counts:
    statement = (
        select(sources.c.folder, sources.c.state, uploads.c.state, func.count())
        .select_from(sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id))
        .group_by(sources.c.folder, sources.c.state, uploads.c.state)
    )
    by_state: dict[tuple[str, str], int] = {}
    for folder, state, upload_state, number in connection.execute(statement):
        shown = upload_state if state == SourceState.DONE and upload_state else state
        by_state[folder, shown] = by_state.get((folder, shown), 0) + number
    expiring = (
        select(sources.c.folder, func.count().label("number"))
        .select_from(sources.join(uploads, uploads.c.content_id == sources.c.content_id))
        .where(
            sources.c.state == SourceState.DONE,
            uploads.c.state.in_((State.LIVE, State.RENEWING)),
            uploads.c.expires_at <= now + within,
        )
        .group_by(sources.c.folder)
    )
    return Counts(
        by_state=by_state,
        expiring={row.folder: row.number for row in connection.execute(expiring)},
        next_expiry_at=next_expiry_at(connection),
    )


_FEW = 5_000
"""So many paths are found by their state and sorted; more are walked in their order, page by page."""
_OWN_STATES = frozenset(SourceState) - {SourceState.DONE}
"""Of the states that are shown to users, those that a path has by itself."""


def entries(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    folder: str | None = None,
    batch: str | None = None,
    expires_before: datetime | None = None,
    live_at: datetime | None = None,
    limit: int | None = None,
    after: tuple[str, str] | None = None,
) -> Sequence[LedgerEntry]:
    """Every path, in path order; only those in `states` (as shown to users), where given.

    `live_at`: only those whose id is good then, wherever the path itself stands. Page by page with `limit` and `after`,
    the (folder, path) of the last one seen.
    """
    statement = _JOINED.order_by(sources.c.folder, sources.c.directory, sources.c.name).limit(limit)
    few = _are_few(connection, states)
    if folder is not None:
        statement = statement.where((unindexed(sources.c.folder) if few else sources.c.folder) == folder)
    if batch is not None:
        statement = statement.where(sources.c.batch == batch)
    if expires_before is not None:
        statement = statement.where(uploads.c.expires_at <= expires_before)
    if live_at is not None:
        # Walked in path order: by the index of states all of them would be sorted for each page.
        statement = statement.where(unindexed(uploads.c.state).in_(HAS_LIVE_ID), uploads.c.expires_at > live_at)
    if states:
        theirs = uploads.c.state.in_(states)
        done = (sources.c.state == SourceState.DONE) & theirs
        if few:
            by_content = sources.c.content_id.in_(select(uploads.c.content_id).where(theirs))
            done = (unindexed(sources.c.state) == SourceState.DONE) & by_content
        statement = statement.where(or_(sources.c.state.in_(states), done))
    if after is not None:
        place = tuple_(sources.c.folder, sources.c.directory, sources.c.name)
        statement = statement.where(place > tuple_(*_literals(after)))
    return list(_rows(connection, statement))


def _are_few(connection: Connection, states: Sequence[str]) -> bool:
    own = _OWN_STATES.intersection(states)
    if not states or len(own) < len(states):
        return False
    some = select(literal(1)).where(sources.c.state.in_(own)).limit(_FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() <= _FEW


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column in an expression: an index by it would lead to nearly every path."""
    return column + ""


def _literals(after: tuple[str, str]) -> tuple[Any, Any, Any]:
    folder, path = after
    directory, name = split_path(path)
    return literal(folder), literal(directory, sources.c.directory.type), literal(name, sources.c.name.type)


def find(connection: Connection, wanted: str, places: Sequence[tuple[str, str]]) -> Sequence[LedgerEntry]:
    """The paths that a user means by `wanted`: a file id, or one of `places` (folder, path)."""
    # An id is plain text; a path may have bytes that no database takes for text.
    found = list(_rows(connection, _JOINED.where(uploads.c.file_id == wanted))) if wanted.isascii() else []
    for folder, path in places:
        directory, name = split_path(path)
        statement = _JOINED.where(sources.c.folder == folder, sources.c.directory == directory, sources.c.name == name)
        found.extend(entry for entry in _rows(connection, statement) if entry not in found)
    return found


def entries_of(connection: Connection, content_id: ContentId) -> Sequence[LedgerEntry]:
    """Every path with this content."""
    return list(_rows(connection, _JOINED.where(sources.c.content_id == content_id)))


def find_former(connection: Connection, file_id: str) -> Sequence[tuple[str, str]]:
    """The (folder, path) that once had this file id, by the story."""
    statement = (
        select(history.c.folder, history.c.path)
        .where(
            # A line that the manifest has dropped for a newer one still tells of the id.
            history.c.event.in_(list(Event)),
            cast(history.c.detail, Text).contains(f'"file_id":"{file_id}"', autoescape=True),
        )
        .distinct()
    )
    return [(row.folder, row.path) for row in connection.execute(statement)]


def _rows(connection: Connection, statement: Select[Any]) -> Iterator[LedgerEntry]:
    return (ledger_entry(row) for row in connection.execute(statement))


def story(connection: Connection, folder: str, path: str) -> Sequence[HistoryEntry]:
    """All that happened to a path, oldest first."""
    statement = select(history).where(history.c.folder == folder, history.c.path == path).order_by(history.c.seq)
    return [_history(row) for row in connection.execute(statement)]


_LINES = Prepared(
    select(history)
    .where(history.c.listed, history.c.seq > bindparam("seq"))
    .order_by(history.c.seq)
    .limit(bindparam("limit"))
)


def lines_after(connection: Connection, seq: int, limit: int) -> Sequence[HistoryEntry]:
    """The manifest's lines above `seq`, in order."""
    return [_history(row) for row in _LINES.on(connection, {"seq": seq, "limit": limit}).rows]


_LINE_NUMBERS = (
    select(history.c.seq)
    .where(history.c.listed, history.c.seq > bindparam("seq"))
    .order_by(history.c.seq)
    .limit(bindparam("limit"))
)


def line_numbers(connection: Connection, seq: int, limit: int) -> Sequence[int]:
    """The numbers of the manifest's lines above `seq`, in order."""
    return connection.execute(_LINE_NUMBERS, {"seq": seq, "limit": limit}).scalars().all()


def _history(row: Any) -> HistoryEntry:
    return HistoryEntry(
        seq=row.seq,
        at=row.at,
        folder=row.folder,
        path=row.path,
        event=row.event,
        listed=row.listed,
        detail=row.detail,
    )


def fact(connection: Connection, name: str) -> Any:
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()


def all_facts(connection: Connection) -> Mapping[str, Any]:
    return {row.name: row.value for row in connection.execute(select(facts))}

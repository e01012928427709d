"""What operators ask the ledger: counts, present lines, where something is. One function a question."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, exists, func, literal, null, or_, select

from ingestor.ledger.reads import _JOINED, _history
from ingestor.ledger.rows import VANISHED, join_path, ledger_entry, split_path
from ingestor.ledger.schema import history, sources, uploads
from ingestor.model import ContentId, HistoryEntry, Lane, LedgerEntry, SourceState, State

STATES = ("waiting", "sending", "renewing", "live", "expired", "purged", "quarantined", "vanished")
"""Where a path may stand, as operators see it."""

_TURN_AT = case((sources.c.ready_at > sources.c.changed_at, sources.c.ready_at), else_=sources.c.changed_at)
"""Of a path that waits: `ready_at` of a renewal is earlier than that, since it tells whose turn is first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """So many paths of a folder stand alike."""

    folder: str
    state: str
    """One of `STATES`."""
    number: int
    expiring_1h: int
    """Of them, those whose id expires within the hour."""
    expiring_6h: int
    next_expiry_at: datetime | None
    next_attempt_at: datetime | None
    """When the first of those that wait is taken up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    folder: str
    reason: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A content as a plan needs it."""

    state: State
    expires_at: datetime | None
    reason: str | None


def stands(connection: Connection, now: datetime) -> Sequence[Stand]:
    """By folder and state; an id that has expired counts so, whether or not anybody has marked it yet."""
    return [stand for folder in folder_names(connection) for stand in _stands_in(connection, folder, now)]


def _stands_in(connection: Connection, folder: str, now: datetime) -> Sequence[Stand]:
    """Who has a good id, by the index alone; the others by their uploads."""
    done = sources.c.state == SourceState.DONE
    good = (sources.c.folder == folder, done, sources.c.live_until > now)
    number = select(func.count()).select_from(sources).where(*good)
    live = select(
        literal(State.LIVE.value).label("shown"),
        number.scalar_subquery().label("number"),
        *(
            number.where(sources.c.live_until <= until).scalar_subquery().label(name)
            for name, until in _soon(now).items()
        ),
        select(func.min(sources.c.live_until)).where(*good).scalar_subquery().label("next_expiry_at"),
        null().label("next_attempt_at"),
    )
    # Each by its part of the index: where they are joined with OR, SQLite looks through all paths.
    others = (
        sources.c.state.in_([state for state in SourceState if state != SourceState.DONE]),
        and_(done, sources.c.live_until.is_(None)),
        and_(done, sources.c.live_until <= now),
    )
    rest = (_by_uploads(now).where(sources.c.folder == folder, which) for which in others)
    found: dict[str, Stand] = {}
    for row in (row for statement in (live, *rest) for row in connection.execute(statement) if row.number):
        stand = Stand(
            folder=folder,
            state=row.shown,
            number=row.number,
            expiring_1h=row.expiring_1h,
            expiring_6h=row.expiring_6h,
            next_expiry_at=row.next_expiry_at,
            next_attempt_at=row.next_attempt_at,
        )
        found[row.shown] = _together(found[row.shown], stand) if row.shown in found else stand
    return list(found.values())


def _together(one: Stand, other: Stand) -> Stand:
    return Stand(
        folder=one.folder,
        state=one.state,
        number=one.number + other.number,
        expiring_1h=one.expiring_1h + other.expiring_1h,
        expiring_6h=one.expiring_6h + other.expiring_6h,
        next_expiry_at=_first(one.next_expiry_at, other.next_expiry_at),
        next_attempt_at=_first(one.next_attempt_at, other.next_attempt_at),
    )


def _first(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _soon(now: datetime) -> dict[str, datetime]:
    return {f"expiring_{hours}h": now + timedelta(hours=hours) for hours in (1, 6)}


def _by_uploads(now: datetime) -> Select[Any]:
    """Of all paths, or of those that the caller picks."""
    has_id = uploads.c.state.in_((State.LIVE, State.RENEWING))
    is_good = has_id & (uploads.c.expires_at > now)
    waits = sources.c.state == SourceState.WAITING
    done = sources.c.state == SourceState.DONE
    shown = case(
        (waits & (uploads.c.state == State.SENDING), State.SENDING.value),
        (waits & (sources.c.lane == int(Lane.RENEWAL)) & is_good, State.RENEWING.value),
        (waits & (uploads.c.state == State.RENEWING), State.RENEWING.value),
        (done & is_good, State.LIVE.value),
        (done & has_id, State.EXPIRED.value),
        (done & uploads.c.state.is_not(None), uploads.c.state),
        else_=sources.c.state,
    )
    counted = done & is_good
    return (
        select(
            shown.label("shown"),
            func.count().label("number"),
            *(
                func.count(case((counted & (uploads.c.expires_at <= until), 1))).label(name)
                for name, until in _soon(now).items()
            ),
            func.min(case((is_good, uploads.c.expires_at))).label("next_expiry_at"),
            func.min(case((waits, _TURN_AT))).label("next_attempt_at"),
        )
        .select_from(sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id))
        .group_by(shown)
    )


def quarantines(connection: Connection) -> Sequence[Quarantine]:
    number = func.count().label("number")
    statement = (
        select(sources.c.folder, sources.c.reason, number)
        .where(sources.c.state == SourceState.QUARANTINED)
        .group_by(sources.c.folder, sources.c.reason)
        .order_by(number.desc(), sources.c.folder, sources.c.reason)
    )
    return [
        Quarantine(folder=row.folder, reason=row.reason or "unknown", number=row.number)
        for row in connection.execute(statement)
    ]


def live_ids(connection: Connection, now: datetime) -> int:
    statement = (
        select(func.count())
        .select_from(uploads)
        .where(uploads.c.state.in_((State.LIVE, State.RENEWING)), uploads.c.expires_at > now)
    )
    number: int = connection.execute(statement).scalar_one()
    return number


def kept_alive(connection: Connection, folders: Sequence[str], now: datetime) -> int:
    """From the ids on: those that are good at once are bounded by the quota, the files of a folder by nothing."""
    has_source = exists().where(
        sources.c.content_id == uploads.c.content_id,
        sources.c.folder.in_(folders),
        sources.c.put_away.is_(None),
        or_(
            sources.c.state == SourceState.WAITING,
            and_(sources.c.state == SourceState.DONE, sources.c.reason.is_(None)),
        ),
    )
    statement = (
        select(func.count())
        .select_from(uploads)
        .where(uploads.c.state.in_((State.LIVE, State.RENEWING)), uploads.c.expires_at > now, has_source)
    )
    number: int = connection.execute(statement).scalar_one()
    return number


def count_live(connection: Connection, folder: str, now: datetime) -> int:
    """How many paths of a folder go by an id that is good."""
    statement = (
        select(func.count())
        .select_from(sources)
        .where(sources.c.folder == folder, sources.c.state == SourceState.DONE, sources.c.live_until > now)
    )
    number: int = connection.execute(statement).scalar_one()
    return number


def last_seq(connection: Connection) -> int:
    latest: int | None = connection.execute(select(func.max(history.c.seq))).scalar()
    return latest or 0


def present_lines(
    connection: Connection, *, up_to_seq: int, after_seq: int, folder: str | None, limit: int
) -> Sequence[HistoryEntry]:
    """The last listed line of each path among those up to `up_to_seq`, in order, page by page."""
    later = history.alias("later")
    last_of_path = (
        select(func.max(later.c.seq))
        .where(
            later.c.folder == history.c.folder,
            later.c.path == history.c.path,
            later.c.listed,
            later.c.seq <= up_to_seq,
        )
        .correlate(history)
        .scalar_subquery()
    )
    statement = (
        select(history)
        .where(history.c.listed, history.c.seq > after_seq, history.c.seq <= up_to_seq, history.c.seq == last_of_path)
        .order_by(history.c.seq)
        .limit(limit)
    )
    if folder is not None:
        statement = statement.where(history.c.folder == folder)
    return [_history(row) for row in connection.execute(statement)]


def folder_names(connection: Connection) -> Sequence[str]:
    # From one to the next by the index: `DISTINCT` would look at every path.
    names: list[str] = []
    after = select(func.min(sources.c.folder)).where(sources.c.folder > bindparam("last"))
    while (name := connection.execute(after, {"last": names[-1] if names else ""}).scalar()) is not None:
        names.append(name)
    return names


def find_put_away(connection: Connection, places: Sequence[str]) -> Sequence[LedgerEntry]:
    statement = _JOINED.where(or_(*(sources.c.put_away == place for place in places)))
    return [ledger_entry(row) for row in connection.execute(statement)]


def paths_of(connection: Connection, content_id: ContentId, limit: int) -> Sequence[tuple[str, str]]:
    statement = (
        select(sources.c.folder, sources.c.directory, sources.c.name)
        .where(sources.c.content_id == content_id)
        .order_by(sources.c.folder, sources.c.directory, sources.c.name)
        .limit(limit)
    )
    return [(row.folder, join_path(row.directory, row.name)) for row in connection.execute(statement)]


def holders_of(connection: Connection, content_id: ContentId) -> Sequence[tuple[str, str]]:
    """The paths whose manifest line is about this content, and whose file is not known to be gone."""
    statement = (
        select(sources.c.folder, sources.c.directory, sources.c.name)
        .where(
            sources.c.content_id == content_id,
            sources.c.listed_content_id == content_id,
            or_(sources.c.reason.is_(None), sources.c.reason != VANISHED),
        )
        .order_by(sources.c.folder, sources.c.directory, sources.c.name)
    )
    return [(row.folder, join_path(row.directory, row.name)) for row in connection.execute(statement)]


def source_sizes(connection: Connection, among: Sequence[int]) -> frozenset[int]:
    """Those of the sizes `among`, which are in order, that a file has whose content is known."""
    statement = select(sources.c.size_bytes).where(sources.c.content_id.is_not(None)).distinct()
    found = set()
    for size in connection.execute(statement, execution_options={"yield_per": 5_000}).scalars():
        at = bisect_left(among, size)
        if at < len(among) and among[at] == size:
            found.add(size)
    return frozenset(found)


def content_of(connection: Connection, folder: str, path: str) -> ContentId | None:
    directory, name = split_path(path)
    statement = select(sources.c.content_id).where(
        sources.c.folder == folder, sources.c.directory == directory, sources.c.name == name
    )
    content_id: ContentId | None = connection.execute(statement).scalar()
    return content_id


def standing_of(connection: Connection, content_ids: Sequence[ContentId]) -> Mapping[ContentId, Held]:
    statement = select(uploads.c.content_id, uploads.c.state, uploads.c.expires_at, uploads.c.reason).where(
        uploads.c.content_id.in_(content_ids)
    )
    return {
        ContentId(row.content_id): Held(state=State(row.state), expires_at=row.expires_at, reason=row.reason)
        for row in connection.execute(statement)
    }


def quick_check(connection: Connection) -> Sequence[str]:
    """What SQLite finds wrong with its file."""
    found: list[Any] = list(connection.exec_driver_sql("PRAGMA quick_check(3)").scalars())
    return [] if found == ["ok"] else [str(one) for one in found]

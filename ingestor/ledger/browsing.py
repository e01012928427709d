"""The ledger for whoever leafs through it: a page of paths at a time, out of a million, without holding anybody up.

A rare state is found by its index. Everything else is looked through in path order, slice by slice, for a given time:
a page may end early, and says where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)

from ingestor.ledger.columns import escape_path
from ingestor.ledger.reader import LedgerReader
from ingestor.ledger.rows import join_path, ledger_entry, split_path
from ingestor.ledger.schema import sources, uploads
from ingestor.ledger.totals import HAS_ID, Totals, totals
from ingestor.model import Lane, LedgerEntry, SourceState, State

SLICE = 10_000
"""Paths looked through at once: 10 to 20 ms."""
RARE = 20_000
"""Paths in a state that are put in order for each page: 100 ms."""
LOOK_SECONDS = 1.0
"""How long one page may look for what it is to show."""

Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which paths are wanted. What is None or empty does not matter."""

    folder: str | None = None
    state: str | None = None
    """One of `overview.STATES`, as of now."""
    expires_within: timedelta | None = None
    """Of those with a good id."""
    reason: str | None = None
    """Of those that are quarantined."""
    words: str = ""
    """Part of `folder/path`; upper and lower case are alike."""
    begins: str = ""
    """Beginning of `folder/path`, or of the path in its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    entry: LedgerEntry
    state: str
    """One of `overview.STATES`: an id that has expired counts so, whether or not anybody has marked it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A page of paths, in path order."""

    seen: tuple[Seen, ...]
    go_on_after: Place | None
    """Where the next page begins; None: this was the last."""


def is_rare(sought: Sought, totals: Totals) -> bool:
    """Whether what is sought is found faster by the index of its state than by looking through all paths."""
    match sought.state:
        case "waiting" | "sending" | "renewing":
            number = totals.sources.get("waiting", 0)
        case "quarantined" | "vanished":
            number = totals.sources.get(sought.state, 0)
        case "expired" | "purged":
            number = totals.uploads.get(sought.state, 0)
        case None if sought.expires_within is not None:
            number = totals.expiring_1h if sought.expires_within <= timedelta(hours=1) else totals.expiring_6h
        case _:
            return False
    return number <= RARE


class LedgerBrowser(LedgerReader):
    """A `LedgerReader` with pages of paths."""

    async def browse(self, sought: Sought, *, limit: int, after: Place | None = None, is_rare: bool = False) -> Leaf:
        """The next page after a place. `is_rare`: the state that is sought has few paths, and is found by its index."""
        now, until = self._clock.now(), self._clock.monotonic() + LOOK_SECONDS
        if is_rare:
            return await self._read(rare, sought, after, limit, now)
        seen: tuple[Seen, ...] = ()
        while True:
            leaf = await self._read(slice_of, sought, after, limit - len(seen), now)
            seen, after = (*seen, *leaf.seen), leaf.go_on_after
            if after is None or len(seen) >= limit or self._clock.monotonic() >= until:
                return Leaf(seen=seen, go_on_after=after)

    async def named(self, wanted: str, limit: int) -> Sequence[Seen]:
        """The paths whose file id, or whose source's sha256, is just this."""
        return await self._read(named, wanted, limit, self._clock.now())

    async def ids_beginning(self, begins: str, limit: int) -> Sequence[str]:
        """Live file ids that begin so."""
        return await self._read(ids_beginning, begins, limit)

    async def one(self, place: Place) -> Seen | None:
        """A path as it stands."""
        return await self._read(one, place, self._clock.now())

    async def totals(self) -> Totals:
        """How much there is of each, as of now."""
        return await self._read(totals, self._clock.now())


def slice_of(connection: Connection, sought: Sought, after: Place | None, limit: int, now: datetime) -> Leaf:
    """What is sought among the next `SLICE` paths."""
    place = _in_order(select(*_ORDER), sought.folder, after).offset(SLICE - 1).limit(1)
    end = connection.execute(place).one_or_none()
    statement = _in_order(_seen_of(now), sought.folder, after).where(*_is_sought(sought, now)).limit(limit)
    if end is not None:
        statement = statement.where(tuple_(*_ORDER) <= tuple_(*_literals(end.folder, end.directory, end.name)))
    seen = _seen(connection, statement)
    if len(seen) == limit:
        return Leaf(seen=seen, go_on_after=_place(seen[-1]))
    return Leaf(seen=seen, go_on_after=None if end is None else (end.folder, join_path(end.directory, end.name)))


def rare(connection: Connection, sought: Sought, after: Place | None, limit: int, now: datetime) -> Leaf:
    """What is sought among all that are in the state that is sought, found by its index and put in order."""
    statement = _seen_of(now).where(*_by_index(sought, now), *_is_sought(sought, now)).limit(limit)
    seen = _seen(connection, _in_order(statement, sought.folder, after))
    return Leaf(seen=seen, go_on_after=_place(seen[-1]) if len(seen) == limit else None)


def named(connection: Connection, wanted: str, limit: int, now: datetime) -> Sequence[Seen]:
    is_named = or_(uploads.c.file_id == wanted, uploads.c.digest == wanted)
    contents = select(uploads.c.content_id).where(is_named).scalar_subquery()
    return _seen(connection, _seen_of(now).where(sources.c.content_id.in_(contents)).limit(limit))


def ids_beginning(connection: Connection, begins: str, limit: int) -> Sequence[str]:
    is_meant = and_(uploads.c.state.in_(HAS_ID), uploads.c.file_id.startswith(begins, autoescape=True))
    return list(connection.scalars(select(uploads.c.file_id).where(is_meant).limit(limit)))


def one(connection: Connection, place: Place, now: datetime) -> Seen | None:
    folder, (directory, name) = place[0], split_path(place[1])
    is_it = (sources.c.folder == folder, sources.c.directory == directory, sources.c.name == name)
    found = _seen(connection, _seen_of(now).where(*is_it))
    return found[0] if found else None


def _shown(now: datetime) -> ColumnElement[str]:
    """Where a row of `sources`, joined with `uploads`, stands: one of `overview.STATES`."""
    is_good = uploads.c.state.in_(HAS_ID) & (uploads.c.expires_at > now)
    waits, done = sources.c.state == SourceState.WAITING, sources.c.state == SourceState.DONE
    return case(
        (waits & (uploads.c.state == State.SENDING), State.SENDING.value),
        (waits & (sources.c.lane == int(Lane.RENEWAL)) & is_good, State.RENEWING.value),
        (waits & (uploads.c.state == State.RENEWING), State.RENEWING.value),
        (done & is_good, State.LIVE.value),
        (done & uploads.c.state.in_(HAS_ID), State.EXPIRED.value),
        (done & uploads.c.state.is_not(None), uploads.c.state),
        else_=sources.c.state,
    )


# -- statements ------------------------------------------------------------------------------------

_ORDER = (sources.c.folder, sources.c.directory, sources.c.name)


def _seen_of(now: datetime) -> Select[Any]:
    upload = (column.label(f"u_{column.name}") for column in uploads.c)
    joined = sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id)
    return select(*sources.c, *upload, _shown(now).label("shown")).select_from(joined)


def _in_order(statement: Select[Any], folder: str | None, after: Place | None) -> Select[Any]:
    if folder is not None:
        statement = statement.where(sources.c.folder == folder)
    if after is not None:
        statement = statement.where(tuple_(*_ORDER) > tuple_(*_literals(after[0], *split_path(after[1]))))
    return statement.order_by(*_ORDER)


def _literals(*place: str) -> list[ColumnElement[str]]:
    return [literal(part, column.type) for part, column in zip(place, _ORDER, strict=True)]


def _is_sought(sought: Sought, now: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    directory, name = (type_coerce(column, Text) for column in (sources.c.directory, sources.c.name))
    inside = case((directory == "", name), else_=directory + "/" + name)
    path = sources.c.folder + "/" + inside
    if sought.words:
        conditions.append(path.icontains(escape_path(sought.words), autoescape=True))
    if sought.begins:
        begins = escape_path(sought.begins)
        conditions.append(or_(path.startswith(begins, autoescape=True), inside.startswith(begins, autoescape=True)))
    if sought.reason is not None:
        conditions.append(and_(sources.c.state == SourceState.QUARANTINED, sources.c.reason == sought.reason))
    if sought.state is not None:
        conditions.append(_shown(now) == sought.state)
    if sought.expires_within is not None:
        is_live = _shown(now) == State.LIVE.value
        conditions.append(and_(is_live, uploads.c.expires_at <= now + sought.expires_within))
    return conditions


def _by_index(sought: Sought, now: datetime) -> list[ColumnElement[bool]]:
    """What leads to the paths by an index: their own state, or that of their uploads."""
    match sought.state:
        case "waiting" | "sending" | "renewing":
            return [sources.c.state == SourceState.WAITING]
        case "quarantined" | "vanished":
            return [sources.c.state == sought.state]
        case "purged":
            is_meant = uploads.c.state == State.PURGED
        case "expired":
            has_ended = and_(uploads.c.state.in_(HAS_ID), uploads.c.expires_at <= now)
            is_meant = or_(uploads.c.state == State.EXPIRED, has_ended)
        case _:
            until = now + (sought.expires_within or timedelta(days=10_000))
            is_meant = and_(uploads.c.state.in_(HAS_ID), uploads.c.expires_at.between(now, until))
    return [sources.c.content_id.in_(select(uploads.c.content_id).where(is_meant))]


def _seen(connection: Connection, statement: Select[Any]) -> tuple[Seen, ...]:
    return tuple(Seen(entry=ledger_entry(row), state=row.shown) for row in connection.execute(statement))


def _place(seen: Seen) -> Place:
    return (seen.entry.folder, seen.entry.path)

"""What hooks still have to deliver: filled from the history, so that nothing is missed after a crash.

A delivery holds all that it tells, for the history behind it may be forgotten before somebody answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    type_coerce,
    update,
)

from ingestor.ledger.reads import fact
from ingestor.ledger.rows import join_path, receipt_detail, tell
from ingestor.ledger.schema import deliveries, history, sources, uploads
from ingestor.ledger.upkeep import set_fact
from ingestor.model import Delivery, HistoryEntry, State
from ingestor.ports import Routes

EXPIRING = "expiring"
"""An event of the story that the manifest does not list: the id is good for a short time only."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose outbox it is: each station of a shared ledger has its own, of the same history."""

    station: str = ""

    @property
    def cursor(self) -> str:
        """The fact that says up to where the history has been put into the outbox; null while no hooks are set."""
        return f"hooks.seq@{self.station}" if self.station else "hooks.seq"

    def kept(self, target: str) -> str:
        """Under which name a target's deliveries are kept."""
        return f"{self.station}/{target}" if self.station else target

    def plain(self, kept: str) -> str:
        return kept.removeprefix(f"{self.station}/") if self.station else kept

    def is_ours(self) -> ColumnElement[bool]:
        return deliveries.c.target.startswith(f"{self.station}/", autoescape=True) if self.station else true()


# -- filling ---------------------------------------------------------------------------------------


def is_in_use(connection: Connection, scope: Scope) -> bool:
    """Whether there is a cursor, or anything to deliver."""
    return fact(connection, scope.cursor) is not None or bool(
        connection.execute(select(deliveries.c.seq).where(scope.is_ours()).limit(1)).first()
    )


def keep_targets(connection: Connection, scope: Scope, targets: Sequence[str], now: datetime) -> int:
    """Forget what is due to others than these; how much. The first targets begin with what happens from now on."""
    kept = [scope.kept(target) for target in targets]
    forgotten = connection.execute(delete(deliveries).where(scope.is_ours(), deliveries.c.target.not_in(kept))).rowcount
    if not targets:
        set_fact(connection, scope.cursor, None, now)
    elif fact(connection, scope.cursor) is None:
        set_fact(connection, scope.cursor, _last_seq(connection), now)
    return forgotten


def is_behind(connection: Connection, scope: Scope) -> bool:
    """Whether anything has happened that was not looked at."""
    return _last_seq(connection) > (fact(connection, scope.cursor) or 0)


def _last_seq(connection: Connection) -> int:
    latest: int | None = connection.execute(select(func.max(history.c.seq))).scalar()
    return latest or 0


_AFTER = select(history).where(history.c.seq > bindparam("seq")).order_by(history.c.seq).limit(bindparam("limit"))


def enqueue(connection: Connection, scope: Scope, routes: Routes, limit: int, now: datetime) -> None:
    """Put what the next entries of the history say to whom into the outbox, and go on after them."""
    rows = connection.execute(_AFTER, {"seq": fact(connection, scope.cursor) or 0, "limit": limit}).all()
    if not rows:
        return
    told = [
        {
            "target": scope.kept(target),
            "seq": row.seq,
            "at": row.at,
            "folder": row.folder,
            "path": row.path,
            "event": row.event,
            "detail": row.detail,
            "attempt": 0,
            "ready_at": now,
            "since": now,
        }
        for row in rows
        for target in routes.get((row.folder, row.event), ())
    ]
    if told:
        connection.execute(insert(deliveries), told)
    set_fact(connection, scope.cursor, rows[-1].seq, now)


# -- ids that end soon -----------------------------------------------------------------------------


def _path() -> ColumnElement[str]:
    """The path of a row of `sources`, as `history` spells it."""
    directory, name = (type_coerce(column, Text) for column in (sources.c.directory, sources.c.name))
    return case((directory == "", name), else_=directory + "/" + name)


_IS_TOLD = exists().where(
    history.c.folder == sources.c.folder,
    type_coerce(history.c.path, Text) == _path(),
    history.c.event == EXPIRING,
    type_coerce(history.c.detail, Text).contains(literal('"file_id":"') + uploads.c.file_id + '"'),
)
# One state at a time: then an index has the rows in order, and the first ones are found without looking at all.
_ENDS_SOON = (
    select(*uploads.c, sources.c.folder, sources.c.directory, sources.c.name, sources.c.root)
    .select_from(uploads.join(sources, sources.c.content_id == uploads.c.content_id))
    .where(
        uploads.c.state == bindparam("this_state"),
        uploads.c.expires_at >= bindparam("since"),
        uploads.c.expires_at <= bindparam("until"),
        sources.c.folder == bindparam("this_folder"),
        sources.c.listed_content_id == uploads.c.content_id,
        sources.c.listed_generation == uploads.c.generation,
        ~_IS_TOLD,
    )
    .order_by(uploads.c.expires_at)
    .limit(bindparam("limit"))
)


def ends_soon(connection: Connection, folder: str, state: State, since: datetime, until: datetime) -> datetime | None:
    """When the first id in this folder and state ends in that time of which nobody was told."""
    which = {"this_folder": folder, "this_state": state, "since": since, "until": until, "limit": 1}
    row: Any = connection.execute(_ENDS_SOON, which).first()
    return None if row is None else row.expires_at


def tell_expiring(
    connection: Connection, folder: str, state: State, since: datetime, until: datetime, limit: int, now: datetime
) -> int:
    """Add to the story of paths that their id ends in that time, once for each id; how many, at most `limit`."""
    which = {"this_folder": folder, "this_state": state, "since": since, "until": until, "limit": limit}
    rows: Sequence[Any] = connection.execute(_ENDS_SOON, which).all()
    for row in rows:
        path = join_path(row.directory, row.name)
        tell(connection, now, folder, path, EXPIRING, receipt_detail(row.root, path, row))
    return len(rows)


# -- delivering ------------------------------------------------------------------------------------

_DUE = (
    select(deliveries)
    .where(deliveries.c.target == bindparam("this_target"), deliveries.c.ready_at <= bindparam("now"))
    .order_by(deliveries.c.ready_at, deliveries.c.seq)
    .limit(bindparam("limit"))
)
_THIS = (deliveries.c.target == bindparam("this_target"), deliveries.c.seq == bindparam("this_seq"))
_DELIVERED = delete(deliveries).where(*_THIS)
_PUT_OFF = update(deliveries).where(*_THIS)


def targets_due(connection: Connection, scope: Scope, now: datetime) -> Sequence[str]:
    """Targets with deliveries whose time has come."""
    statement = select(deliveries.c.target).where(scope.is_ours(), deliveries.c.ready_at <= now).distinct()
    return [scope.plain(kept) for kept in connection.execute(statement).scalars()]


def due(connection: Connection, scope: Scope, target: str, limit: int, now: datetime) -> Sequence[Delivery]:
    """The next deliveries of a target, the longest due first."""
    rows = connection.execute(_DUE, {"this_target": scope.kept(target), "now": now, "limit": limit})
    return [
        Delivery(
            target=target,
            entry=HistoryEntry(
                seq=row.seq,
                at=row.at,
                folder=row.folder,
                path=row.path,
                event=row.event,
                listed=row.event != EXPIRING,
                detail=row.detail,
            ),
            attempt=row.attempt,
        )
        for row in rows
    ]


def delivered(connection: Connection, scope: Scope, delivery: Delivery) -> None:
    connection.execute(_DELIVERED, _this(scope, delivery))


def put_off(connection: Connection, scope: Scope, delivery: Delivery, ready_at: datetime) -> None:
    """One more attempt was made; later again."""
    connection.execute(_PUT_OFF, {**_this(scope, delivery), "attempt": delivery.attempt + 1, "ready_at": ready_at})


def _this(scope: Scope, delivery: Delivery) -> dict[str, Any]:
    return {"this_target": scope.kept(delivery.target), "this_seq": delivery.entry.seq}


def give_up(connection: Connection, scope: Scope, target: str, before: datetime, attempts: int) -> int:
    """Forget what a target should have been told before then, and what was tried so often; how much."""
    statement = delete(deliveries).where(
        deliveries.c.target == scope.kept(target), deliveries.c.since < before, deliveries.c.attempt >= attempts
    )
    return connection.execute(statement).rowcount


def pending(connection: Connection) -> int:
    """How many deliveries are still to be made, by all stations."""
    number: int = connection.execute(select(func.count()).select_from(deliveries)).scalar_one()
    return number

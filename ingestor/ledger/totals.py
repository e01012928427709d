"""How much there is of each, as far as indexes tell: a tenth of a second for a million paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from ingestor.ledger.reads import next_expiry_at
from ingestor.ledger.schema import sources, uploads
from ingestor.model import Lane, SourceState, State

HAS_ID = (State.LIVE, State.RENEWING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much there is over all folders."""

    sources: Mapping[str, int]
    """`SourceState` to number of paths."""
    uploads: Mapping[str, int]
    """`State` to number of contents, as they are marked."""
    live_ids: int
    """Different ids that are good; of them, those that expire within one and six hours."""
    expiring_1h: int
    expiring_6h: int
    next_expiry_at: datetime | None
    oldest_found_at: datetime | None
    """Since when the path is in line that has been there longest, renewals aside; None: nobody waits."""


def totals(connection: Connection, now: datetime) -> Totals:
    return Totals(
        sources=_by_state(connection, sources),
        uploads=_by_state(connection, uploads),
        live_ids=_good_ids(connection, now, None),
        expiring_1h=_good_ids(connection, now, now + timedelta(hours=1)),
        expiring_6h=_good_ids(connection, now, now + timedelta(hours=6)),
        next_expiry_at=next_expiry_at(connection),
        oldest_found_at=_oldest_found_at(connection),
    )


def _by_state(connection: Connection, table: Any) -> dict[str, int]:
    statement = select(table.c.state, func.count().label("number")).group_by(table.c.state)
    return {row.state: row.number for row in connection.execute(statement)}


def _good_ids(connection: Connection, now: datetime, until: datetime | None) -> int:
    statement = select(func.count()).select_from(uploads).where(uploads.c.state.in_(HAS_ID), uploads.c.expires_at > now)
    if until is not None:
        statement = statement.where(uploads.c.expires_at <= until)
    number: int = connection.execute(statement).scalar_one()
    return number


def _oldest_found_at(connection: Connection) -> datetime | None:
    is_in_line = (sources.c.state == SourceState.WAITING, sources.c.lane.in_((int(Lane.FRESH), int(Lane.BACKFILL))))
    found_at: datetime | None = connection.execute(select(func.min(sources.c.found_at)).where(*is_in_line)).scalar()
    return found_at

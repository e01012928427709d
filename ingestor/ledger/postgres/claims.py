"""Which machines have which folder: a name means one folder, for all who share the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ingestor.ledger.postgres.jobs import FOLDER_FACT, defer_folder
from ingestor.ledger.postgres.locks import HOLDER, station_lock
from ingestor.ledger.reads import fact
from ingestor.ledger.upkeep import set_fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A folder as one machine's settings have it."""

    name: str
    root: str
    queue: str
    """Base name of the queues of its jobs."""
    shared: bool


def claim(connection: Connection, station: str, claims: Sequence[Claim], now: datetime) -> Sequence[str]:
    """Take folders for a station; what stands in the way, in words, and then nothing is taken.

    Another station that has the name for another folder keeps it for as long as it runs.
    """
    held = {one.name: fact(connection, FOLDER_FACT + one.name) for one in claims}
    problems = [said for one in claims if (said := _problem(connection, station, one, held[one.name])) is not None]
    if problems:
        return problems
    for one in claims:
        told = {"queue": one.queue, "root": one.root, "station": station, "shared": one.shared}
        if held[one.name] != told:
            set_fact(connection, FOLDER_FACT + one.name, told, now)
        if not isinstance(held[one.name], Mapping) or held[one.name].get("queue") != one.queue:
            defer_folder(connection, one.name, now)
    return []


def _problem(connection: Connection, station: str, wanted: Claim, held: Any) -> str | None:
    if not isinstance(held, Mapping) or held.get("station") == station:
        return None
    same = held.get("root") == wanted.root
    if (wanted.shared and held.get("shared") and same) or not _is_running(connection, str(held.get("station"))):
        return None
    there = f"station {held.get('station')} has it as {held.get('root')}"
    if wanted.shared and held.get("shared"):
        return f"the folder {wanted.name} is {wanted.root} here, but {there}: a shared folder has one path everywhere"
    return f"the folder {wanted.name} is another one elsewhere: {there}; give it another `name`, or share it everywhere"


def _is_running(connection: Connection, station: str) -> bool:
    return connection.exec_driver_sql(HOLDER, (station_lock(station),)).first() is not None

"""Who works with a shared ledger: machines, their workers' heartbeats, jobs by queue and state, who leads in what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from ingestor.ledger.postgres.desk import WORKER_FACT
from ingestor.ledger.postgres.jobs import FOLDER_FACT
from ingestor.ledger.postgres.locks import HOLDER, station_lock
from ingestor.model import Json

_WORKERS = text(
    """
    SELECT worker.id, facts.value,
           greatest(0, extract(epoch FROM clock_timestamp() - worker.last_heartbeat)) AS silent_seconds,
           (SELECT count(*) FROM procrastinate_jobs WHERE worker_id = worker.id AND status = 'doing') AS jobs
    FROM procrastinate_workers AS worker LEFT JOIN facts ON facts.name = :fact || worker.id
    ORDER BY worker.id
    """
)
_JOBS = text(
    """
    SELECT queue_name, status::text AS state, count(*) AS number,
           count(*) FILTER (WHERE scheduled_at > clock_timestamp()) AS later
    FROM procrastinate_jobs WHERE queue_name LIKE 'ingest%' GROUP BY queue_name, status ORDER BY queue_name, status
    """
)
_CLAIMS = text("SELECT name, value FROM facts WHERE name LIKE :fact || '%' ORDER BY name")


def machines(connection: Connection) -> Mapping[str, Json]:
    """As `ingestor status --json` tells it. JSON."""
    rows = connection.execute(_CLAIMS, {"fact": FOLDER_FACT})
    claims = {row.name.removeprefix(FOLDER_FACT): _mapping(row.value) for row in rows}
    workers = [_worker(row) for row in connection.execute(_WORKERS, {"fact": WORKER_FACT})]
    stations = sorted({str(one["station"]) for one in (*claims.values(), *workers) if one.get("station")})
    return {
        "stations": [{"name": name, "daemon": _holder(connection, station_lock(name))} for name in stations],
        "workers": workers,
        "jobs": [
            {"queue": row.queue_name, "state": row.state, "number": row.number, "later": row.later}
            for row in connection.execute(_JOBS)
        ],
        "leads": {what: _holder(connection, what) for what in _leads(claims)},
    }


def _worker(row: Any) -> dict[str, Json]:
    told = _mapping(row.value)
    names = ("station", "host", "process", "what", "version", "since")
    return {
        "worker": row.id,
        **{name: told.get(name) for name in names},
        "silent_seconds": round(float(row.silent_seconds), 1),
        "jobs": row.jobs,
    }


def _leads(claims: Mapping[str, Mapping[str, Json]]) -> list[str]:
    return ["manifest", "renew", *(f"scan {name}" for name, one in claims.items() if one.get("shared"))]


def _holder(connection: Connection, name: str) -> str | None:
    row = connection.exec_driver_sql(HOLDER, (name,)).first()
    return None if row is None else str(row[0])


def _mapping(value: str | None) -> Mapping[str, Json]:
    found = json.loads(value) if value else None
    return found if isinstance(found, Mapping) else {}

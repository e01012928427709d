"""What workers do with jobs besides fetching them: end them, put them back, look for those that nobody works on.

Each is one statement, and changes nothing of a job that somebody else has by now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from procrastinate.exceptions import UniqueViolation

from ingestor.ledger.columns import Instant, escape_path, unescape_path
from ingestor.ledger.postgres.jobs import IS_TWIN, JOBS, KEY, job_select
from ingestor.ledger.rows import Place, join_path, split_path
from ingestor.model import Json
from ingestor.ports import Clock

WORKER_FACT = "worker."
"""Beginning of the facts that say who a worker is, by the number that the queue gave it."""


class Queries(Protocol):
    """procrastinate's connector, as far as it is used here. Its errors are `ConnectorException`s."""

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A job that is being worked on, by whom."""

    job_id: int
    worker_id: int | None


_OF_PATH = "sources.folder = %(folder)s AND sources.directory = %(directory)s AND sources.name = %(name)s"
_AGAIN = f"""
    again AS (
        {JOBS} SELECT {job_select("%(now)s")} FROM sources, ended
        WHERE sources.state = 'waiting' AND {_OF_PATH}
        {IS_TWIN} DO NOTHING
        RETURNING id
    )
    SELECT id FROM ended
"""  # noqa: S608
_OURS = "id = %(job_id)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker_id)s"
_END = f"WITH ended AS (DELETE FROM procrastinate_jobs WHERE {_OURS} RETURNING id), {_AGAIN}"  # noqa: S608
_END_TELLING = f"""
    WITH ended AS (
        UPDATE procrastinate_jobs
        SET status = 'succeeded', args = args || jsonb_build_object('outcome', %(outcome)s::jsonb)
        WHERE {_OURS} RETURNING id
    ), {_AGAIN}
"""  # noqa: S608
_PUT_BACK = f"""
    UPDATE procrastinate_jobs AS job
    SET status = 'todo', attempts = attempts + 1, worker_id = NULL,
        scheduled_at = CASE WHEN %(seconds)s > 0 THEN clock_timestamp() + make_interval(secs => %(seconds)s) END
    WHERE {_OURS} AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs AS twin WHERE twin.queueing_lock = job.queueing_lock AND twin.status = 'todo'
    )
    RETURNING id
"""  # noqa: S608
_DROP = f"DELETE FROM procrastinate_jobs WHERE {_OURS} RETURNING id"  # noqa: S608
_STALLED = """
    SELECT job.id, job.worker_id FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing' AND job.queue_name LIKE 'ingest%%'
    AND (worker.id IS NULL OR worker.last_heartbeat < clock_timestamp() - make_interval(secs => %(stale)s))
    ORDER BY job.id LIMIT 1000
"""
_HELD = "SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %(worker_id)s"
_BEAT = """
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() WHERE id = %(worker_id)s RETURNING id
"""
_RECLAIM = """
    UPDATE procrastinate_jobs SET worker_id = %(worker_id)s
    WHERE id = ANY (%(jobs)s) AND status = 'doing' AND worker_id IS NULL RETURNING id
"""
_DESCRIBE = """
    INSERT INTO facts (name, value, changed_at) VALUES (%(name)s, %(value)s::jsonb::text, %(now)s)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, changed_at = EXCLUDED.changed_at RETURNING name
"""
_BURY = f"""
    WITH dead AS (
        DELETE FROM procrastinate_workers AS worker
        WHERE last_heartbeat < clock_timestamp() - make_interval(secs => %(stale)s)
        AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE worker_id = worker.id AND status = 'doing')
        RETURNING id
    )
    DELETE FROM facts WHERE name LIKE '{WORKER_FACT}%%' AND (
        substr(name, {len(WORKER_FACT) + 1})::bigint IN (SELECT id FROM dead)
        OR substr(name, {len(WORKER_FACT) + 1})::bigint NOT IN (SELECT id FROM procrastinate_workers)
    ) RETURNING name
"""  # noqa: S608
_PRUNE = """
    DELETE FROM procrastinate_jobs AS job WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')
    AND queue_name LIKE 'ingest%%' AND NOT EXISTS (
        SELECT 1 FROM procrastinate_events AS event
        WHERE event.job_id = job.id AND event.at > clock_timestamp() - make_interval(secs => %(seconds)s)
    ) RETURNING id
"""
_OUTCOMES = """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT id FROM procrastinate_jobs
        WHERE args->>'batch' = %(batch)s AND status = 'succeeded' ORDER BY id LIMIT 500
    ) RETURNING args
"""
_UNFINISHED = """
    SELECT 1 FROM procrastinate_jobs WHERE args->>'batch' = %(batch)s AND status IN ('todo', 'doing') LIMIT 1
"""
_MISSING = f"""
    WITH ours AS (
        SELECT pg_try_advisory_xact_lock(hashtextextended('ingestor.missing ' || current_schema(), 0)) AS turn
    )
    {JOBS} SELECT {job_select("%(now)s")} FROM sources, ours
    WHERE ours.turn AND sources.state = 'waiting' AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs AS job WHERE job.queueing_lock = {KEY} AND job.status IN ('todo', 'doing')
    )
    {IS_TWIN} DO NOTHING RETURNING id
"""  # noqa: S608


class JobDesk:
    """See the module. All raise `ConnectorException` where the database is away."""

    def __init__(self, queries: Queries, clock: Clock) -> None:
        self._ask = queries.execute_query_all_async
        self._clock = clock

    def place_of(self, arguments: Mapping[str, Json]) -> Place:
        """Folder and path of a job."""
        directory, name = unescape_path(str(arguments["directory"])), unescape_path(str(arguments["name"]))
        return str(arguments["folder"]), join_path(directory, name)

    async def end(
        self, job_id: int, worker_id: int, folder: str, path: str, outcome: Mapping[str, Json] | None = None
    ) -> bool:
        """The job is done, and a path that waits still has the next one from now on; False: it was not ours any more.

        `outcome` is kept with it for the run that counts what became of its paths.
        """
        directory, name = split_path(path)
        where = {"folder": folder, "directory": escape_path(directory), "name": escape_path(name)}
        arguments = {"job_id": job_id, "worker_id": worker_id, "now": self._now(), **where}
        if outcome is None:
            return bool(await self._ask(_END, **arguments))
        return bool(await self._ask(_END_TELLING, outcome=dict(outcome), **arguments))

    async def put_back_held(self, job_id: int, worker_id: int | None, seconds: float = 0.0) -> bool:
        """Somebody may take it from now on, or after so long; where another job for the path waits, this one goes."""
        arguments = {"job_id": job_id, "worker_id": worker_id}

        try:
            if await self._ask(_PUT_BACK, seconds=seconds, **arguments):
                return True
        except UniqueViolation:
            pass  # its twin came in this very moment
        return bool(await self._ask(_DROP, **arguments))

    async def stalled(self, stale_seconds: float) -> Sequence[HeldJob]:
        """Jobs whose workers have been silent for so long, or are not there any more."""
        rows = await self._ask(_STALLED, stale=stale_seconds)
        return [HeldJob(job_id=row["id"], worker_id=row["worker_id"]) for row in rows]

    async def held_by(self, worker_id: int) -> frozenset[int]:
        """The jobs that this worker works on, as the database has it."""
        return frozenset(row["id"] for row in await self._ask(_HELD, worker_id=worker_id))

    async def beat(self, worker_id: int) -> bool:
        """This worker lives; False: it was taken for dead, and has to register anew."""
        return bool(await self._ask(_BEAT, worker_id=worker_id))

    async def reclaim(self, worker_id: int, jobs: Sequence[int]) -> int:
        """What a worker goes on with under another number, as far as nobody has taken it; how many."""
        return len(await self._ask(_RECLAIM, worker_id=worker_id, jobs=list(jobs))) if jobs else 0

    async def describe(self, worker_id: int, facts: Mapping[str, Json]) -> None:
        """Who this worker is, for reports."""
        await self._ask(_DESCRIBE, name=f"{WORKER_FACT}{worker_id}", value=dict(facts), now=self._now())

    async def bury(self, stale_seconds: float) -> None:
        """Forget workers that have been silent for so long and hold nothing any more."""
        await self._ask(_BURY, stale=stale_seconds)

    async def prune(self, seconds: float) -> int:
        """Forget jobs that ended so long ago; how many."""
        return len(await self._ask(_PRUNE, seconds=seconds))

    async def outcomes(self, batch: str) -> Sequence[Mapping[str, Json]]:
        """What other machines say became of paths of this run; told once."""
        return [row["args"]["outcome"] for row in await self._ask(_OUTCOMES, batch=batch) if "outcome" in row["args"]]

    async def has_unfinished(self, batch: str) -> bool:
        """Whether a path of this run waits for a worker, or has one."""
        return bool(await self._ask(_UNFINISHED, batch=batch))

    async def defer_missing(self) -> int:
        """A job for each path that waits and has none; how many. One process at a time, others return at once."""
        return len(await self._ask(_MISSING, now=self._now()))

    def _now(self) -> int:
        now: int = Instant().process_bind_param(self._clock.now(), None)  # type: ignore[assignment, arg-type]
        return now

"""Jobs of paths in line: made in the transaction that puts the path there, in procrastinate's tables.

A path that waits has a job that waits too, or one that is being worked on. Each job ends together with the making of
the next one, where the path waits still; so nothing is lost, whoever dies between any two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from ingestor.ledger.columns import Instant, escape_path
from ingestor.ledger.rows import Place, split_path
from ingestor.policy.jobs import PRIORITIES, SHARED_QUEUE, SUFFIXES, TASK

FOLDER_FACT = "folder."
"""Beginning of the facts that say which machines have a folder, by its name."""

_QUEUE = f"""
    COALESCE((SELECT value::jsonb->>'queue' FROM facts WHERE facts.name = '{FOLDER_FACT}' || sources.folder),
             '{SHARED_QUEUE}')
    || (CASE sources.lane {" ".join(f"WHEN {int(lane)} THEN '{suffix}'" for lane, suffix in SUFFIXES.items())} END)
"""  # noqa: S608
_PRIORITY = f"CASE sources.lane {' '.join(f'WHEN {int(lane)} THEN {one}' for lane, one in PRIORITIES.items())} END"
KEY = "'ingest ' || md5(sources.folder || '/' || sources.directory || '/' || sources.name)"
"""Of two jobs with the same one, at most one waits."""
# By the database's clock, which all have in common: how far ahead a turn lies is told by the clock that has set it.
_SCHEDULED = """
    CASE WHEN sources.ready_at > {now} + 50000
    THEN clock_timestamp() + make_interval(secs => (sources.ready_at - {now}) / 1e6) END
"""
_ARGUMENTS = """
    jsonb_build_object('folder', sources.folder, 'directory', sources.directory, 'name', sources.name,
                       'batch', sources.batch)
"""
_COLUMNS = "(queue_name, task_name, priority, queueing_lock, args, scheduled_at)"


def job_select(now: str) -> str:
    """The jobs of rows of `sources`; `now` is the parameter with the instant that they are made."""
    return f"{_QUEUE}, '{TASK}', {_PRIORITY}, {KEY}, {_ARGUMENTS}, {_SCHEDULED.format(now=now)}"


JOBS = f"INSERT INTO procrastinate_jobs {_COLUMNS}"
IS_TWIN = "ON CONFLICT (queueing_lock) WHERE status = 'todo'"

_DEFER = f"""
    WITH deferred AS (
        {JOBS} SELECT {job_select(":now")} FROM sources {{where}} ORDER BY sources.ready_at
        {IS_TWIN} DO UPDATE SET queue_name = EXCLUDED.queue_name, priority = EXCLUDED.priority, args = EXCLUDED.args,
                                scheduled_at = EXCLUDED.scheduled_at
        RETURNING id, queue_name, xmax <> 0 AS waited_before
    )
    SELECT pg_notify('procrastinate_queue_v1#' || queue_name,
                     json_build_object('type', 'job_inserted', 'job_id', max(id))::text)
    FROM deferred WHERE waited_before GROUP BY queue_name
"""  # noqa: S608
_WAITING = "sources.state = 'waiting'"
_NOW = bindparam("now", type_=Instant)
_DEFER_PATHS = text(
    _DEFER.format(
        where=f"""
        JOIN unnest(:folders, :directories, :names) AS wanted (folder, directory, name)
        ON sources.folder = wanted.folder AND sources.directory = wanted.directory AND sources.name = wanted.name
        WHERE {_WAITING}
        """
    )
).bindparams(_NOW, *(bindparam(name, type_=ARRAY(Text)) for name in ("folders", "directories", "names")))
_DEFER_CONTENT = text(_DEFER.format(where=f"WHERE {_WAITING} AND content_id = :content_id")).bindparams(_NOW)
_DEFER_FOLDER = text(_DEFER.format(where=f"WHERE {_WAITING} AND folder = :folder")).bindparams(_NOW)
_DEFER_MISSING = text(
    f"""
    {JOBS} SELECT {job_select(":now")} FROM sources
    WHERE {_WAITING} AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs AS job WHERE job.queueing_lock = {KEY} AND job.status IN ('todo', 'doing')
    )
    {IS_TWIN} DO NOTHING
    """  # noqa: S608
).bindparams(_NOW)


def defer_paths(connection: Connection, places: Sequence[Place], now: datetime) -> None:
    """A job for each of these paths that waits; one that has a job already has it as the path stands now."""
    parts = [(folder, *map(escape_path, split_path(path))) for folder, path in dict.fromkeys(places)]
    if parts:
        folders, directories, names = (list(column) for column in zip(*parts, strict=True))
        connection.execute(_DEFER_PATHS, {"folders": folders, "directories": directories, "names": names, "now": now})


def defer_content(connection: Connection, content_id: str, now: datetime) -> None:
    """A job for each path with this content that waits."""
    connection.execute(_DEFER_CONTENT, {"content_id": content_id, "now": now})


def defer_folder(connection: Connection, folder: str, now: datetime) -> None:
    """A job for each path of a folder that waits, in the queue that is the folder's now."""
    connection.execute(_DEFER_FOLDER, {"folder": folder, "now": now})


def defer_missing(connection: Connection, now: datetime) -> int:
    """A job for each path that waits and has none, as after a copy or a restored backup; how many."""
    return connection.execute(_DEFER_MISSING, {"now": now}).rowcount


_DISBAND_SOURCES = text("UPDATE sources SET batch = NULL WHERE batch = :batch")
_DISBAND_JOBS = text(
    "UPDATE procrastinate_jobs SET args = args - 'batch' WHERE args->>'batch' = :batch AND status = 'todo'"
)


def disband(connection: Connection, batch: str) -> None:
    """The paths of a run stay in line, but for nobody in particular."""
    connection.execute(_DISBAND_SOURCES, {"batch": batch})
    connection.execute(_DISBAND_JOBS, {"batch": batch})


# -- tables ----------------------------------------------------------------------------------------

_INDEX = """
    CREATE INDEX IF NOT EXISTS ingestor_jobs_of_batch ON procrastinate_jobs ((args->>'batch'), status)
    WHERE args->>'batch' IS NOT NULL
"""
_KEY_INDEX = """
    CREATE INDEX IF NOT EXISTS ingestor_jobs_by_key ON procrastinate_jobs (queueing_lock)
    WHERE status IN ('todo', 'doing')
"""


def make_job_tables(connection: Connection) -> None:
    """procrastinate's own tables, where there are none yet. The caller keeps other programs out."""
    if connection.execute(text("SELECT to_regclass('procrastinate_jobs')")).scalar() is None:
        from procrastinate.schema import SchemaManager

        driver: Any = connection.connection.driver_connection
        driver.execute(SchemaManager.get_schema())
    connection.exec_driver_sql(_INDEX)
    connection.exec_driver_sql(_KEY_INDEX)

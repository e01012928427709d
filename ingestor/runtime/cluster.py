"""What a process of several machines has besides: its engine's jobs, what it leads, and what it tells of itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg_pool import AsyncConnectionPool

from ingestor import __version__
from ingestor.engines.cluster import ClusterEngine
from ingestor.engines.cluster_run import Ended
from ingestor.engines.cluster_worker import Timing
from ingestor.errors import DiskFault, UsageError
from ingestor.ledger.postgres.claims import Claim
from ingestor.ledger.postgres.desk import JobDesk
from ingestor.ledger.postgres.ledger import PostgresLedger
from ingestor.policy.jobs import SHARED_QUEUE, queue_of_run, queue_of_station
from ingestor.ports import Clock, Ingest, Observer
from ingestor.runtime.leaders import Leaders
from ingestor.runtime.leaders_manifest import ClusterManifest
from ingestor.settings import FolderSettings, Settings
from ingestor.stages.manifest import Manifest

if TYPE_CHECKING:
    from procrastinate import App

CONNECTIONS = 4
"""Of the queue, at most; the ledger, the quota and the locks have five more, and notifications one."""
WAIT_SECONDS = 3.0
"""For a connection, before the database counts as away."""
RECONNECT_SECONDS = 2.0
"""The pool waits ever longer between tries; so it is made to begin anew."""

for _name in ("psycopg", "psycopg.pool"):
    # A pool tells of each try to reach a database that is away; the flow tells once.
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Around a ledger on PostgreSQL; made by `join`."""

    settings: Settings
    ledger: PostgresLedger
    app: App
    desk: JobDesk
    leaders: Leaders
    manifest: ClusterManifest
    claims: Sequence[Claim]
    clock: Clock
    observer: Observer
    what: str

    def engine(
        self,
        *,
        ingest: Ingest,
        places: int,
        ready: Callable[[], Awaitable[None]],
        is_ready: Callable[[], bool],
        ended: Ended,
        batch: str | None = None,
        works: bool = True,
    ) -> ClusterEngine:
        return ClusterEngine(
            app=self.app,
            desk=self.desk,
            bases=sorted({claim.queue for claim in self.claims}),
            folders=frozenset(claim.name for claim in self.claims),
            timing=Timing(stale_seconds=self.settings.cluster.stale),
            ledger=self.ledger,
            locks=self.ledger.locks,
            ingest=ingest,
            clock=self.clock,
            observer=self.observer,
            places=places,
            who=self._who(),
            ready=ready,
            is_ready=is_ready,
            ended=ended,
            batch=batch,
            works=works,
        )

    def _who(self) -> dict[str, Any]:
        return {
            "station": self.settings.station,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "what": self.what,
            "version": __version__,
            "since": self.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        }

    def is_shared(self, folder: str) -> bool:
        return any(claim.shared for claim in self.claims if claim.name == folder)

    async def lead(
        self,
        name: str,
        loop: Callable[[], Coroutine[Any, Any, None]],
        otherwise: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Run `loop` while this process leads in `name`, `otherwise` while it does not."""
        await self.leaders.lead(name, loop, otherwise)


def claims_of(settings: Settings, folders: Sequence[FolderSettings]) -> Sequence[Claim]:
    """Those of the settings belong to all machines or to this one; any other to this run alone."""
    own, run = queue_of_station(settings.station), queue_of_run(secrets.token_hex(6))
    known = {folder.name: SHARED_QUEUE if folder.shared else own for folder in settings.folders}
    every = {folder.name: folder for folder in (*settings.folders, *folders)}
    return [
        Claim(name=name, root=str(folder.path), queue=known.get(name, run), shared=folder.shared)
        for name, folder in every.items()
    ]


@contextlib.asynccontextmanager
async def join(
    settings: Settings,
    ledger: PostgresLedger,
    folders: Sequence[FolderSettings],
    *,
    clock: Clock,
    observer: Observer,
    what: str,
) -> AsyncIterator[Cluster]:
    """Be one of the machines for as long as the block runs. Raises `UsageError` where a folder is another one's."""
    claims = claims_of(settings, folders)
    problems = await ledger.claim(claims)
    if problems:
        raise UsageError("\n".join(problems))
    ledger.locks.what = what
    leaders = Leaders(ledger.locks, clock=clock, observer=observer)
    manifest = ClusterManifest(
        Manifest(settings.manifest, ledger),
        leaders if settings.cluster.manifest == "cluster" else None,
        clock=clock,
        observer=observer,
    )
    async with _queue(ledger) as app:
        writing = asyncio.create_task(manifest.run())
        try:
            yield Cluster(
                settings=settings,
                ledger=ledger,
                app=app,
                desk=JobDesk(app.connector, clock),
                leaders=leaders,
                manifest=manifest,
                claims=claims,
                clock=clock,
                observer=observer,
                what=what,
            )
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            with contextlib.suppress(DiskFault):  # whoever writes it next completes it
                await manifest.close()


@contextlib.asynccontextmanager
async def _queue(ledger: PostgresLedger) -> AsyncIterator[App]:
    """The queue, over connections of its own."""
    from procrastinate import App, PsycopgConnector

    pool = AsyncConnectionPool(
        ledger.database.conninfo,
        kwargs=ledger.database.arguments,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=WAIT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await pool.open()
    try:
        connector = PsycopgConnector()
        await connector.open_async(pool)
        yield App(connector=connector)
    finally:
        await pool.close(timeout=WAIT_SECONDS)

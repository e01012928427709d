"""The one place where parts are chosen and wired."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestor import __version__
from ingestor.files_api import ApiKey, Breaker, HttpFilesApi, ResilientFilesApi, Timeouts
from ingestor.images.workers.pool import ImagePool, clear_spool
from ingestor.observe.cleaning import redact
from ingestor.pipeline import Tools
from ingestor.ports import Clock, Ledger, NormaliseRules, Observer
from ingestor.quota import LocalQuota, SharedQuota
from ingestor.runtime.account import check_account
from ingestor.runtime.clock_watch import kept_right
from ingestor.runtime.leaders import SharedFlights
from ingestor.runtime.moved_folders import follow_moved_folders
from ingestor.runtime.parts import Parts
from ingestor.runtime.spool import own_spool
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import DatabaseUrl, FolderSettings, NormaliseSettings, Settings
from ingestor.stages.fingerprint import Hasher
from ingestor.stages.flights import Flights
from ingestor.stages.manifest import Manifest

if TYPE_CHECKING:
    from ingestor.runtime.cluster import Cluster

READ_BURST = 1200
READS_PER_MINUTE = 600
"""CONTRACT.md, Rate limits: of GET; the API's own headers correct them."""

UPLOAD_QUOTA_FACT = "quota.uploads"
READ_QUOTA_FACT = "quota.reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The Files API as the settings name it, with its key."""

    files: ResilientFilesApi
    http: HttpFilesApi
    key: ApiKey
    uploads: LocalQuota | SharedQuota
    reads: LocalQuota


def rules_of(normalise: NormaliseSettings) -> NormaliseRules:
    return NormaliseRules(
        longest_side_px=normalise.longest_side_px,
        max_bytes=normalise.max_bytes,
        orientation=normalise.orientation,
        animation=normalise.animation,
        webp_quality=normalise.webp_quality,
        max_pixels=normalise.max_pixels,
        integrity=normalise.integrity,
        metadata=normalise.metadata,
        light=normalise.light,
    )


def spool_folder(settings: Settings) -> Path:
    """Where images that were made fit lie until they are sent."""
    return settings.state_dir / "spool"


def image_pool(settings: Settings, spool: Path) -> ImagePool:
    return ImagePool(
        rules_of(settings.normalise),
        workers=settings.normalise.workers,
        image_timeout_seconds=settings.normalise.image_timeout,
        spool=spool,
    )


@contextlib.asynccontextmanager
async def open_api(
    settings: Settings,
    facts: Mapping[str, Any],
    *,
    clock: Clock,
    observer: Observer,
    patient: bool,
    shared: SharedQuota | None = None,
) -> AsyncIterator[Api]:
    """The API, paced and resilient; the bundled sandbox is started where the settings ask for it.

    `patient`: refusals of the account are waited out instead of raised. `facts` has the quota's state of the last run,
    unless machines have a `shared` one.
    """
    async with contextlib.AsyncExitStack() as stack:
        base_url, key = await stack.enter_async_context(_address(settings))
        http = HttpFilesApi(
            base_url=base_url,
            version=settings.api.version,
            key=key,
            clock=clock,
            observer=observer,
            timeouts=Timeouts.of(settings.api.timeout),
            user_agent=f"ingestor/{__version__}",
        )
        rng = random.Random()
        uploads = shared or LocalQuota(
            capacity=settings.api.quota.burst,
            per_minute=settings.api.quota.per_minute,
            at_once=settings.api.concurrency,
            clock=clock,
            observer=observer,
            state=facts.get(UPLOAD_QUOTA_FACT),
        )
        reads = LocalQuota(
            capacity=READ_BURST,
            per_minute=READS_PER_MINUTE,
            clock=clock,
            name="reads",
            observer=observer,
            state=facts.get(READ_QUOTA_FACT),
        )
        files = ResilientFilesApi(
            http,
            upload_quota=uploads,
            read_quota=reads,
            breaker=Breaker(clock=clock, observer=observer, rng=rng, key=key),
            clock=clock,
            observer=observer,
            rng=rng,
            concurrency=settings.api.concurrency,
            patient=patient,
            key=key,
        )
        stack.push_async_callback(files.close)
        yield Api(files=files, http=http, key=key, uploads=uploads, reads=reads)


@contextlib.asynccontextmanager
async def _address(settings: Settings) -> AsyncIterator[tuple[str, ApiKey]]:
    """Where the API is and what it takes for a key."""
    if not settings.api.is_sandbox:
        yield settings.api.base_url, ApiKey(file=settings.api.key_file, hide=redact)
        return
    from ingestor.sandbox import DEFAULT_KEY, Sandbox, SandboxHeld, SandboxOptions

    key = ApiKey(environment={"AUROUS_API_KEY": DEFAULT_KEY})
    sandbox = Sandbox(SandboxOptions(data_dir=settings.state_dir / "sandbox"))
    try:
        await sandbox.start()
    except SandboxHeld as held:
        # The daemon on these settings serves it already.
        if held.base_url is None:
            raise
        yield held.base_url, key
        return
    try:
        yield sandbox.base_url, key
    finally:
        await sandbox.stop()


@contextlib.asynccontextmanager
async def assemble(
    settings: Settings,
    *,
    ledger: Ledger,
    folders: Sequence[FolderSettings],
    observer: Observer,
    patient: bool,
    clock: Clock | None = None,
    what: str = "ingestor",
) -> AsyncIterator[Parts]:
    """Everything that ingesting takes, around a ledger that is held. `what` this process is called among machines.

    Raises `UsageError` where the ledger's ids are another account's.
    """
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        facts = await ledger.facts()
        cluster, shared = None, None
        if isinstance(settings.ledger, DatabaseUrl):
            cluster, shared = await _join(stack, settings, ledger, folders, clock, observer, what)
            folders = [*{folder.name: folder for folder in (*settings.folders, *folders)}.values()]
        api = await stack.enter_async_context(
            open_api(settings, facts, clock=clock, observer=observer, patient=patient, shared=shared)
        )
        if isinstance(clock, SystemClock):
            stack.enter_context(kept_right(clock, api.http, api.files, ledger=ledger, observer=observer))
        await check_account(settings, api.key, ledger=ledger, files=api.files)
        await follow_moved_folders(settings.folders, ledger=ledger, observer=observer)
        below = spool_folder(settings)
        spool = _spool(below) if cluster is None else stack.enter_context(own_spool(below))
        images = image_pool(settings, spool)
        stack.push_async_callback(images.close)
        hasher = Hasher(clock)
        stack.push_async_callback(hasher.close)
        tools = Tools(
            folders={folder.name: folder for folder in folders},
            ledger=ledger,
            manifest=Manifest(settings.manifest, ledger) if cluster is None else cluster.manifest,
            api=api.files,
            images=images,
            spool=spool,
            clock=clock,
            observer=observer,
            fingerprint=hasher.fingerprint,
            flights=Flights() if cluster is None else SharedFlights(cluster.ledger.locks, clock),
        )
        snapshots = {READ_QUOTA_FACT: api.reads.snapshot}
        if isinstance(api.uploads, LocalQuota):
            snapshots[UPLOAD_QUOTA_FACT] = api.uploads.snapshot
        yield Parts(
            settings=settings,
            tools=tools,
            gate=api.files,
            upload_quota=api.uploads.status,
            read_quota=api.reads.status,
            breaker=lambda: api.files.breaker.state,
            slots=api.files.slots.status,
            snapshots=snapshots,
            cluster=cluster,
        )


async def _join(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    ledger: Ledger,
    folders: Sequence[FolderSettings],
    clock: Clock,
    observer: Observer,
    what: str,
) -> tuple[Cluster, SharedQuota]:
    """What machines that share a ledger have in common. Raises `UsageError` where a folder is another machine's."""
    from ingestor.ledger.postgres.ledger import PostgresLedger
    from ingestor.ledger.postgres.row import FactRow
    from ingestor.runtime.cluster import join

    assert isinstance(ledger, PostgresLedger)
    row = FactRow(ledger.database, UPLOAD_QUOTA_FACT, clock)
    stack.push_async_callback(row.close)
    quota = SharedQuota(
        row,
        process=f"{settings.station} {os.getpid()} {secrets.token_hex(3)}",
        capacity=settings.api.quota.burst,
        per_minute=settings.api.quota.per_minute,
        at_once=settings.api.concurrency,
        clock=clock,
        observer=observer,
    )
    stack.push_async_callback(quota.close)
    joined = join(settings, ledger, folders, clock=clock, observer=observer, what=what)
    return await stack.enter_async_context(joined), quota


def _spool(spool: Path) -> Path:
    """An empty folder for images that were made fit; what a killed run left there is removed."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    clear_spool(spool, older_than_seconds=0.0)
    return spool

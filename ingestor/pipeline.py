"""The sentence that the product is, once: from a settled file to its line in the manifest."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestor.errors import DiskFault, LedgerError, SourceNotReady
from ingestor.failpoints import failpoint
from ingestor.model import (
    Content,
    Digest,
    Done,
    DoneAs,
    Json,
    Outcome,
    Quarantined,
    QueuedSource,
    Retry,
    Snoozed,
    SourceFile,
    Standing,
    State,
)
from ingestor.policy.endings import STOPPING, VANISHED, WITHDRAWN, Circumstances, ending_of
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.policy.sizing import check_file_bytes
from ingestor.ports import Clock, FilesApi, ImageWorker, Ledger, Manifest, Observer
from ingestor.settings import FolderSettings
from ingestor.stages.after import put_away
from ingestor.stages.describe import describe
from ingestor.stages.fingerprint import fingerprint
from ingestor.stages.flights import Flights
from ingestor.stages.normalise import normalise
from ingestor.stages.upload import upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the flow works with."""

    folders: Mapping[str, FolderSettings]
    ledger: Ledger
    manifest: Manifest
    api: FilesApi
    images: ImageWorker
    spool: Path
    clock: Clock
    observer: Observer
    fingerprint: Callable[[SourceFile], Awaitable[Digest]] = fingerprint
    flights: Flights = field(default_factory=Flights)
    unfinished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an image is quarantined, but could not be listed or put away: a disk was at fault."""
    rng: random.Random = field(default_factory=random.Random)


@dataclass(slots=True)
class _Attempt:
    """One go at one path: what is known of it so far."""

    queued: QueuedSource
    folder: FolderSettings
    tools: Tools
    content: Content | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> SourceFile:
        return self.queued.source

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and keep how long it took."""
        source = self.source
        self.tools.observer.notice("stage", stage=name, folder=source.folder, path=source.path)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.facts[f"{name}_seconds"] = round(time.perf_counter() - began, 6)


async def ingest_one(queued: QueuedSource, tools: Tools) -> Outcome:
    """One attempt at one path that has settled: fingerprinted, made fit, uploaded, recorded, listed, put away.

    How it ends is a value, durable in the ledger when this returns. Raises `LedgerError` alone.
    """
    attempt = _Attempt(queued, tools.folders[queued.source.folder], tools)
    began = time.perf_counter()
    try:
        outcome: Outcome = await _walk(attempt)
    except LedgerError:
        raise
    except Exception as error:
        outcome = await _ended_early(attempt, error)
    _tell(attempt, outcome, time.perf_counter() - began)
    return outcome


async def _walk(attempt: _Attempt) -> Done | Quarantined:
    """The sentence."""
    source, tools = attempt.source, attempt.tools
    with attempt.stage("fingerprint"):
        check_file_bytes(source.absolute.name, source.identity.size_bytes, tools.images.max_pixels)
        digest = await tools.fingerprint(source)
    with attempt.stage("describe"):
        content = attempt.content = await describe(source, digest, attempt.folder)
    async with tools.flights.alone(content.content_id):
        standing = await tools.ledger.enter(source, attempt.queued.context, content)
        if standing.state is State.QUARANTINED:
            return await _quarantined(attempt, _as_its_twin(source, standing))
        if standing.withdrawn:
            raise SourceNotReady(WITHDRAWN, "it was purged meanwhile, and taken out of the line")
        if standing.state in HAS_LIVE_ID and not standing.renewal_wanted and standing.file_id is not None:
            done = await _known(attempt, standing, digest)
        else:
            done = await _sent(attempt, content, standing)
    with attempt.stage("manifest"):
        failpoint("before_manifest")
        await tools.manifest.flush()
        failpoint("after_manifest")
    with attempt.stage("after"):
        failpoint("before_after_action")
        gone_to = await put_away(source, attempt.folder.after_upload)
        failpoint("after_after_action")
        await tools.ledger.finish(source, gone_to)
        failpoint("after_finish")
    return done


async def _known(attempt: _Attempt, standing: Standing, digest: Digest) -> Done:
    """The content is live: what is left of the walk is to be listed and put away."""
    assert standing.file_id is not None
    assert standing.key is not None
    if not standing.listed:
        assert attempt.content is not None
        await attempt.tools.ledger.list_source(attempt.source, attempt.content.content_id)
    return Done(
        how=DoneAs.ALREADY_LIVE if standing.listed else DoneAs.DUPLICATE,
        file_id=standing.file_id,
        digest=digest,
        key=standing.key,
        request_id=standing.request_id,
        bytes_read=attempt.source.identity.size_bytes,
    )


async def _sent(attempt: _Attempt, content: Content, standing: Standing) -> Done:
    """The content made fit, uploaded, and its receipt recorded."""
    source, tools = attempt.source, attempt.tools
    async with contextlib.AsyncExitStack() as stack:
        with attempt.stage("normalise"):
            payload = await stack.enter_async_context(normalise(source, content.digest, tools.images, tools.spool))
        attempt.facts.update(normalised=payload.normalised, warnings=payload.warnings)
        with attempt.stage("upload"):
            sent = await upload(
                source,
                content,
                payload,
                attempt.queued.lane,
                standing.expires_at if standing.state in HAS_LIVE_ID else None,
                api=tools.api,
                ledger=tools.ledger,
                clock=tools.clock,
                observer=tools.observer,
            )
    failpoint("before_receipt")
    if not await tools.ledger.complete(source, sent.intent, payload, sent.receipt):
        # Another machine has completed this generation: what it recorded counts, and this path goes by that.
        return await _known(attempt, await tools.ledger.enter(source, attempt.queued.context, content), content.digest)
    failpoint("after_receipt")
    return Done(
        how=_how(sent.intent.generation, sent.receipt.replayed),
        file_id=sent.receipt.file_id,
        digest=content.digest,
        key=sent.intent.key,
        request_id=sent.receipt.request_id,
        bytes_read=source.identity.size_bytes,
        bytes_sent=payload.size_bytes,
        normalised=payload.normalised,
    )


def _how(generation: int, replayed: bool) -> DoneAs:
    if replayed:
        return DoneAs.REPLAYED
    return DoneAs.RENEWED if generation else DoneAs.UPLOADED


def _as_its_twin(source: SourceFile, standing: Standing) -> Quarantined:
    """The same bytes, purpose and metadata were quarantined, mostly under another name, and would be again."""
    name, message = source.absolute.name, standing.message or ""
    if not message.startswith(f"{name}: "):
        message = f"{name}: holds the same as a file that was quarantined before ({message})"
    return Quarantined(reason=standing.reason or "unknown", message=message, request_id=standing.request_id)


# -- other ends ------------------------------------------------------------------------------------


async def _ended_early(attempt: _Attempt, error: Exception) -> Outcome:
    """What an error stands for, recorded. A fault while recording it makes it a snooze: nothing is lost."""
    outcome = ending_of(error, _circumstances(attempt))
    if isinstance(outcome, Retry) and outcome.reason == "internal":
        attempt.tools.observer.notice("internal_fault", where=str(attempt.source.absolute), error=error)
    try:
        if isinstance(outcome, Quarantined):
            return await _quarantined(attempt, outcome)
        await _postponed(attempt, outcome)
    except LedgerError:
        raise
    except Exception as second:
        return ending_of(second, _circumstances(attempt))
    return outcome


def _circumstances(attempt: _Attempt) -> Circumstances:
    return Circumstances(
        attempt=attempt.queued.attempt + 1,
        identity=attempt.source.identity,
        quiet_seconds=attempt.folder.settle,
        wall=attempt.tools.clock.now().timestamp(),
        chance=attempt.tools.rng.random(),
    )


async def _quarantined(attempt: _Attempt, outcome: Quarantined) -> Quarantined:
    """Out of line: recorded, listed, put away."""
    source, tools = attempt.source, attempt.tools
    content_id = attempt.content.content_id if attempt.content else None
    failpoint("before_quarantine")
    if await tools.ledger.quarantine(source, content_id, outcome.reason, outcome.message, outcome.request_id):
        failpoint("after_quarantine")
        try:
            await _list_and_put_away(attempt, outcome)
        except DiskFault as fault:
            # It is out of line, and nobody would come back to it: what is left is done when the disk is well.
            tools.unfinished.set()
            tools.observer.notice("put_away_failed", folder=source.folder, path=source.path, message=str(fault))
    return outcome


async def _list_and_put_away(attempt: _Attempt, outcome: Quarantined) -> None:
    source, tools = attempt.source, attempt.tools
    await tools.manifest.flush()
    failpoint("after_quarantine_manifest")
    gone_to = await put_away(source, attempt.folder.on_quarantine, error=_error_file(attempt, outcome))
    failpoint("after_quarantine_put_away")
    if gone_to is not None:
        await tools.ledger.note_put_away(source, gone_to)


def _error_file(attempt: _Attempt, outcome: Quarantined) -> Mapping[str, Json]:
    return {
        "v": 1,
        "at": attempt.tools.clock.now().isoformat().replace("+00:00", "Z"),
        "folder": attempt.source.folder,
        "path": attempt.source.path,
        "source": str(attempt.source.absolute),
        "sha256": attempt.content.digest if attempt.content else None,
        "reason": outcome.reason,
        "message": outcome.message,
        "request_id": outcome.request_id,
    }


async def _postponed(attempt: _Attempt, outcome: Done | Snoozed | Retry) -> None:
    """Later again; a file that is gone leaves the line. What only ends because we stop stays as it is."""
    if isinstance(outcome, Done) or outcome.reason in (STOPPING, WITHDRAWN):
        return
    source, ledger = attempt.source, attempt.tools.ledger
    if outcome.reason == VANISHED:
        await ledger.vanish(source.folder, source.path, outcome.message)
        return
    spent = outcome.attempt if isinstance(outcome, Retry) else attempt.queued.attempt
    await ledger.postpone(
        source,
        event="retry" if isinstance(outcome, Retry) else "snoozed",
        reason=outcome.reason,
        message=outcome.message,
        request_id=outcome.request_id,
        attempt=spent,
        delay_seconds=outcome.delay_seconds,
    )


def _tell(attempt: _Attempt, outcome: Outcome, seconds: float) -> None:
    """One event for each end, with all that an operator asks for."""
    facts: dict[str, Any] = {
        "folder": attempt.source.folder,
        "path": attempt.source.path,
        "attempt": attempt.queued.attempt + 1,
        "seconds": round(seconds, 6),
        "request_id": outcome.request_id,
        "digest": attempt.content.digest if attempt.content else None,
        **attempt.facts,
    }
    match outcome:
        case Done():
            facts |= {
                "outcome": outcome.how.value,
                "digest": outcome.digest,
                "key": outcome.key,
                "file_id": outcome.file_id,
                "bytes_read": outcome.bytes_read,
                "bytes_sent": outcome.bytes_sent,
            }
        case Snoozed() | Retry():
            kind = "snoozed" if isinstance(outcome, Snoozed) else "retry"
            facts |= {"outcome": kind, "reason": outcome.reason, "message": outcome.message}
            facts |= {"delay_seconds": outcome.delay_seconds}
        case Quarantined():
            facts |= {"outcome": "quarantined", "reason": outcome.reason, "message": outcome.message}
    attempt.tools.observer.notice("image_end", **facts)

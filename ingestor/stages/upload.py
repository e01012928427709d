"""Send a payload under its intent's key, and get the receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestor.errors import AccountRefused, FileGone, KeyConflict
from ingestor.failpoints import failpoint
from ingestor.model import Content, Intent, Lane, Payload, Receipt, SourceFile, UploadRequest
from ingestor.policy.expiry import is_worth_listing
from ingestor.ports import Clock, FilesApi, Ledger, Observer

_MOST_GENERATIONS = 3
"""How often one attempt moves on to a fresh key before it is left to a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    intent: Intent
    receipt: Receipt


async def upload(
    source: SourceFile,
    content: Content,
    payload: Payload,
    lane: Lane,
    replaces_until: datetime | None,
    *,
    api: FilesApi,
    ledger: Ledger,
    clock: Clock,
    observer: Observer,
) -> Sent:
    """The receipt for a payload. The intent is durable before the request leaves (DESIGN.md, decision 2).

    A key that the API holds for something else, and a replay whose id is about to end, are followed by the next
    generation. Raises what `FilesApi.upload` raises.
    """
    failpoint("before_intent")
    intent = await ledger.intend(content.content_id, payload.profile)
    failpoint("after_intent")
    for _ in range(_MOST_GENERATIONS):
        request = UploadRequest(
            key=intent.key,
            file=payload.file,
            identity=source.identity if payload.is_source else None,
            mime_type=payload.mime_type,
            size_bytes=payload.size_bytes,
            purpose=content.purpose,
            metadata=content.metadata,
            lane=lane,
            replaces_until=replaces_until,
        )
        try:
            failpoint("before_send")
            receipt = await api.upload(request)
            failpoint("after_answer")
        except KeyConflict as conflict:
            last: KeyConflict | None = conflict
            why = f"the API holds this key for another request: {conflict}"
        else:
            ended = await _has_ended(receipt, api, clock) if receipt.replayed else None
            if ended is None:
                return Sent(intent=intent, receipt=receipt)
            last = None
            why = f"the replayed id {receipt.file_id} {ended}"
        intent = await ledger.intend(content.content_id, payload.profile, fresh=True)
        observer.notice(
            "fresh_generation", path=source.path, folder=source.folder, generation=intent.generation, why=why
        )
    raise last or KeyConflict(f"{source.absolute}: no key of {_MOST_GENERATIONS} led to an id that lasts")


async def _has_ended(receipt: Receipt, api: FilesApi, clock: Clock) -> str | None:
    """Why the id of a replay is of no use: a cached answer says what was, not what is. None if it is of use."""
    if not is_worth_listing(receipt.expires_at, clock.now()):
        return f"ends at {receipt.expires_at:%H:%M:%S}"
    try:
        await api.fetch(receipt.file_id)
    except FileGone:
        return "has been purged"
    except AccountRefused as refused:
        if refused.reason != "scope":
            raise
        # A key that may write but not read cannot ask; nothing says that the id is not good.
    return None

"""How an attempt ends: what was raised in it, as one of the four outcomes. First matching row decides.

Waiting for a key, a balance, quota, disk space or the API is `Snoozed`: it spends no attempt and blames no image. Only
what is wrong with this very image quarantines it. A fault of ours is a `Retry`, ever later, and never a quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingestor.errors import (
    ApiError,
    ApiRefusedImage,
    EnvironmentFault,
    ImageRejected,
    ImageWorkerLost,
    IngestorError,
    LedgerError,
    MetadataRejected,
    SourceNotReady,
)
from ingestor.model import FileIdentity, Outcome, Quarantined, Retry, Snoozed
from ingestor.policy.backoff import Backoff
from ingestor.policy.settling import truncation_is_final

RETRY = Backoff(first_seconds=2.0, most_seconds=3600.0, jitter=0.1)
"""Between attempts that failed for a reason of their own."""

UNREADABLE = Backoff(first_seconds=5.0, most_seconds=60.0)
"""Between looks at a file that may not be read: somebody has to change its permissions."""

WORKERS_SECONDS = 5.0
"""Until image workers are started again that could not be."""

VANISHED = "vanished"
WITHDRAWN = "withdrawn"
"""Its image was purged after it had been read from the line."""
STOPPING = "stopping"
INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What decides besides the error itself."""

    attempt: int
    """This one; from 1."""
    identity: FileIdentity
    quiet_seconds: float
    """The folder's `settle`."""
    wall: float
    """Epoch seconds."""
    chance: float
    """In [0, 1)."""


def ending_of(error: Exception, circumstances: Circumstances) -> Outcome:
    """The outcome that an error in the flow stands for. `LedgerError` is nobody's attempt and is raised again."""
    match error:
        case LedgerError():
            raise error
        case SourceNotReady():
            return _not_ready(error, circumstances)
        case ImageRejected() | MetadataRejected():
            return Quarantined(reason=error.reason, message=str(error))
        case ApiRefusedImage():
            return Quarantined(reason=error.code or "refused", message=str(error), request_id=error.request_id)
        case ImageWorkerLost():
            return Snoozed(reason="workers", message=str(error), delay_seconds=WORKERS_SECONDS)
        case EnvironmentFault():
            return Snoozed(
                reason=error.reason,
                message=str(error),
                delay_seconds=error.retry_seconds,
                request_id=error.request_id,
            )
        case ApiError():
            return _again(error.code or "api", str(error), circumstances, error.request_id)
        case IngestorError():
            return _again(INTERNAL, str(error), circumstances)
        case _:
            return _again(INTERNAL, f"a fault of ingestor's own: {type(error).__name__}: {error}", circumstances)


def _not_ready(error: SourceNotReady, circumstances: Circumstances) -> Outcome:
    quiet = max(circumstances.quiet_seconds, 0.2)
    if error.reason == "truncated":
        final = truncation_is_final(circumstances.identity, wall=circumstances.wall, quiet_seconds=quiet)
        if final:
            return Quarantined(reason="truncated", message=str(error))
    delay = UNREADABLE.seconds(circumstances.attempt) if error.reason == "unreadable" else quiet
    return Snoozed(reason=error.reason, message=str(error), delay_seconds=delay)


def _again(reason: str, message: str, circumstances: Circumstances, request_id: str | None = None) -> Retry:
    return Retry(
        reason=reason,
        message=message,
        delay_seconds=RETRY.seconds(circumstances.attempt, circumstances.chance),
        attempt=circumstances.attempt,
        request_id=request_id,
    )

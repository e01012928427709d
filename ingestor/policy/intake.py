"""What to do with a file that a scan has met, from what the ledger holds of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ingestor.model import Known, Sighting, SourceState, State
from ingestor.policy.expiry import is_live
from ingestor.policy.life_cycle import HAS_LIVE_ID


class Intake(StrEnum):
    TAKE = "take"
    """New, changed, or wanted again: into the line."""
    IN_LINE = "in_line"
    """It waits already, as it is."""
    LIVE = "live"
    """Its id is good."""
    ENDED = "ended"
    """Its id has ended, and nobody asked for another."""
    QUARANTINED = "quarantined"
    """It has not changed since it was quarantined."""


def intake_of(known: Known | None, sighting: Sighting, now: datetime, *, revive: bool) -> Intake:
    """`revive`: an id that has expired is wanted again, as `backfill` does; one that was purged is not."""
    if known is None or known.identity != sighting.source.identity or known.context != sighting.context:
        return Intake.TAKE
    match known.state:
        case SourceState.WAITING:
            return Intake.IN_LINE
        case SourceState.QUARANTINED:
            return Intake.QUARANTINED
        case SourceState.VANISHED:
            return Intake.TAKE
        case SourceState.DONE:
            return _of_done(known, now, revive=revive)


def _of_done(known: Known, now: datetime, *, revive: bool) -> Intake:
    if known.upload_state in HAS_LIVE_ID and is_live(known.expires_at, now):
        return Intake.LIVE
    if known.upload_state is State.PURGED or not revive:
        return Intake.ENDED
    return Intake.TAKE

"""Where an upload may go from where it stands. A move that is not in the table raises.

waiting     -> sending       the intent is durable, the request may leave
sending     -> sending       the same intent again after a crash or a lost answer, or the next generation after a
                             key conflict
sending     -> live          the API answered with a receipt
sending     -> expired       the id before it has ended, and nobody is in line for its successor any more: the folder
                             has left the settings
live        -> renewing      the next generation is about to be sent; the present id stays good meanwhile
renewing    -> renewing      as sending -> sending
renewing    -> live          the next generation's receipt replaces the present one; or the API refused the
                             renewal, and the present id lives out its time
renewing    -> sending       the present id expired while its successor was still on the way
renewing    -> expired       the same, with nobody in line for a successor any more: its file is gone
renewing    -> purged        deleted, by an operator who wants no successor either or since its file is gone
live        -> expired       `expires_at` has passed: the API has purged the file
live, expired -> purged      deleted at the API, or found to be gone there
expired, purged -> sending   wanted again: the next generation is about to be sent, or was on its way already
waiting, sending, expired, purged -> quarantined    the image, or what goes with it, is at fault
quarantined -> waiting       an operator put it back, or its file changed
"""

from __future__ import annotations

from ingestor.errors import IngestorError
from ingestor.model import State

MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.WAITING, State.SENDING),
        (State.SENDING, State.LIVE),
        (State.SENDING, State.SENDING),
        (State.SENDING, State.EXPIRED),
        (State.LIVE, State.RENEWING),
        (State.RENEWING, State.LIVE),
        (State.RENEWING, State.RENEWING),
        (State.LIVE, State.EXPIRED),
        (State.RENEWING, State.SENDING),
        (State.RENEWING, State.EXPIRED),
        (State.RENEWING, State.PURGED),
        (State.LIVE, State.PURGED),
        (State.EXPIRED, State.PURGED),
        (State.EXPIRED, State.SENDING),
        (State.PURGED, State.SENDING),
        (State.WAITING, State.QUARANTINED),
        (State.SENDING, State.QUARANTINED),
        (State.EXPIRED, State.QUARANTINED),
        (State.PURGED, State.QUARANTINED),
        (State.QUARANTINED, State.WAITING),
    }
)

HAS_LIVE_ID = frozenset({State.LIVE, State.RENEWING})


class IllegalMove(IngestorError):
    """A fault of ours: the life cycle has no such move."""


def move(present: State, wanted: State) -> State:
    """`wanted`, if it can be reached from `present`; else raises `IllegalMove`."""
    if (present, wanted) not in MOVES:
        raise IllegalMove(f"an upload that is {present} cannot become {wanted}")
    return wanted

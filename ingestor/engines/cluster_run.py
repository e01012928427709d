"""A run that counts what becomes of its paths, whichever machine works on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from procrastinate import exceptions

from ingestor.engines.cluster_wire import unpack
from ingestor.model import (
    Done,
    DoneAs,
    Json,
    Lane,
    LedgerEntry,
    Outcome,
    Quarantined,
    QueuedSource,
    SourceFile,
    State,
)
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.ports import Clock

TELL_SECONDS = 0.1
"""Between looks at what other machines say became of this run's paths."""

Ended = Callable[[QueuedSource, Outcome], None]


class RunDesk(Protocol):
    """What a run asks of all jobs: `ledger.postgres.desk.JobDesk`."""

    async def outcomes(self, batch: str) -> Sequence[Mapping[str, Json]]: ...

    async def has_unfinished(self, batch: str) -> bool: ...


class Run:
    """Tells the ends of a batch's paths, each once."""

    def __init__(
        self,
        batch: str,
        desk: RunDesk,
        *,
        clock: Clock,
        ended: Ended | None,
        reached: Callable[[Exception | None], None],
    ) -> None:
        self.batch = batch
        self._desk = desk
        self._clock = clock
        self._ended = ended
        self._reached = reached
        self._news = 0
        self._told_up_to = -1

    @property
    def is_told(self) -> bool:
        """Nothing of it is in line or worked on anywhere, and every end has been told."""
        return self._told_up_to == self._news

    def something_new(self) -> None:
        """A path was put in line, or came to its end here: what was seen before counts no more."""
        self._news += 1

    async def tell_for_good(self) -> None:
        """Until cancelled."""
        while True:
            await self.tell()
            await self._clock.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        """Count what other machines have brought to an end; and see whether anything is left."""
        news = self._news
        try:
            is_unfinished = await self._desk.has_unfinished(self.batch)
            outcomes = await self._desk.outcomes(self.batch)
        except exceptions.ConnectorException as fault:
            self._reached(fault)
            return
        for told in outcomes:
            queued, outcome = unpack(told)
            if self._ended is not None:
                self._ended(queued, outcome)
        if not is_unfinished and not outcomes and news == self._news:
            self._told_up_to = news


def ended_before(entries: Sequence[LedgerEntry]) -> tuple[QueuedSource, Outcome] | None:
    """What became of a path that a run counts on, and that somebody else has brought to its end meanwhile."""
    for entry in entries:
        source = SourceFile(folder=entry.folder, root=entry.root, path=entry.path, identity=entry.identity)
        queued = QueuedSource(source=source, context="", lane=Lane.BACKFILL, attempt=entry.attempt)
        if entry.state == State.QUARANTINED:
            return queued, Quarantined(reason=entry.reason or "unknown", message=entry.message or "")
        if entry.state in HAS_LIVE_ID and entry.file_id and entry.digest and entry.key:
            return queued, Done(
                how=DoneAs.ALREADY_LIVE,
                file_id=entry.file_id,
                digest=entry.digest,
                key=entry.key,
                request_id=entry.request_id,
            )
    return None

"""How things stand, counted now and then: for the page, and as a snapshot for metrics.

Totals come from the ledger's indexes, every other second. Numbers by folder take a pass over all paths, which is some
seconds for a million of them: the longer it took, the longer it rests, so that counting never takes more than a
twentieth of a core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ingestor.errors import EnvironmentFault, LedgerError
from ingestor.ledger.browsing import LedgerBrowser
from ingestor.ledger.overview import Quarantine, Stand
from ingestor.ledger.totals import Totals
from ingestor.observe.snapshot import Snapshot
from ingestor.ports import Clock
from ingestor.quota import QuotaStatus
from ingestor.runtime.pulse import Pulse

TOTALS_SECONDS = 2.0
STANDS_SECONDS = 4.0
"""Rest after each, at least."""
REST = 20
"""Times as long as the counting took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted last; None and empty before that."""

    totals: Totals | None = None
    totals_at: datetime | None = None
    stands: Sequence[Stand] = ()
    quarantines: Sequence[Quarantine] = ()
    stands_at: datetime | None = None
    machines: Mapping[str, Any] | None = None
    """Who works with a ledger that machines share; None: it is this machine's own."""
    fault: str | None = None
    """Why counting failed the last time."""


class Counting:
    """Counts until cancelled, and hands a snapshot to each of `told`."""

    def __init__(
        self,
        *,
        quick: LedgerBrowser,
        slow: LedgerBrowser,
        pulse: Pulse,
        quota: Callable[[], QuotaStatus],
        told: Sequence[Callable[[Snapshot], None]],
        clock: Clock,
    ) -> None:
        self._quick = quick
        self._slow = slow
        self._pulse = pulse
        self._quota = quota
        self._told = told
        self._clock = clock
        self.latest = Counted()
        self.changes = 0
        """Grows whenever a number is another one."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._again_and_again(self.count_totals, TOTALS_SECONDS))
            both.create_task(self._again_and_again(self.count_stands, STANDS_SECONDS))

    async def _again_and_again(self, count: Callable[[], Awaitable[None]], rest_seconds: float) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await count()
            except (EnvironmentFault, LedgerError) as fault:
                # The flow meets it too and tells of it; here it only means that numbers grow old.
                self.latest = replace(self.latest, fault=str(fault))
            await self._clock.sleep(max(rest_seconds, REST * (self._clock.monotonic() - began)))

    async def count_totals(self) -> None:
        totals, machines = await self._quick.totals(), await self._quick.machines()
        self.changes += (totals, machines) != (self.latest.totals, self.latest.machines)
        self.latest = replace(self.latest, totals=totals, machines=machines, totals_at=self._clock.now(), fault=None)
        snapshot = self.snapshot()
        for tell in self._told:
            tell(snapshot)

    async def count_stands(self) -> None:
        stands, quarantines = await self._slow.stands(), await self._slow.quarantines()
        self.changes += (stands, quarantines) != (self.latest.stands, self.latest.quarantines)
        self.latest = replace(
            self.latest, stands=stands, quarantines=quarantines, stands_at=self._clock.now(), fault=None
        )

    def snapshot(self) -> Snapshot:
        """How things stand now, as far as they are counted."""
        totals, quota = self.latest.totals, self._quota()
        oldest = None if totals is None else totals.oldest_found_at
        return Snapshot(
            queue=self.queue(),
            oldest_waiting_seconds=None if oldest is None else (self._clock.now() - oldest).total_seconds(),
            entries={(stand.folder, stand.state): stand.number for stand in self.latest.stands},
            next_expiry_at=None if totals is None else totals.next_expiry_at,
            quota_left=quota.left,
            quota_capacity=quota.capacity,
            quota_per_minute=quota.per_minute,
        )

    def queue(self) -> dict[str, int]:
        """Files on their way, by how far they are; each counts once."""
        in_line = 0 if self.latest.totals is None else self.latest.totals.sources.get("waiting", 0)
        working = self._pulse.working
        return {"settling": self._pulse.settling, "waiting": max(0, in_line - working), "working": working}

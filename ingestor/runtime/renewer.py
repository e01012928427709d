"""`renew: while-source-exists`: ids get their successors before they end, spread over the time that there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

from ingestor.policy.forecast import ID_SECONDS
from ingestor.policy.renewing import cannot_be_kept, due_now
from ingestor.ports import Clock, Ledger, Observer
from ingestor.runtime.disk_patience import until_disk_is_well

LOOK_SECONDS = 30.0
"""Between two plans: each is made anew from what the ledger holds, so that nothing is planned that is not so."""

ENDED_LOOK_SECONDS = 600.0
"""Between two looks for ids that have ended all the same, while nothing ran or the API was away."""


class Renewer:
    """Puts contents in line for their next generation when their time has come. Runs until cancelled."""

    def __init__(
        self,
        folders: Sequence[str],
        *,
        serves: Sequence[str],
        is_alone: bool,
        ledger: Ledger,
        clock: Clock,
        observer: Observer,
        per_minute: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """`folders` renew; `per_minute` is the quota's refill as it is known now; `wake` tells the engine.

        A renewal is given to a path in a folder that this process `serves`: it would wait forever in another one. Not
        `is_alone`: what is in line elsewhere is taken up by other machines.
        """
        self._folders = folders
        self._serves = serves
        self._is_alone = is_alone
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._per_minute = per_minute
        self._wake = wake
        self._is_beyond = False
        self._ended_look_at = -math.inf

    async def run(self) -> None:
        while True:
            await until_disk_is_well(self._clock, self._observer, self._plan)
            await self._clock.sleep(LOOK_SECONDS)

    async def _plan(self) -> None:
        await self._ledger.confirm_time()
        now = self._clock.now()
        # What ends later than a whole life from now cannot be: the horizon is all there is.
        ended = self._clock.monotonic() >= self._ended_look_at
        until = now + timedelta(seconds=ID_SECONDS)
        served = self._serves if self._is_alone else None
        ends = await self._ledger.renewable(self._folders, until, ended=ended, served=served)
        if ended:
            self._ended_look_at = self._clock.monotonic() + ENDED_LOOK_SECONDS
        left = [(expires_at - now).total_seconds() for _, expires_at in ends]
        self._check(sum(seconds > 0 for seconds in left))
        wanted = 0
        for content_id, _ in ends[: due_now(left, self._per_minute() / 60)]:
            wanted += await self._ledger.want_renewal(content_id, None, self._serves)
        if wanted:
            self._observer.notice("renewal_planned", number=wanted)
            self._wake()

    def _check(self, images: int) -> None:
        """Tell when there are more images than the quota keeps alive: folders grow, and quotas turn out smaller."""
        why = cannot_be_kept(images, self._per_minute())
        if why is not None and not self._is_beyond:
            self._observer.notice("renewals_beyond_quota", message=why)
        self._is_beyond = why is not None

"""Quarantined images back in line, one or all: what there is to do is remembered, and done beside the page."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from ingestor.ledger.browsing import LedgerBrowser, Place, Seen, Sought
from ingestor.ports import Clock, Ledger
from ingestor.runtime.upkeep import put_back

AT_ONCE = 50
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """How far it is; `ended_at` None: under way."""

    what: str
    began_at: datetime
    ended_at: datetime | None = None
    put_back: int = 0
    failed: int = 0
    problems: tuple[tuple[Place, str], ...] = field(default=())
    """The first few that could not be put back, and why."""


class Retrying:
    """One thing after another: who asks for all while all are under way is told so."""

    def __init__(
        self, *, ledger: Ledger, browser: LedgerBrowser, clock: Clock, served: Collection[str] | None = None
    ) -> None:
        """`served`: the folders that are worked on; None: all may be, by some machine."""
        self._served = served
        self._ledger = ledger
        self._browser = browser
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self.latest: Retried | None = None
        self.changes = 0

    @property
    def is_busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def one(self, place: Place) -> bool:
        """Put one image back; False if there is none, or it is not quarantined any more."""
        seen = await self._browser.one(place)
        if seen is None or seen.state != "quarantined":
            return False
        if not self.is_busy:
            self._tell(Retried(what=f"{place[0]}/{place[1]}", began_at=self._clock.now()))
        await self._put_back([seen])
        if not self.is_busy:
            self._end()
        return True

    def all(self, sought: Sought) -> bool:
        """Begin to put all of them back; False if that is under way already."""
        if self.is_busy:
            return False
        what = " ".join(part for part in (sought.folder, sought.reason) if part) or "all that are quarantined"
        self._tell(Retried(what=what, began_at=self._clock.now()))
        self._task = asyncio.create_task(self._all(sought))
        return True

    async def _all(self, sought: Sought) -> None:
        after: Place | None = None
        try:
            while True:
                leaf = await self._browser.browse(sought, limit=AT_ONCE, after=after, is_rare=True)
                await self._put_back(leaf.seen)
                after = leaf.go_on_after
                if after is None:
                    return
        except Exception as fault:
            # Nobody waits for this task: what went wrong is shown where its progress is.
            self._count(failed=1, problems=(((sought.folder or "", ""), str(fault)),))
        finally:
            self._end()

    async def _put_back(self, all_seen: tuple[Seen, ...] | list[Seen]) -> None:
        ends = await asyncio.gather(*(put_back(self._ledger, seen.entry, self._served) for seen in all_seen))
        problems = [((end.entry.folder, end.entry.path), end.error) for end in ends if end.error is not None]
        self._count(put_back=len(ends) - len(problems), failed=len(problems), problems=tuple(problems))

    async def stop(self) -> None:
        """What is not done yet stays quarantined."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _count(self, *, put_back: int = 0, failed: int = 0, problems: tuple[tuple[Place, str], ...] = ()) -> None:
        assert self.latest is not None
        self._tell(
            replace(
                self.latest,
                put_back=self.latest.put_back + put_back,
                failed=self.latest.failed + failed,
                problems=(*self.latest.problems, *problems)[:MOST_PROBLEMS],
            )
        )

    def _end(self) -> None:
        assert self.latest is not None
        self._tell(replace(self.latest, ended_at=self._clock.now()))

    def _tell(self, retried: Retried) -> None:
        self.latest = retried
        self.changes += 1

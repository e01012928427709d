"""The outbox in the runtime's words, over whichever database `_read` and `_write` reach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from ingestor.ledger import outbox
from ingestor.model import Delivery
from ingestor.policy.life_cycle import HAS_LIVE_ID
from ingestor.ports import Clock, Routes

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MICROSECOND = timedelta(microseconds=1)
_SLICE = 500
"""Entries that one change puts into the outbox: nobody waits long behind it."""


class SqlOutbox(ABC):
    """Implements `ports.Outbox`."""

    _clock: Clock
    confirm_time: Callable[[], Awaitable[None]]
    station: str = ""
    """Of a shared ledger: each station tells its own hooks, and knows by itself how far it has come."""

    @abstractmethod
    async def _read(
        self, question: Callable[Concatenate[Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...

    @abstractmethod
    async def _write(
        self, change: Callable[Concatenate[Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...

    @property
    def _scope(self) -> outbox.Scope:
        return outbox.Scope(self.station)

    def _target_of(self, source: SqlOutbox) -> Callable[[str], str]:
        """What is kept here under which name of what another ledger holds for its station: as this one's."""
        ours, theirs = self._scope, source._scope
        return lambda kept: ours.kept(theirs.plain(kept))

    async def keep_targets(self, targets: Sequence[str]) -> int:
        if not targets and not await self._read(outbox.is_in_use, self._scope):
            return 0
        return await self._write(outbox.keep_targets, self._scope, targets, self._clock.now())

    async def enqueue(self, routes: Routes) -> None:
        while await self._read(outbox.is_behind, self._scope):
            await self._write(outbox.enqueue, self._scope, routes, _SLICE, self._clock.now())

    async def tell_expiring(self, folder: str, within: timedelta) -> int:
        await self.confirm_time()
        now = self._clock.now()
        told, until = 0, now + within
        for state in HAS_LIVE_ID:
            # Each slice begins where the last one found somebody to tell, so that few are looked at twice.
            since = now + _MICROSECOND
            while (first := await self._read(outbox.ends_soon, folder, state, since, until)) is not None:
                told += await self._write(outbox.tell_expiring, folder, state, first, until, _SLICE, now)
                since = first
        return told

    async def targets_due(self) -> Sequence[str]:
        return await self._read(outbox.targets_due, self._scope, self._clock.now())

    async def deliveries(self, target: str, limit: int) -> Sequence[Delivery]:
        return await self._read(outbox.due, self._scope, target, limit, self._clock.now())

    async def delivered(self, delivery: Delivery) -> None:
        await self._write(outbox.delivered, self._scope, delivery)

    async def put_off(self, delivery: Delivery, delay_seconds: float) -> None:
        ready_at = self._clock.now() + timedelta(seconds=delay_seconds)
        await self._write(outbox.put_off, self._scope, delivery, ready_at)

    async def give_up(self, target: str, *, older_than: timedelta, attempts: int) -> int:
        return await self._write(outbox.give_up, self._scope, target, self._clock.now() - older_than, attempts)

    async def pending_deliveries(self) -> int:
        return await self._read(outbox.pending)

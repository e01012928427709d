"""The loop that tells hooks what has happened, beside all other work: it can be late, but it holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ingestor.errors import DiskFault
from ingestor.model import Delivery
from ingestor.policy.backoff import Backoff
from ingestor.ports import Clock, Observer, Outbox, Routes
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.hooks.message import HookFailed, message_of
from ingestor.runtime.hooks.targets import Hook, hooks_of, routes_of
from ingestor.runtime.parts import Parts

LOOK_SECONDS = 1.0
EXPIRING_LOOK_SECONDS = 30.0
BETWEEN_LOOKS_SECONDS = 0.05
"""Of `finish`."""
GRACE_SECONDS = 2.0
"""What is being told when we stop has so long to end; else it is told again at the next start."""

RETRY = Backoff(first_seconds=2.0, most_seconds=600.0, jitter=0.5)
"""Between two attempts at one message."""
REST = Backoff(first_seconds=1.0, most_seconds=60.0)
"""A hook that fails whatever it is told is left alone for so long."""
REST_FROM = 3
"""Rounds in a row in which it took nothing: before that it may be the message's fault."""

GIVE_UP_AFTER = timedelta(hours=24)
GIVE_UP_ATTEMPTS = 20
"""A message is given up when it is old *and* was tried so often, which takes an hour at least: a machine that was off
over the weekend has old messages and no attempts."""
GIVE_UP_UNTRIED_SECONDS = 3600.0
"""A hook that fails for so long has a queue that only grows: then what is old goes, tried or not."""


@dataclass(slots=True)
class _Standing:
    """How a hook does."""

    failures: int = 0
    """Rounds in a row in which it took nothing."""
    failing_since: float | None = None
    rests_until: float = 0.0
    serving: asyncio.Task[None] | None = field(default=None)


class Hooks:
    """Tells each of `hooks`, by its target, what `routes` has for it.

    `expiring`: folders whose ids are told of before they end, and how long before.
    """

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        routes: Routes,
        expiring: Mapping[str, timedelta],
        *,
        outbox: Outbox,
        clock: Clock,
        observer: Observer,
        rng: random.Random | None = None,
    ) -> None:
        self._hooks = hooks
        self._routes = routes
        self._expiring = expiring
        self._outbox = outbox
        self._clock = clock
        self._observer = observer
        self._rng = rng or random.Random()
        self._standings = {target: _Standing() for target in hooks}
        self._expiring_looked_at: float | None = None

    @classmethod
    def of(cls, parts: Parts) -> Hooks:
        """Those of the settings. A command runs in the folder of the settings file."""
        folders, directory = parts.settings.folders, parts.settings.source_file.parent
        return cls(
            hooks_of(folders, directory),
            routes_of(folders, directory),
            {folder.name: timedelta(seconds=folder.expiring_before) for folder in folders if folder.on.expiring},
            outbox=parts.ledger,
            clock=parts.clock,
            observer=parts.observer,
        )

    async def open(self) -> None:
        """From here on nothing is missed. What is due to hooks that are not set any more is forgotten."""
        forgotten = await self._outbox.keep_targets(list(self._hooks))
        if forgotten:
            self._observer.notice("hooks_forgotten", number=forgotten)

    async def run(self) -> None:
        """Until cancelled; returns at once where no hooks are set."""
        try:
            while self._hooks:
                await until_disk_is_well(self._clock, self._observer, self._look)
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            await self._end()

    async def finish(self, seconds: float) -> None:
        """Return when all has been tried that is due now, or when the time is up; `run` goes on meanwhile."""
        until = self._clock.monotonic() + seconds
        with contextlib.suppress(DiskFault):  # all of it is taken up at the next start
            while self._hooks and self._clock.monotonic() < until:
                await self._look()
                if not self._serving():
                    break
                await self._clock.sleep(BETWEEN_LOOKS_SECONDS)
            left = await self._outbox.pending_deliveries() if self._hooks else 0
            if left:
                self._observer.notice("hooks_left", number=left)

    # -- looking

    async def _look(self) -> None:
        await self._tell_expiring()
        await self._outbox.enqueue(self._routes)
        for target in await self._outbox.targets_due():
            standing = self._standings.get(target)
            if standing is not None and standing.serving is None and standing.rests_until <= self._clock.monotonic():
                standing.serving = asyncio.create_task(self._serve(target, standing))

    async def _tell_expiring(self) -> None:
        now = self._clock.monotonic()
        if self._expiring_looked_at is not None and now - self._expiring_looked_at < EXPIRING_LOOK_SECONDS:
            return
        for folder, within in self._expiring.items():
            await self._outbox.tell_expiring(folder, within)
        self._expiring_looked_at = now

    def _serving(self) -> list[asyncio.Task[None]]:
        return [standing.serving for standing in self._standings.values() if standing.serving is not None]

    async def _end(self) -> None:
        serving = self._serving()
        if serving:
            await asyncio.wait(serving, timeout=GRACE_SECONDS)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    # -- one hook

    async def _serve(self, target: str, standing: _Standing) -> None:
        """Tell one hook all that is due to it, until it takes nothing."""
        hook = self._hooks[target]
        try:
            while batch := await self._outbox.deliveries(target, hook.at_once):
                passed = await _all(self._attempt(hook, delivery, standing) for delivery in batch)
                if not all(passed):
                    await self._give_up(hook, standing)
                if not any(passed) and self._must_rest(standing):
                    return
        except DiskFault:
            standing.rests_until = self._clock.monotonic() + LOOK_SECONDS  # whoever looks next waits for it, and tells
        except Exception as error:
            standing.rests_until = self._clock.monotonic() + REST.most_seconds
            self._observer.notice("internal_fault", where=f"hook {hook.name}", error=error)
        finally:
            standing.serving = None

    async def _attempt(self, hook: Hook, delivery: Delivery, standing: _Standing) -> bool:
        entry = delivery.entry
        facts = {"hook": hook.name, "told": entry.event, "folder": entry.folder, "path": entry.path}
        try:
            await hook.tell(message_of(entry))
        except HookFailed as failed:
            event = "hook_failing" if standing.failing_since is None else "hook_failed"
            if standing.failing_since is None:
                standing.failing_since = self._clock.monotonic()
            self._observer.notice(event, **facts, message=str(failed), attempt=delivery.attempt + 1)
            await self._outbox.put_off(delivery, RETRY.seconds(delivery.attempt + 1, self._rng.random()))
            return False
        await self._outbox.delivered(delivery)
        self._observer.notice("hook_told", **facts, attempt=delivery.attempt + 1)
        if standing.failing_since is not None:
            self._observer.notice("hook_recovered", hook=hook.name)
        standing.failures, standing.failing_since = 0, None
        return True

    def _must_rest(self, standing: _Standing) -> bool:
        """Count a round in which it took nothing; whether it is left alone now."""
        standing.failures += 1
        if standing.failures < REST_FROM:
            return False
        standing.rests_until = self._clock.monotonic() + REST.seconds(standing.failures - REST_FROM + 1)
        return True

    async def _give_up(self, hook: Hook, standing: _Standing) -> None:
        since = standing.failing_since
        fails_for_long = since is not None and self._clock.monotonic() - since > GIVE_UP_UNTRIED_SECONDS
        attempts = 0 if fails_for_long else GIVE_UP_ATTEMPTS
        number = await self._outbox.give_up(hook.target, older_than=GIVE_UP_AFTER, attempts=attempts)
        if number:
            hours = GIVE_UP_AFTER.total_seconds() / 3600
            message = f"{number} messages could not be delivered within {hours:g} h, and are given up"
            self._observer.notice("hook_given_up", hook=hook.name, number=number, message=message)


async def _all(attempts: Iterable[Coroutine[Any, Any, bool]]) -> list[bool]:
    """How each ended, once all have. Raises what the first of them raised that did."""
    ends = await asyncio.gather(*attempts, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ends if isinstance(end, bool)]

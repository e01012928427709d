"""`worker`: the flow for what other machines have found, until stopped, then drained."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ingestor.observe.recent import Recent
from ingestor.runtime.daemon import Daemon
from ingestor.runtime.hooks import Hooks
from ingestor.runtime.parts import Parts


class WorkerDaemon(Daemon):
    """A `Daemon` that looks for nothing: it takes jobs, and lets files that were not whole settle anew."""

    def __init__(self, parts: Parts, recent: Recent, *, concurrency: int | None = None) -> None:
        """`concurrency`: images of each lane at once; None: as many as a daemon."""
        self._concurrency = concurrency
        super().__init__(parts, recent)

    def _places(self) -> int:
        return self._concurrency or super()._places()

    def _facts(self) -> dict[str, Callable[[], Any]]:
        """Nothing of the station's daemon, which may run beside it."""
        return dict(self._parts.snapshots)

    def _large_facts(self) -> dict[str, Callable[[], Any]]:
        return {}

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        return [feeder.settle_forever() for feeder in self._feeders.values()]

    def _own_hooks(self) -> Hooks | None:
        """The station's daemon tells them."""
        return None

    def _renewals(self) -> list[Coroutine[Any, Any, None]]:
        return []

    def _deletions(self) -> list[Coroutine[Any, Any, None]]:
        return []

    async def _has_recovered(self) -> bool:
        """What others have left undone, those recover who have found it."""
        return True

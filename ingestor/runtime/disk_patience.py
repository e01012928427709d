"""Waiting for a disk of ours to be cured: said once, and said again when it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from ingestor.errors import DiskFault
from ingestor.ports import Clock, Observer

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 2.0
"""Between two tries."""


async def until_disk_is_well(
    clock: Clock, observer: Observer, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What `call` gives, however long a disk is at fault: it is called again until it passes."""
    paused = False
    while True:
        try:
            result = await call(*args, **kwargs)
        except DiskFault as fault:
            if not paused:
                observer.notice("disk_paused", reason=fault.reason, message=str(fault))
            paused = True
            await clock.sleep(SECONDS)
        else:
            if paused:
                observer.notice("disk_resumed")
            return result
